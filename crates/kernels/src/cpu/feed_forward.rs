//! The feed-forward layers: a linear layer to more columns, an activation, a linear layer back.
//!
//! In bf16, what lies between the two is rounded where it is computed, tile by tile, and never in memory as f32.

use super::Cpu;
use super::activation::{apply, apply_biased, apply_slope};
use super::bf16_words::{across, along};
use super::form::Form;
use super::lanes::LANES;
use super::linear::{self, Input};
use super::linear_backward::{Left, ROWS, input_product, weight_product};
use super::memory::Buffer;
use super::packing::Rows;
use super::prepared;
use super::product::{Operand, Term, product, product_apart};
use super::right::{Source, pack_rows};
use super::squares::prefetch;
use super::sums::{add_columns, add_rows};
use super::tiles::{self, Target};
use crate::{Activation, Affine, FeedForwardBackward, LinearSize, Precision};

/// `output = activation(x · W₁ᵀ + b₁) · W₂ᵀ + b₂`; `size` is the first layer's.
pub(super) fn forward(
    cpu: &Cpu,
    size: LinearSize,
    x: &[f32],
    [wide, narrow]: [Affine<'_, Buffer>; 2],
    activation: Activation,
    before: Option<&mut [f32]>,
    output: &mut [f32],
) {
    let (x, narrowing) = (Input::new(cpu, size, x), back(size));
    let in_f32;
    let activated = if size.precision == Precision::Bf16 {
        Input::Bf16(activated_words(cpu, size, x.floats(), wide, activation, before))
    } else {
        let mut activated = cpu.memory.scratch(size.rows * size.outputs);
        linear::forward(cpu, size, &x, wide, activation, before, &mut activated);
        in_f32 = activated;
        Input::new(cpu, narrowing, &in_f32)
    };
    linear::forward(cpu, narrowing, &activated, narrow, Activation::Identity, None, output);
}

/// The size of the layer behind.
fn back(size: LinearSize) -> LinearSize {
    LinearSize { inputs: size.outputs, outputs: size.inputs, ..size }
}

/// The words of `activation(x · weightᵀ + bias)` for an `x` in words.
fn activated_words(
    cpu: &Cpu,
    size: LinearSize,
    x: &[f32],
    Affine { weight, bias }: Affine<'_, Buffer>,
    activation: Activation,
    before: Option<&mut [f32]>,
) -> Buffer {
    let LinearSize { rows, inputs, outputs, precision } = size;
    let (form, level, weight) =
        (Form::of(precision, cpu.level), cpu.level, prepared::forward(cpu, size, weight));
    let term = Term { left: Operand::plain(x), right: weight.floats() };
    let size = [rows, outputs, form.words(inputs)];
    let mut words = cpu.memory.scratch(rows * form.words(outputs));
    let target = Target::along(&mut words, form);
    if let Some(before) = before {
        let targets = [target, Target::result(before)];
        product_apart(cpu, form, size, &[term], targets, |tile, sums, [mut words, mut before]| {
            for (row, sums) in sums.chunks_exact_mut(tile.columns).enumerate() {
                words.ask(row);
                before.ask(row + 1);
                let before = before.row(row);
                apply_biased(level, Activation::Identity, &bias[tile.column..][..tile.columns], sums);
                before.copy_from_slice(sums);
                apply(level, activation, before, sums);
            }
            along(level, Rows::dense(sums, tile.columns), tile.rows, &mut words);
        });
    } else {
        product_apart(cpu, form, size, &[term], [target], |tile, sums, [mut words]| {
            for (row, sums) in sums.chunks_exact_mut(tile.columns).enumerate() {
                words.ask(row);
                apply_biased(level, activation, &bias[tile.column..][..tile.columns], sums);
            }
            along(level, Rows::dense(sums, tile.columns), tile.rows, &mut words);
        });
    }
    words
}

/// Adds the parameters' gradients, and that of `x` to `dx`; `size` is the first layer's.
pub(super) fn backward_add(
    cpu: &Cpu,
    size: LinearSize,
    activation: Activation,
    layers: FeedForwardBackward<'_, Buffer>,
    dx: &mut [f32],
) {
    let FeedForwardBackward { x, before, d_output, weights: [wide, narrow], gradients } = layers;
    let LinearSize { inputs: hidden, outputs: inner, precision, .. } = size;
    let [d_wide, d_narrow] = gradients;
    let (wide, narrow) = (prepared::backward(cpu, size, wide), prepared::backward(cpu, back(size), narrow));
    for first in (0..size.rows).step_by(ROWS) {
        let size = LinearSize { rows: ROWS.min(size.rows - first), ..size };
        let widened = {
            let before = Source { values: &before[first * inner..][..size.rows * inner], activation };
            let packed = pack_rows(cpu, precision, before, inner, size.rows);
            let d_output = &d_output[first * hidden..][..size.rows * hidden];
            let left = Left::new(cpu, precision, d_output, d_narrow.bias);
            let term = Term { left: left.rows(), right: &narrow };
            let (widened, ()) = cpu.join(
                || widened_gradient(cpu, back(size), term, before, d_wide.bias),
                || weight_product(cpu, back(size), left.columns(), &packed, true, d_narrow.weight),
            );
            widened
        };
        let packed = pack_rows(cpu, precision, Source::plain(&x[first * hidden..]), hidden, size.rows);
        let term = Term { left: widened.rows(), right: &wide };
        let dx = &mut dx[first * hidden..][..size.rows * hidden];
        cpu.join(
            || input_product(cpu, size, &[term], true, dx),
            || weight_product(cpu, size, widened.columns(), &packed, true, d_wide.weight),
        );
    }
}

/// `(d_output · weight) ⊙ activation'(before)` for the layer back, whose columns' sums are added to `d_bias`.
fn widened_gradient(
    cpu: &Cpu,
    size: LinearSize,
    term: Term<'_>,
    before: Source<'_>,
    d_bias: &mut [f32],
) -> Left<'static> {
    let LinearSize { rows, inputs: inner, outputs, precision } = size;
    let (form, level) = (Form::of(precision, cpu.level), cpu.level);
    let sizes = [rows, inner, form.words(outputs)];
    let apply_slope = |[row, column]: [usize; 2], gradient: &mut [f32]| {
        let before_row = &before.values[row * inner + column..][..gradient.len()];
        // The next row's are a page away.
        (0..gradient.len())
            .step_by(LANES)
            .for_each(|i| prefetch(before_row.as_ptr().wrapping_add(inner + i)));
        apply_slope(level, before.activation, before_row, gradient);
    };
    if precision == Precision::F32 {
        let mut widened = cpu.memory.scratch(rows * inner);
        product(cpu, form, sizes, &[term], false, [&mut widened], |at, [row]| apply_slope(at, row));
        add_columns(cpu, &widened, d_bias);
        return Left::Own(widened);
    }
    let [mut along_words, mut across_words] =
        [rows * form.words(inner), form.words(rows) * inner].map(|len| cpu.memory.scratch(len));
    let mut slots = cpu.memory.zeros(rows.div_ceil(tiles::ROWS) * inner);
    let targets = [
        Target::along(&mut along_words, form),
        Target::across(&mut across_words, form),
        Target::slots(&mut slots),
    ];
    product_apart(
        cpu,
        form,
        sizes,
        &[term],
        targets,
        |tile, sums, [mut as_rows, mut as_columns, mut slot]| {
            for (row, sums) in sums.chunks_exact_mut(tile.columns).enumerate() {
                as_rows.ask(row);
                as_columns.ask(row / form.numbers());
                apply_slope([tile.row + row, tile.column], sums);
            }
            let rows = Rows::dense(sums, tile.columns);
            along(level, rows, tile.rows, &mut as_rows);
            across(level, rows, tile.rows, &mut as_columns);
            add_rows(level, sums, slot.row(0));
        },
    );
    add_rows(level, &slots, d_bias);
    Left::Words { along: along_words, across: across_words }
}
