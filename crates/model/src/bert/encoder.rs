//! The whole encoder: token ids to the last layer's hidden states.

use sbmoe_kernels::{Ops, Passes, Precision, Tokens};

use super::dropout::DropoutPlan;
use super::embeddings::{Embeddings, KeptEmbeddings};
use super::layer::{KeptLayer, Layer};
use crate::folder::BertConfig;
use crate::parameters::{Layout, Tensors};

/// A BERT encoder: where its parameters are, not what they hold.
#[derive(Debug, Clone)]
pub struct Bert {
    pub(super) embeddings: Embeddings,
    pub(super) layers: Vec<Layer>,
}

/// What a forward pass kept for [`Bert::backward`].
#[derive(Debug)]
pub struct Kept<B> {
    pub(super) embeddings: KeptEmbeddings<B>,
    pub(super) layers: Vec<KeptLayer<B>>,
    /// The last layer's output; without layers it is the embeddings'.
    pub(super) output: Option<B>,
}

impl<B> Kept<B> {
    /// The last layer's hidden states, `[tokens, hidden]`.
    pub fn hidden_states(&self) -> &B {
        self.output.as_ref().unwrap_or(&self.embeddings.output)
    }
}

impl Bert {
    /// Declares the encoder's parameters under Hugging Face's names.
    pub fn new(config: &BertConfig, layout: &mut Layout) -> Self {
        let embeddings = Embeddings::new(config, layout);
        let layers = (0..config.num_hidden_layers).map(|number| Layer::new(config, number, layout)).collect();
        Self { embeddings, layers }
    }

    /// Computes the products with weights in `precision` from now on, forward and backward; f32 until then.
    pub fn set_precision(&mut self, precision: Precision) {
        for layer in &mut self.layers {
            layer.precision = precision;
        }
    }

    /// Lays out the weights of the layers' products, by far the most of the work, for `passes` until they change.
    pub fn prepare_weights<O: Ops>(&self, ops: &O, passes: Passes, parameters: &mut Tensors<O::Buffer>) {
        for layer in &self.layers {
            layer.prepare_weights(ops, passes, parameters);
        }
    }

    /// Hidden states of the last layer, `[tokens, hidden]`, without dropout.
    pub fn hidden_states<O: Ops>(
        &self,
        ops: &O,
        parameters: &Tensors<O::Buffer>,
        tokens: &Tokens,
    ) -> O::Buffer {
        let mut x = self.embeddings.forward(ops, parameters, tokens, &DropoutPlan::off()).output;
        for layer in &self.layers {
            x = layer.output(ops, parameters, tokens, x);
        }
        x
    }

    /// As [`Bert::hidden_states`], with dropout, keeping what backward needs.
    pub fn forward<O: Ops>(
        &self,
        ops: &O,
        parameters: &Tensors<O::Buffer>,
        tokens: &Tokens,
        dropout: &DropoutPlan,
    ) -> Kept<O::Buffer> {
        let embeddings = self.embeddings.forward(ops, parameters, tokens, dropout);
        let mut kept = Kept { embeddings, layers: Vec::with_capacity(self.layers.len()), output: None };
        for layer in &self.layers {
            let x = kept.hidden_states();
            let (output, own) = layer.forward(ops, parameters, tokens, dropout, x);
            kept.output = Some(output);
            kept.layers.push(own);
        }
        kept
    }
}
