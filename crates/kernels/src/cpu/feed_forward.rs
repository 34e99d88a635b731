//! The feed-forward layers: a linear layer to more columns, an activation, a linear layer back.
//!
//! In bf16, what the second layer reads and what is kept for backward are rounded where they are computed, tile by tile,
//! and never in memory as f32; in integers, a block of rows is rounded between the two, where
//! there are rows enough.

use super::Cpu;
use super::activation::apply_in_place;
use super::bf16_words::along;
use super::columns::Columns;
use super::form::Form;
use super::int8;
use super::lanes::LANES;
use super::linear::{self, Input, Product};
use super::memory::Buffer;
use super::packing::Rows;
use super::prepared;
use super::tiles::{self, Target, Tile};
use crate::{Activation, Affine, LinearSize, Precision};

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
    assert!(before.is_none() || size.precision != Precision::Int8, "eight-bit integers have no gradients");
    let x = Input::new(cpu, size, x);
    if let (Precision::Int8, Some(height)) = (size.precision, tiles::block_rows(size.rows)) {
        return forward_in_blocks(cpu, size, height, &x, [wide, narrow], activation, output);
    }
    let in_f32;
    let activated = if size.precision == Precision::Bf16 {
        Input::Bf16(activated_words(cpu, size, &x, wide, activation, before))
    } else {
        let mut activated = cpu.memory.scratch(size.rows * size.outputs);
        linear::forward(cpu, size, &x, wide, activation, before, &mut activated);
        in_f32 = activated;
        Input::new(cpu, size.back(), &in_f32)
    };
    linear::forward(cpu, size.back(), &activated, narrow, Activation::Identity, None, output);
}

/// In integers: a block of `height` rows goes through both layers, since an activated row can be rounded only when it is
/// whole, and is still near then.
fn forward_in_blocks(
    cpu: &Cpu,
    size: LinearSize,
    height: usize,
    x: &Input<'_>,
    [wide, narrow]: [Affine<'_, Buffer>; 2],
    activation: Activation,
    output: &mut [f32],
) {
    let LinearSize { rows, inputs: hidden, outputs: inner, .. } = size;
    let weights = [(size, wide.weight), (size.back(), narrow.weight)]
        .map(|(size, weight)| prepared::forward(cpu, size, weight));
    let widen = Product::new(cpu, size, x, &weights[0], wide.bias);
    let stride = inner.next_multiple_of(LANES);
    let blocks = output[..rows * hidden].chunks_mut((height * hidden).max(1)).enumerate();
    cpu.each(rows * hidden * inner / 16, blocks, |(number, output)| {
        let (first, rows) = (number * height, output.len() / hidden);
        let mut sums = cpu.memory.near(rows * stride);
        let ranges = Columns::split(&mut sums, stride, tiles::COLUMNS);
        for (column, mut range) in (0..inner).step_by(tiles::COLUMNS).zip(ranges) {
            let columns = tiles::COLUMNS.min(inner - column);
            widen.finished_tile(activation, Tile { row: first, column, rows, columns }, &mut range);
        }
        let activated = Rows { values: &sums, stride, columns: inner };
        let activated = Input::Int8(int8::Input::near(cpu, activated, rows));
        let narrowed =
            Product::new(cpu, LinearSize { rows, ..size.back() }, &activated, &weights[1], narrow.bias);
        let whole = Tile { row: 0, column: 0, rows, columns: hidden };
        narrowed.finished_tile(Activation::Identity, whole, &mut Columns::whole(output, hidden));
    });
}

/// The words of `activation(x · weightᵀ + bias)`.
fn activated_words(
    cpu: &Cpu,
    size: LinearSize,
    x: &Input<'_>,
    layer: Affine<'_, Buffer>,
    activation: Activation,
    before: Option<&mut [f32]>,
) -> Buffer {
    let (form, level) = (Form::of(size.precision, cpu.level), cpu.level);
    let mut words = cpu.memory.scratch(size.rows * form.words(size.outputs));
    if let Some(before) = before {
        let weight = prepared::forward(cpu, size, layer.weight);
        let product = Product::new(cpu, size, x, &weight, layer.bias);
        let targets = [Target::along(&mut words, form), Target::along(before, form)];
        product.tiles(targets, |tile, sums, [mut words, mut before]| {
            // A row's words are asked for while another pass goes over its sums.
            product.finish_tile(Activation::Identity, tile, sums, |row| before.ask(row));
            along(level, tile.sums(sums), tile.rows, &mut before);
            for (row, sums) in sums.chunks_exact_mut(tile.stride()).enumerate() {
                words.ask(row);
                apply_in_place(level, activation, &mut sums[..tile.columns]);
            }
            along(level, tile.sums(sums), tile.rows, &mut words);
        });
    } else {
        linear::forward_words(cpu, size, x, layer, activation, &mut words);
    }
    words
}
