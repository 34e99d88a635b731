//! The linear layer: products, and the pass that follows them.

use super::memory::Buffer;
use super::prepared::Layout;
use super::product::{Operand, Right, product, product_into};
use super::{Cpu, activation, int8, sums};
use crate::{Activation, Affine, AffineGradient, LinearSize};

/// Rows of a batch whose part of a weight's gradient is added at once; their packed copies are the memory that it takes.
const ROWS: usize = 2048;

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
    let (size, bias, level) = ([rows, outputs, inputs], &layer.bias[..], cpu.level);
    let finish = |column: usize, sums: &[f32], output: &mut [f32]| {
        activation::add_bias(level, &bias[column..][..sums.len()], sums, output);
        activation::apply(level, activation, output);
    };
    let prepared = layer.weight.prepared().map(|prepared| prepared.panels(outputs, inputs));
    let right = match prepared {
        Some(Layout::Int8(weight)) if before.is_none() && inputs > 0 => {
            return int8::product(cpu, size, x, weight, output, finish);
        }
        Some(Layout::F32(packed)) => Right::Packed(packed),
        Some(Layout::Int8(_)) | None => Right::Matrix(Operand::transposed(layer.weight)),
    };
    let left = Operand::plain(x);
    if let Some(before) = before {
        product(cpu, size, left, right, [before, output], |column, sums, [before, output]| {
            activation::add_bias(level, &bias[column..][..sums.len()], sums, before);
            output.copy_from_slice(before);
            activation::apply(level, activation, output);
        });
    } else {
        product(cpu, size, left, right, [output], |column, sums, [output]| finish(column, sums, output));
    }
}

/// `dweight += d_outputᵀ · x`, `dbias += Σ_rows d_output`.
pub(super) fn backward_parameters(
    cpu: &Cpu,
    LinearSize { rows, inputs, outputs }: LinearSize,
    x: &[f32],
    d_output: &[f32],
    AffineGradient { weight: d_weight, bias: d_bias }: AffineGradient<'_, Buffer>,
) {
    for first in (0..rows).step_by(ROWS) {
        let size = [outputs, inputs, ROWS.min(rows - first)];
        let (left, right) = (&d_output[first * outputs..], &x[first * inputs..]);
        product_into(cpu, size, Operand::transposed(left), Operand::plain(right), true, d_weight);
    }
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
    let size = [rows, inputs, outputs];
    product_into(cpu, size, Operand::plain(d_output), Operand::plain(weight), accumulate, dx);
}
