//! The linear layer: products, and the pass that follows them.

use super::memory::Buffer;
use super::product::{Operand, product};
use super::{Cpu, activation, sums};
use crate::{Activation, Affine, AffineGradient, LinearSize};

/// `output = activation(x · weightᵀ + bias)`.
pub(super) fn forward(
    cpu: &Cpu,
    LinearSize { rows, inputs, outputs }: LinearSize,
    x: &[f32],
    layer: Affine<'_, Buffer>,
    activation: Activation,
    before: Option<&mut [f32]>,
    output: &mut [f32],
) {
    product(
        cpu,
        [rows, outputs, inputs],
        Operand::plain(x),
        Operand::transposed(layer.weight),
        false,
        output,
    );
    activation::add_bias_and_activate(cpu, layer.bias, activation, before, output);
}

/// `dweight += d_outputᵀ · x`, `dbias += Σ_rows d_output`.
pub(super) fn backward_parameters(
    cpu: &Cpu,
    LinearSize { rows, inputs, outputs }: LinearSize,
    x: &[f32],
    d_output: &[f32],
    AffineGradient { weight: d_weight, bias: d_bias }: AffineGradient<'_, Buffer>,
) {
    let size = [outputs, inputs, rows];
    product(cpu, size, Operand::transposed(d_output), Operand::plain(x), true, d_weight);
    sums::add_columns(cpu, d_output, d_bias);
}

/// `dx = d_output · weight`, or `dx += …`.
pub(super) fn backward_input(
    cpu: &Cpu,
    LinearSize { rows, inputs, outputs }: LinearSize,
    weight: &[f32],
    d_output: &[f32],
    accumulate: bool,
    dx: &mut [f32],
) {
    product(cpu, [rows, inputs, outputs], Operand::plain(d_output), Operand::plain(weight), accumulate, dx);
}
