//! The gradients of the feed-forward layers.
//!
//! In bf16, the gradient of what the first layer gives is rounded where it is computed, tile by tile, and never in memory
//! as f32.

use super::Cpu;
use super::activation::apply_slope;
use super::bf16_words::{across, along};
use super::form::Form;
use super::lanes::LANES;
use super::linear_backward::{AT_ONCE, Left, input_product, weight_product};
use super::memory::Buffer;
use super::prepared;
use super::product::{Term, product, product_apart};
use super::right::pack_rows;
use super::rows::add_tile;
use super::source::{Before, Source};
use super::squares::prefetch;
use super::sums::{add_columns, add_rows};
use super::tiles::{self, Target};
use crate::{Activation, FeedForwardBackward, LinearSize, Precision};

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
    let (wide, narrow) = (prepared::backward(cpu, size, wide), prepared::backward(cpu, size.back(), narrow));
    let (x, before) =
        (Source::of(x), Before::new(before, Form::beside(precision, cpu.level), inner, activation));
    for first in (0..size.rows).step_by(AT_ONCE) {
        let size = LinearSize { rows: AT_ONCE.min(size.rows - first), ..size };
        let widened = {
            let before = before.from(first);
            let packed = pack_rows(cpu, precision, Source::Activated(before), inner, size.rows);
            let d_output = &d_output[first * hidden..][..size.rows * hidden];
            let left = Left::new(cpu, precision, d_output, d_narrow.bias);
            let term = Term { left: left.rows(), right: &narrow };
            let (widened, ()) = cpu.join(
                || widened_gradient(cpu, size.back(), term, before, d_wide.bias),
                || weight_product(cpu, size.back(), left.columns(), &packed, true, d_narrow.weight),
            );
            widened
        };
        let packed = pack_rows(cpu, precision, x.from(first, hidden), hidden, size.rows);
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
    before: Before<'_>,
    d_bias: &mut [f32],
) -> Left<'static> {
    let LinearSize { rows, inputs: inner, outputs, precision } = size;
    let (form, level) = (Form::of(precision, cpu.level), cpu.level);
    let sizes = [rows, inner, form.words(outputs)];
    if precision == Precision::F32 {
        let mut widened = cpu.memory.scratch(rows * inner);
        product(cpu, form, sizes, &[term], false, [&mut widened], |at, [row]| {
            slope(cpu, before, at, &mut [], row);
        });
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
            let mut room = cpu.memory.near(tile.columns);
            for (row, sums) in sums.chunks_exact_mut(tile.stride()).enumerate() {
                let sums = &mut sums[..tile.columns];
                as_rows.ask(row);
                as_columns.ask(row / form.numbers());
                slope(cpu, before, [tile.row + row, tile.column], &mut room, sums);
                add_tile(level, sums, slot.row(0));
            }
            along(level, tile.sums(sums), tile.rows, &mut as_rows);
            across(level, tile.sums(sums), tile.rows, &mut as_columns);
        },
    );
    add_rows(level, &slots, d_bias);
    Left::Words { along: along_words, across: across_words }
}

/// `gradient *= activation'(before)` for a piece of a row.
fn slope(cpu: &Cpu, before: Before<'_>, at: [usize; 2], room: &mut [f32], gradient: &mut [f32]) {
    let words = before.words(at, gradient.len());
    // The next row's are a page away.
    let next = words.as_ptr().wrapping_add(before.stride());
    (0..words.len()).step_by(LANES).for_each(|i| prefetch(next.wrapping_add(i)));
    apply_slope(cpu.level, before.activation, before.numbers(cpu, words, room), gradient);
}
