//! The linear layer: products, and the pass that follows them.

use super::form::Form;
use super::memory::Buffer;
use super::prepared::{Layout, Prepared};
use super::product::{self, Operand, Right, as_it_is};
use super::{Cpu, activation, bf16, int8, sums};
use crate::{Activation, Affine, AffineGradient, LinearSize, Precision};

/// Rows of a batch whose part of a weight's gradient is added at once; their copies, packed or rounded, are the memory that it takes.
const ROWS: usize = 2048;

/// A layer's input in the numbers of its products.
pub(super) enum Input<'a> {
    F32(&'a [f32]),
    Bf16(Buffer),
    Int8(int8::Input),
}

impl<'a> Input<'a> {
    /// Of `x` `[rows, inputs]`.
    pub(super) fn new(cpu: &Cpu, size: LinearSize, x: &'a [f32]) -> Self {
        let LinearSize { rows, inputs, precision, .. } = size;
        match precision {
            Precision::F32 => Self::F32(x),
            Precision::Bf16 => Self::Bf16(bf16::left_words(cpu, Operand::plain(x), rows, inputs)),
            Precision::Int8 => Self::Int8(int8::Input::new(cpu, x, rows, inputs)),
        }
    }
}

/// `output = activation(x · weightᵀ + bias)`.
pub(super) fn forward(
    cpu: &Cpu,
    size: LinearSize,
    x: &Input<'_>,
    layer: Affine<'_, Buffer>,
    activation: Activation,
    before: Option<&mut [f32]>,
    output: &mut [f32],
) {
    let (bias, level) = (&layer.bias[..], cpu.level);
    if let Some(before) = before {
        weighted(cpu, size, x, layer.weight, [before, output], |[_, column], [before, output]| {
            activation::apply_biased(level, Activation::Identity, &bias[column..][..before.len()], before);
            activation::apply(level, activation, before, output);
        });
    } else {
        weighted(cpu, size, x, layer.weight, [output], |[_, column], [output]| {
            activation::apply_biased(level, activation, &bias[column..][..output.len()], output);
        });
    }
}

/// `x · weightᵀ` with the weight's layout, which is made for this product where none of its precision was prepared.
fn weighted<const N: usize>(
    cpu: &Cpu,
    LinearSize { rows, inputs, outputs, precision }: LinearSize,
    x: &Input<'_>,
    weight: &Buffer,
    targets: [&mut [f32]; N],
    finish: impl Fn([usize; 2], [&mut [f32]; N]) + Send + Sync,
) {
    let made;
    let prepared = if let Some(prepared) = weight.prepared().filter(|own| own.precision() == precision) {
        prepared
    } else {
        made = Prepared::new(cpu, [outputs, inputs], precision, weight);
        &made
    };
    let size = [rows, outputs, inputs];
    match (x, prepared.panels(outputs, inputs)) {
        (Input::F32(x), Layout::F32(packed)) => {
            let (left, right) = (Operand::plain(x), Right::Packed(packed));
            product::product(cpu, Form::Single, size, left, right, false, targets, finish);
        }
        (Input::Bf16(words), Layout::Bf16(packed)) => {
            bf16::product(cpu, size, Operand::plain(words), packed, false, targets, finish);
        }
        (Input::Int8(x), Layout::Int8(weight)) => int8::product(cpu, size, x, weight, targets, finish),
        _ => unreachable!("the input and the weight are of one precision"),
    }
}

/// `dweight = d_outputᵀ · x`, `dbias = Σ_rows d_output`, or `+= …`.
pub(super) fn backward_parameters(
    cpu: &Cpu,
    LinearSize { rows, inputs, outputs, precision }: LinearSize,
    x: &[f32],
    d_output: &[f32],
    accumulate: bool,
    AffineGradient { weight: d_weight, bias: d_bias }: AffineGradient<'_, Buffer>,
) {
    for first in (0..rows.max(1)).step_by(ROWS) {
        let size = [outputs, inputs, ROWS.min(rows - first)];
        let (left, right) = (&d_output[first * outputs..], &x[first * inputs..]);
        let operands = [Operand::transposed(left), Operand::plain(right)];
        product_into(cpu, size, precision, operands, accumulate || first > 0, d_weight);
    }
    if !accumulate {
        d_bias.fill(0.0);
    }
    sums::add_columns(cpu, d_output, d_bias);
}

/// `dx = d_output · weight`, or `dx += …`.
pub(super) fn backward_input(
    cpu: &Cpu,
    LinearSize { rows, inputs, outputs, precision }: LinearSize,
    weight: &[f32],
    d_output: &[f32],
    accumulate: bool,
    dx: &mut [f32],
) {
    let size = [rows, inputs, outputs];
    product_into(cpu, size, precision, [Operand::plain(d_output), Operand::plain(weight)], accumulate, dx);
}

/// `out = left · right`, or `out += …`.
fn product_into(
    cpu: &Cpu,
    [m, n, k]: [usize; 3],
    precision: Precision,
    [left, right]: [Operand<'_>; 2],
    accumulate: bool,
    out: &mut [f32],
) {
    let (size, targets) = ([m, n, k], [out]);
    match precision {
        Precision::F32 => {
            let right = Right::Matrix(right);
            product::product(cpu, Form::Single, size, left, right, accumulate, targets, as_it_is);
        }
        Precision::Bf16 => {
            let right = bf16::pack_right(cpu, right, n, k);
            let values = &bf16::left_words(cpu, left, m, k);
            bf16::product(cpu, size, Operand { values, ..left }, &right, accumulate, targets, as_it_is);
        }
        Precision::Int8 => panic!("eight-bit integers have no gradients"),
    }
}
