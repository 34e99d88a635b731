//! Backward of the whole encoder.

use std::collections::VecDeque;
use std::iter;

use sbmoe_kernels::{LayerInput, Ops, Tokens};

use super::dropout::DropoutPlan;
use super::encoder::{Bert, Kept};
use crate::parameters::{Span, Tensors};

/// A part of a batch on its way back through the encoder.
#[derive(Debug)]
pub struct Returning<'a, B> {
    /// The part's texts.
    pub tokens: &'a Tokens,
    /// What its forward pass kept.
    pub kept: Kept<B>,
    /// The gradient of what the part's forward pass gave last: `[tokens, hidden]`, of the hidden states, for
    /// [`Bert::backward`]; `[texts, hidden]`, of the pooled vectors, for
    /// [`Architecture::backward_pooled`](crate::architecture::Architecture::backward_pooled).
    pub gradient: B,
}

impl Bert {
    /// Adds every parameter's gradient, given that of each part's hidden states; what was kept is freed on the way.
    ///
    /// Parts follow each other as a wave: while one is in a layer, the next one is in the layer above, and so on. So
    /// threads work side by side without meeting behind every operator, and yet what parts add to a layer's gradients is
    /// added in their order. A part is asked for when it sets out.
    ///
    /// # Panics
    /// When a part's activations are not from a forward pass of this encoder.
    pub fn backward<'a, O: Ops<Buffer: 'a>>(
        &self,
        ops: &O,
        parameters: &Tensors<O::Buffer>,
        dropout: &DropoutPlan,
        parts: impl IntoIterator<Item = Returning<'a, O::Buffer>>,
        gradients: &mut Tensors<O::Buffer>,
    ) {
        let places = iter::once(self.embeddings.places.clone())
            .chain(self.layers.iter().map(|layer| layer.places.clone()));
        // By the layers that a part has still to go through.
        let mut spans = gradients.spans(places);
        let mut parts = parts.into_iter().fuse().inspect(|part| {
            assert_eq!(part.kept.layers.len(), self.layers.len(), "layers of another encoder's forward pass");
        });
        let mut wave: VecDeque<Returning<'a, O::Buffer>> = VecDeque::new();
        loop {
            wave.extend(parts.next());
            let Some(foremost) = wave.front() else { return };
            let left = foremost.kept.layers.len();
            let steps = wave.iter_mut().zip(&mut spans[left..]).collect();
            ops.side_by_side(steps, |(part, gradients)| {
                self.step_back(ops, parameters, dropout, part, gradients);
            });
            if left == 0 {
                wave.pop_front();
            }
        }
    }

    /// A part through its next layer, or through the embeddings.
    fn step_back<O: Ops>(
        &self,
        ops: &O,
        parameters: &Tensors<O::Buffer>,
        dropout: &DropoutPlan,
        Returning { tokens, kept, gradient }: &mut Returning<'_, O::Buffer>,
        gradients: &mut Span<'_, O::Buffer>,
    ) {
        kept.output = None;
        let Some(own) = kept.layers.pop() else {
            self.embeddings.backward(ops, parameters, tokens, dropout, &kept.embeddings, gradient, gradients);
            return;
        };
        let number = kept.layers.len();
        let x = match kept.layers.last() {
            Some(below) => self.layers[number - 1].output_again(parameters, below),
            None => LayerInput::Kept(&kept.embeddings.output),
        };
        *gradient =
            self.layers[number].backward(ops, parameters, tokens, dropout, x, &own, gradient, gradients);
    }
}
