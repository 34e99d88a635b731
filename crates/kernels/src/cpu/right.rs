//! The right operand of a product, laid out in panels of columns.

use super::columns::Columns;
use super::form::Form;
use super::lanes::LANES;
use super::memory::Buffer;
use super::packing::{Rows, pack, pack_transposed, panels};
use super::product::Operand;
use super::source::Source;
use super::{Cpu, TILE, bf16_words};
use crate::Precision;

/// Elements of a transposed operand that one task packs.
const PACKED: usize = 1 << 16;

/// The operand `[k, n]` in f32.
pub(super) fn pack_right(cpu: &Cpu, right: Operand<'_>, n: usize, k: usize) -> Buffer {
    if right.is_transposed {
        pack_transpose(cpu, right.values, n, k)
    } else {
        pack_rows(cpu, Precision::F32, Source::Plain(right.values), n, k)
    }
}

/// The transpose of `[n, k]` words.
pub(super) fn pack_transpose(cpu: &Cpu, words: &[f32], n: usize, k: usize) -> Buffer {
    assert!(words.len() >= k * n, "operand of {k}×{n} with {} elements", words.len());
    let mut packed = cpu.memory.scratch(panels(n) * LANES * k);
    let columns = (PACKED / (k * LANES).max(1)).max(1) * LANES;
    let pieces = packed.chunks_mut((columns * k).max(1)).zip((0..n).step_by(columns));
    cpu.each(n * k, pieces, |(packed, first)| {
        let rows = Rows { values: &words[first * k..], stride: k, columns: k };
        pack_transposed(cpu.level, rows, n - first, packed);
    });
    packed
}

/// `[k, n]` in the numbers of a product. Some rows at a time are made, rounded and laid out while they are near.
pub(super) fn pack_rows(cpu: &Cpu, precision: Precision, source: Source<'_>, n: usize, k: usize) -> Buffer {
    assert!(precision != Precision::Int8, "eight-bit integers have no gradients");
    if n == 0 {
        return cpu.memory.scratch(0);
    }
    let form = Form::of(precision, cpu.level);
    let stride = form.words(k) * LANES;
    let mut packed = cpu.memory.scratch(panels(n) * stride);
    // An even number of rows, so that no pair of them is cut.
    let height = (TILE / n).next_multiple_of(2).max(2);
    let tiles = Columns::split(&mut packed, stride, form.words(height) * LANES).zip((0..k).step_by(height));
    cpu.each(n * k, tiles, |(mut packed, first)| {
        let height = height.min(k - first);
        let mut room = cpu.memory.near(source.room(height * n));
        let rows = Rows { values: source.rows(cpu, [first, height], n, &mut room), stride: n, columns: n };
        if precision == Precision::F32 {
            pack(cpu.level, rows, height, &mut packed);
        } else {
            let mut words = cpu.memory.near(form.words(height) * n);
            bf16_words::across(cpu.level, rows, height, &mut Columns::whole(&mut words, n));
            pack(cpu.level, Rows { values: &words, ..rows }, form.words(height), &mut packed);
        }
    });
    packed
}
