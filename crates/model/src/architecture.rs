//! A retriever without its values: encoder, pooling and block over one layout of parameters.
//!
//! What follows the pooled vectors is in [`crate::head`].

use std::ops::Range;

use sbmoe_kernels::{Ops, Pooling, Tokens};

use crate::bert::{Bert, DropoutPlan, Kept, Returning};
use crate::folder::BertConfig;
use crate::moe::{Block, BlockConfig};
use crate::parameters::{Layout, Tensors};
use crate::parts::{PART, parts};

/// Encoder, pooling and, behind them, at most one block.
#[derive(Debug, Clone)]
pub struct Architecture {
    /// Every parameter's name and shape: the encoder's first, then the block's.
    pub layout: Layout,
    /// The encoder.
    pub bert: Bert,
    /// The encoder's sizes.
    pub config: BertConfig,
    /// How token vectors become one.
    pub pooling: Pooling,
    /// Whether vectors are compared by cosine: they have length 1 before the block and at the end.
    pub normalize: bool,
    /// The block, if the retriever has one.
    pub block: Option<Block>,
    encoder_parameters: usize,
}

impl Architecture {
    /// Declares all parameters, of a retriever that compares vectors as they are.
    pub fn new(config: BertConfig, pooling: Pooling, block: Option<BlockConfig>) -> Self {
        let mut layout = Layout::default();
        let bert = Bert::new(&config, &mut layout);
        let encoder_parameters = layout.parameters().len();
        let block = block.map(|block| Block::new(block, &mut layout));
        Self { layout, bert, config, pooling, normalize: false, block, encoder_parameters }
    }

    /// `h`, the columns of pooled vectors and of the block's output.
    pub fn hidden(&self) -> usize {
        self.config.hidden_size
    }

    /// How many of the layout's parameters are the encoder's; they come first.
    pub fn encoder_parameters(&self) -> usize {
        self.encoder_parameters
    }

    /// Pooled vectors `x [texts, hidden]` without dropout.
    pub fn pooled<O: Ops>(&self, ops: &O, parameters: &Tensors<O::Buffer>, tokens: &Tokens) -> O::Buffer {
        let hidden_states = self.bert.hidden_states(ops, parameters, tokens);
        self.pool(ops, tokens, &hidden_states)
    }

    /// As [`Architecture::pooled`] for any number of texts, part by part side by side: a vector depends on its own text
    /// alone. For weights that are laid out, which otherwise each part does.
    pub fn pooled_in_parts<O: Ops, T: AsRef<[u32]> + Sync>(
        &self,
        ops: &O,
        parameters: &Tensors<O::Buffer>,
        texts: &[T],
    ) -> Vec<f32> {
        let pooled =
            |part: Range<usize>| ops.download(&self.pooled(ops, parameters, &Tokens::new(&texts[part], 0)));
        ops.side_by_side(parts(texts, PART), pooled).concat()
    }

    /// As [`Architecture::pooled`], with dropout, keeping what [`Architecture::backward_pooled`] needs.
    pub fn forward_pooled<O: Ops>(
        &self,
        ops: &O,
        parameters: &Tensors<O::Buffer>,
        tokens: &Tokens,
        dropout: &DropoutPlan,
    ) -> (O::Buffer, Kept<O::Buffer>) {
        let kept = self.bert.forward(ops, parameters, tokens, dropout);
        (self.pool(ops, tokens, kept.hidden_states()), kept)
    }

    /// Adds the encoder's gradients, given that of each part's pooled vectors, as [`Bert::backward`] does.
    ///
    /// # Panics
    /// When a part's activations are not from a forward pass of this encoder.
    pub fn backward_pooled<'a, O: Ops<Buffer: 'a>>(
        &self,
        ops: &O,
        parameters: &Tensors<O::Buffer>,
        dropout: &DropoutPlan,
        parts: impl IntoIterator<Item = Returning<'a, O::Buffer>>,
        gradients: &mut Tensors<O::Buffer>,
    ) {
        let parts = parts.into_iter().map(|Returning { tokens, kept, gradient: d_pooled }| {
            let mut gradient = ops.scratch(tokens.n_tokens() * self.hidden());
            let hidden_states = kept.hidden_states();
            ops.pool_backward(self.pooling, tokens, self.hidden(), hidden_states, &d_pooled, &mut gradient);
            Returning { tokens, kept, gradient }
        });
        self.bert.backward(ops, parameters, dropout, parts, gradients);
    }

    fn pool<O: Ops>(&self, ops: &O, tokens: &Tokens, hidden_states: &O::Buffer) -> O::Buffer {
        let mut pooled = ops.scratch(tokens.n_texts() * self.hidden());
        ops.pool(self.pooling, tokens, self.hidden(), hidden_states, &mut pooled);
        pooled
    }
}
