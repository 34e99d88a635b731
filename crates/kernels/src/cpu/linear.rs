//! The linear layer: products, and the pass that follows them.

use super::bf16_words::along;
use super::columns::Columns;
use super::form::Form;
use super::memory::Buffer;
use super::prepared::{self, Layout};
use super::product::{self, Operand, Term};
use super::tiles::{Target, Tile};
use super::{Cpu, activation, bf16, int8};
use crate::{Activation, Affine, LinearSize, Precision};

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
            Precision::Bf16 => Self::Bf16(bf16::words(cpu, x, rows, inputs)),
            Precision::Int8 => Self::Int8(int8::Input::new(cpu, x, rows, inputs)),
        }
    }

    /// The words of f32 and bf16.
    ///
    /// # Panics
    /// When they are integers.
    pub(super) fn floats(&self) -> &[f32] {
        match self {
            Self::F32(x) => x,
            Self::Bf16(words) => words,
            Self::Int8(_) => panic!("the input is in eight-bit integers"),
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

/// As [`forward`], to words of bf16 along the rows: a tile's sums become words while they are near.
pub(super) fn forward_words(
    cpu: &Cpu,
    size: LinearSize,
    x: &Input<'_>,
    Affine { weight, bias }: Affine<'_, Buffer>,
    activation: Activation,
    words: &mut [f32],
) {
    let target = Target::along(words, Form::of_bf16(cpu.level));
    weighted_apart(cpu, size, x, weight, [target], |tile, sums, [mut words]| {
        for (row, sums) in sums.chunks_exact_mut(tile.stride()).enumerate() {
            // A row's words are asked for while another pass goes over its sums.
            words.ask(row);
            activation::apply_biased(cpu.level, activation, &bias[tile.column..], &mut sums[..tile.columns]);
        }
        along(cpu.level, tile.sums(sums), tile.rows, &mut words);
    });
}

/// `x · weightᵀ` with the weight's layout, which is made for this product where none of its precision was prepared.
fn weighted<const N: usize>(
    cpu: &Cpu,
    size: LinearSize,
    x: &Input<'_>,
    weight: &Buffer,
    targets: [&mut [f32]; N],
    finish: impl Fn([usize; 2], [&mut [f32]; N]) + Send + Sync,
) {
    let LinearSize { rows, inputs, outputs, precision } = size;
    let weight = &*prepared::forward(cpu, size, weight);
    if let (Input::Int8(x), Layout::Int8(weight)) = (x, weight) {
        int8::product(cpu, [rows, outputs, inputs], x, weight, targets, finish);
    } else {
        let form = Form::of(precision, cpu.level);
        let term = Term { left: Operand::plain(x.floats()), right: weight.floats() };
        product::product(cpu, form, [rows, outputs, form.words(inputs)], &[term], false, targets, finish);
    }
}

/// The same where the sums of a tile go nowhere else than to `finish`, as [`product::product_apart`] says.
pub(super) fn weighted_apart<const N: usize>(
    cpu: &Cpu,
    size: LinearSize,
    x: &Input<'_>,
    weight: &Buffer,
    targets: [Target<'_>; N],
    finish: impl Fn(Tile, &mut [f32], [Columns<'_>; N]) + Send + Sync,
) {
    let LinearSize { rows, inputs, outputs, precision } = size;
    let weight = &*prepared::forward(cpu, size, weight);
    if let (Input::Int8(x), Layout::Int8(weight)) = (x, weight) {
        int8::product_apart(cpu, [rows, outputs, inputs], x, weight, targets, finish);
    } else {
        let form = Form::of(precision, cpu.level);
        let term = Term { left: Operand::plain(x.floats()), right: weight.floats() };
        product::product_apart(cpu, form, [rows, outputs, form.words(inputs)], &[term], targets, finish);
    }
}
