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

/// A layer's product, and what its sums become.
pub(super) struct Product<'a> {
    cpu: &'a Cpu,
    /// Rows, outputs, and words of the inner index.
    shape: [usize; 3],
    form: Form,
    term: Term<'a>,
    bias: &'a [f32],
    /// The operands where they are integers: they know what sums stand for.
    integers: Option<(&'a int8::Input, &'a int8::Weight)>,
}

impl<'a> Product<'a> {
    /// `x · weightᵀ + bias` of these sizes, with the weight's layout ([`prepared::forward`]).
    pub(super) fn new(
        cpu: &'a Cpu,
        LinearSize { rows, inputs, outputs, precision }: LinearSize,
        x: &'a Input<'_>,
        weight: &'a Layout,
        bias: &'a [f32],
    ) -> Self {
        let form = Form::of(precision, cpu.level);
        let (left, right, integers) = match (x, weight) {
            (Input::Int8(x), Layout::Int8(weight)) => (x.words(), weight.panels(), Some((x, weight))),
            _ => (x.floats(), weight.floats(), None),
        };
        let term = Term { left: Operand::plain(left), right };
        Self { cpu, shape: [rows, outputs, form.words(inputs)], form, term, bias, integers }
    }

    /// [`product::product`], whose rows' pieces are to be [finished](Self::finish).
    fn rows<const N: usize>(
        &self,
        targets: [&mut [f32]; N],
        finish: impl Fn([usize; 2], [&mut [f32]; N]) + Send + Sync,
    ) {
        product::product(self.cpu, self.form, self.shape, &[self.term], false, targets, finish);
    }

    /// [`product::product_apart`], whose sums are to be [finished](Self::finish).
    pub(super) fn tiles<const N: usize>(
        &self,
        targets: [Target<'_>; N],
        finish: impl Fn(Tile, &mut [f32], [Columns<'_>; N]) + Send + Sync,
    ) {
        product::product_apart(self.cpu, self.form, self.shape, &[self.term], targets, finish);
    }

    /// One tile on this thread, finished.
    pub(super) fn finished_tile(&self, activation: Activation, tile: Tile, output: &mut Columns<'_>) {
        product::sum_tile(self.cpu, self.form, self.shape, &[self.term], tile, false, output);
        for row in 0..tile.rows {
            self.finish(activation, [tile.row + row, tile.column], &mut output.row(row)[..tile.columns]);
        }
    }

    /// All rows of a tile's own sums finished; `ask` is told of each before, to ask for what is written next.
    pub(super) fn finish_tile(
        &self,
        activation: Activation,
        tile: Tile,
        sums: &mut [f32],
        ask: impl Fn(usize),
    ) {
        for (row, sums) in sums.chunks_exact_mut(tile.stride()).enumerate() {
            ask(row);
            self.finish(activation, [tile.row + row, tile.column], &mut sums[..tile.columns]);
        }
    }

    /// `sums = activation(what they stand for + bias)` for a piece of a row, which starts at this row and output.
    pub(super) fn finish(&self, activation: Activation, [row, output]: [usize; 2], sums: &mut [f32]) {
        let (level, bias) = (self.cpu.level, &self.bias[output..][..sums.len()]);
        if let Some((x, weight)) = self.integers {
            weight.rescale(level, x.row(row), output, bias, sums);
            activation::apply_in_place(level, activation, sums);
        } else {
            activation::apply_biased(level, activation, bias, sums);
        }
    }
}

/// `output = activation(x · weightᵀ + bias)`.
pub(super) fn forward(
    cpu: &Cpu,
    size: LinearSize,
    x: &Input<'_>,
    Affine { weight, bias }: Affine<'_, Buffer>,
    activation: Activation,
    before: Option<&mut [f32]>,
    output: &mut [f32],
) {
    let weight = prepared::forward(cpu, size, weight);
    let product = Product::new(cpu, size, x, &weight, bias);
    if let Some(before) = before {
        product.rows([before, output], |at, [before, output]| {
            product.finish(Activation::Identity, at, before);
            activation::apply(cpu.level, activation, before, output);
        });
    } else {
        product.rows([output], |at, [output]| product.finish(activation, at, output));
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
    let weight = prepared::forward(cpu, size, weight);
    let product = Product::new(cpu, size, x, &weight, bias);
    product.tiles([Target::along(words, Form::of_bf16(cpu.level))], |tile, sums, [mut words]| {
        // A row's words are asked for while another pass goes over its sums.
        product.finish_tile(activation, tile, sums, |row| words.ask(row));
        along(cpu.level, tile.sums(sums), tile.rows, &mut words);
    });
}
