//! The gate: `z(x) = G_2 · relu(G_1 x + g_1) + g_2`, its noise, and `p = softmax(z)`.

use sbmoe_kernels::{Activation, AffineGradient, LinearSize, Ops, Precision};

use super::BlockConfig;
use crate::parameters::{AffineIds, Layout, ParameterId, Tensors, no_gradients};

/// The gate's layers and its noise head.
#[derive(Debug, Clone)]
pub(super) struct GateLayers {
    hidden_layer: AffineIds,
    output: AffineIds,
    noise: AffineIds,
    hidden: usize,
    width: usize,
    experts: usize,
}

/// What the gate's backward reads.
#[derive(Debug)]
pub(super) struct KeptGate<B> {
    inner: B,
    /// ε and the noise head's output, when there was noise.
    noise: Option<(B, B)>,
    /// `p [rows, experts]`.
    pub(super) probabilities: B,
}

impl GateLayers {
    pub(super) fn new(layout: &mut Layout, config: &BlockConfig) -> Self {
        let (hidden, width, experts) = (config.hidden, config.gate_width(), config.experts);
        Self {
            hidden_layer: layout.add_linear("gate.hidden", hidden, width),
            output: layout.add_linear("gate.output", width, experts),
            noise: layout.add_linear("noise", hidden, experts),
            hidden,
            width,
            experts,
        }
    }

    /// The layers whose gradients [`GateLayers::backward`] writes, in its order; the noise head is the last.
    pub(super) fn layers(&self) -> [AffineIds; 3] {
        [self.hidden_layer, self.output, self.noise]
    }

    /// The parameters of the gate itself, without the noise head.
    pub(super) fn ids(&self) -> [ParameterId; 4] {
        [self.hidden_layer.weight, self.hidden_layer.bias, self.output.weight, self.output.bias]
    }

    /// The noise head's parameters.
    pub(super) fn noise_ids(&self) -> [ParameterId; 2] {
        [self.noise.weight, self.noise.bias]
    }

    /// `p`, with noise when `epsilon` (already scaled, `[rows, experts]`) is not empty.
    pub(super) fn forward<O: Ops>(
        &self,
        ops: &O,
        parameters: &Tensors<O::Buffer>,
        x: &O::Buffer,
        epsilon: &[f32],
    ) -> KeptGate<O::Buffer> {
        let rows = ops.len(x) / self.hidden;
        let mut inner = ops.scratch(rows * self.width);
        let mut logits = ops.scratch(rows * self.experts);
        let (first, second, head) = self.sizes(rows);
        ops.linear(first, x, parameters.affine(self.hidden_layer), Activation::Relu, None, &mut inner);
        ops.linear(second, &inner, parameters.affine(self.output), Activation::Identity, None, &mut logits);
        let noise = (!epsilon.is_empty()).then(|| {
            let mut raw = ops.scratch(rows * self.experts);
            ops.linear(head, x, parameters.affine(self.noise), Activation::Identity, None, &mut raw);
            let epsilon = ops.upload(epsilon);
            ops.add_gate_noise(&epsilon, &raw, &mut logits);
            (epsilon, raw)
        });
        let mut probabilities = ops.scratch(rows * self.experts);
        ops.softmax(self.experts, &logits, &mut probabilities);
        KeptGate { inner, noise, probabilities }
    }

    /// Writes the gradients of the gate's and the noise head's parameters, given that of `p`; returns that of `x` where
    /// somebody `wants_input`.
    pub(super) fn backward<O: Ops>(
        &self,
        ops: &O,
        parameters: &Tensors<O::Buffer>,
        x: &O::Buffer,
        kept: &KeptGate<O::Buffer>,
        d_probabilities: &O::Buffer,
        [d_hidden, d_output, d_noise]: [AffineGradient<'_, O::Buffer>; 3],
        wants_input: bool,
    ) -> Option<O::Buffer> {
        let rows = ops.len(x) / self.hidden;
        let (first, second, head) = self.sizes(rows);
        let mut d_logits = ops.scratch(rows * self.experts);
        ops.softmax_backward(self.experts, &kept.probabilities, d_probabilities, &mut d_logits);
        ops.linear_backward_parameters_set(second, &kept.inner, &d_logits, d_output);
        let mut d_inner = ops.scratch(rows * self.width);
        ops.linear_backward_input(second, parameters.get(self.output.weight), &d_logits, &mut d_inner);
        ops.activate_backward(Activation::Relu, &kept.inner, &mut d_inner);
        ops.linear_backward_parameters_set(first, x, &d_inner, d_hidden);
        let mut dx = wants_input.then(|| {
            let mut dx = ops.scratch(rows * self.hidden);
            ops.linear_backward_input(first, parameters.get(self.hidden_layer.weight), &d_inner, &mut dx);
            dx
        });
        let Some((epsilon, raw)) = &kept.noise else {
            no_gradients(ops, [d_noise]);
            return dx;
        };
        let mut d_raw = ops.scratch(rows * self.experts);
        ops.add_gate_noise_backward(epsilon, raw, &d_logits, &mut d_raw);
        ops.linear_backward_parameters_set(head, x, &d_raw, d_noise);
        if let Some(dx) = &mut dx {
            ops.linear_backward_input_add(head, parameters.get(self.noise.weight), &d_raw, dx);
        }
        dx
    }

    fn sizes(&self, rows: usize) -> (LinearSize, LinearSize, LinearSize) {
        let Self { hidden, width, experts, .. } = *self;
        (
            LinearSize { rows, inputs: hidden, outputs: width, precision: Precision::F32 },
            LinearSize { rows, inputs: width, outputs: experts, precision: Precision::F32 },
            LinearSize { rows, inputs: hidden, outputs: experts, precision: Precision::F32 },
        )
    }
}
