//! Gradients of linear layers.

use std::array;

use super::form::Form;
use super::linear::Input;
use super::memory::Buffer;
use super::prepared;
use super::product::{self, Operand, Term, as_it_is};
use super::right::pack_rows;
use super::source::Source;
use super::{Cpu, bf16, sums};
use crate::{AffineGradient, LayerInput, LinearBackward, LinearSize, Precision};

/// Rows of a batch whose part of a weight's gradient is added at once; their copies, packed or rounded, are the memory that
/// it takes.
pub(super) const AT_ONCE: usize = 2048;

/// The gradient of a layer's output as the left operand of both products: its rows give the input's gradient, its columns
/// the weight's.
pub(super) enum Left<'a> {
    AsItIs(&'a [f32]),
    Own(Buffer),
    Words { along: Buffer, across: Buffer },
}

impl<'a> Left<'a> {
    /// Of `[rows, outputs]`; the sums of the columns are added to `d_bias`.
    pub(super) fn new(cpu: &Cpu, precision: Precision, d_output: &'a [f32], d_bias: &mut [f32]) -> Self {
        match precision {
            Precision::F32 => {
                sums::add_columns(cpu, d_output, d_bias);
                Self::AsItIs(d_output)
            }
            Precision::Bf16 => {
                let [along, across] = bf16::words_both_ways(cpu, d_output, d_bias);
                Self::Words { along, across }
            }
            Precision::Int8 => panic!("eight-bit integers have no gradients"),
        }
    }

    pub(super) fn rows(&self) -> Operand<'_> {
        Operand::plain(match self {
            Self::AsItIs(values) => values,
            Self::Own(values) => values,
            Self::Words { along, .. } => along,
        })
    }

    pub(super) fn columns(&self) -> Operand<'_> {
        Operand::transposed(match self {
            Self::AsItIs(values) => values,
            Self::Own(values) => values,
            Self::Words { across, .. } => across,
        })
    }
}

/// Gradients of layers that read the same `x`: adds those of the parameters, and writes that of `x`, or adds it to what is
/// there.
pub(super) fn backward<const N: usize>(
    cpu: &Cpu,
    size: LinearSize,
    x: LayerInput<'_, Buffer>,
    layers: [LinearBackward<'_, Buffer>; N],
    accumulate: bool,
    dx: &mut [f32],
) {
    let LinearSize { rows, inputs, outputs, precision } = size;
    let panels = layers.each_ref().map(|layer| prepared::backward(cpu, size, layer.weight));
    let d_outputs = layers.each_ref().map(|layer| &layer.d_output[..rows * outputs]);
    let (x, mut gradients) = (Source::of(x), layers.map(|layer| layer.gradient));
    for first in (0..rows).step_by(AT_ONCE) {
        let size = LinearSize { rows: AT_ONCE.min(rows - first), ..size };
        let packed = pack_rows(cpu, precision, x.from(first, inputs), inputs, size.rows);
        let lefts: [Left<'_>; N] = array::from_fn(|layer| {
            let d_output = &d_outputs[layer][first * outputs..][..size.rows * outputs];
            Left::new(cpu, precision, d_output, gradients[layer].bias)
        });
        let terms: [Term<'_>; N] =
            array::from_fn(|layer| Term { left: lefts[layer].rows(), right: &panels[layer] });
        let dx = &mut dx[first * inputs..][..size.rows * inputs];
        cpu.join(
            || input_product(cpu, size, &terms, accumulate, dx),
            || {
                cpu.each(
                    size.rows * inputs * outputs / 16,
                    lefts.iter().zip(&mut gradients),
                    |(left, gradient)| {
                        weight_product(cpu, size, left.columns(), &packed, true, gradient.weight);
                    },
                );
            },
        );
    }
}

/// `dweight = d_outputᵀ · x`, `dbias = Σ_rows d_output`, or `+= …`.
pub(super) fn parameters(
    cpu: &Cpu,
    size: LinearSize,
    x: &[f32],
    d_output: &[f32],
    accumulate: bool,
    AffineGradient { weight, bias }: AffineGradient<'_, Buffer>,
) {
    let LinearSize { rows, inputs, outputs, precision } = size;
    if !accumulate {
        bias.fill(0.0);
    }
    for first in (0..rows.max(1)).step_by(AT_ONCE) {
        let size = LinearSize { rows: AT_ONCE.min(rows - first), ..size };
        let packed = pack_rows(cpu, precision, Source::Plain(&x[first * inputs..]), inputs, size.rows);
        let d_output = &d_output[first * outputs..][..size.rows * outputs];
        let left = Left::new(cpu, precision, d_output, bias);
        weight_product(cpu, size, left.columns(), &packed, accumulate || first > 0, weight);
    }
}

/// `dx = d_output · weight`, or `dx += …`.
pub(super) fn input(
    cpu: &Cpu,
    size: LinearSize,
    weight: &Buffer,
    d_output: &[f32],
    accumulate: bool,
    dx: &mut [f32],
) {
    let left = Input::new(cpu, LinearSize { inputs: size.outputs, ..size }, d_output);
    let panels = prepared::backward(cpu, size, weight);
    let term = Term { left: Operand::plain(left.floats()), right: &panels };
    input_product(cpu, size, &[term], accumulate, dx);
}

/// `dweight += d_outputᵀ · x` for the columns of `d_output` and an `x` in panels.
pub(super) fn weight_product(
    cpu: &Cpu,
    LinearSize { rows, inputs, outputs, precision }: LinearSize,
    left: Operand<'_>,
    right: &[f32],
    accumulate: bool,
    d_weight: &mut [f32],
) {
    let form = Form::of(precision, cpu.level);
    let (size, term) = ([outputs, inputs, form.words(rows)], Term { left, right });
    product::product(cpu, form, size, &[term], accumulate, [d_weight], as_it_is);
}

/// `dx = Σ d_output · weight`, or `dx += …`.
pub(super) fn input_product(
    cpu: &Cpu,
    LinearSize { rows, inputs, outputs, precision }: LinearSize,
    terms: &[Term<'_>],
    accumulate: bool,
    dx: &mut [f32],
) {
    let form = Form::of(precision, cpu.level);
    product::product(cpu, form, [rows, inputs, form.words(outputs)], terms, accumulate, [dx], as_it_is);
}
