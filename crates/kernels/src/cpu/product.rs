//! Matrix products of any size, of words of any form.
//!
//! The right operand is packed once, the left one is read where it lies; a tile of the result takes all of the inner
//! index, chunk by chunk, so that a panel's chunk stays in the first cache while the tile's rows pass over it.

use super::Cpu;
use super::block::multiply;
use super::columns::Columns;
use super::form::Form;
use super::lanes::LANES;
use super::left::Left;
use super::memory::Buffer;
use super::packing::{Panels, panels};
use super::right::pack_right;
use super::tiles::{Target, Tile, each_tile};

/// A row-major matrix that takes part in a product, as it is or transposed.
#[derive(Clone, Copy)]
pub(super) struct Operand<'a> {
    pub(super) values: &'a [f32],
    pub(super) is_transposed: bool,
}

impl<'a> Operand<'a> {
    /// The matrix as it is.
    pub(super) fn plain(values: &'a [f32]) -> Self {
        Self { values, is_transposed: false }
    }

    /// The transpose of the matrix.
    pub(super) fn transposed(values: &'a [f32]) -> Self {
        Self { values, is_transposed: true }
    }
}

/// Inner words of a chunk: sixteen columns of it are 24 KiB, most of a small first cache.
const CHUNK: usize = 384;

/// One of the products that make up a sum.
#[derive(Clone, Copy)]
pub(super) struct Term<'a> {
    pub(super) left: Operand<'a>,
    /// In panels of columns.
    pub(super) right: &'a [f32],
}

/// `Σ left · right` of `terms` of `[m, k] · [k, n]`, where `k` counts words of a form, written to the first of `targets`,
/// or added to what is there, chunk by chunk. Then each row of a tile goes to `finish` while it is near: the row and the
/// column at which it starts, and that piece of the row of each target.
pub(super) fn product<const N: usize>(
    cpu: &Cpu,
    form: Form,
    size: [usize; 3],
    terms: &[Term<'_>],
    accumulate: bool,
    targets: [&mut [f32]; N],
    finish: impl Fn([usize; 2], [&mut [f32]; N]) + Send + Sync,
) {
    let [m, n, k] = size;
    each_tile(cpu, [m, n, k * terms.len()], targets.map(Target::result), |tile, mut targets| {
        sum_tile(cpu, form, size, terms, tile, accumulate, &mut targets[0]);
        for row in 0..tile.rows {
            finish([tile.row + row, tile.column], targets.each_mut().map(|target| target.row(row)));
        }
    });
}

/// As [`product`], but the sums of a tile, rows at its [`stride`](Tile::stride), go nowhere else than to `finish`, with its
/// pieces of `targets`.
pub(super) fn product_apart<const N: usize>(
    cpu: &Cpu,
    form: Form,
    size: [usize; 3],
    terms: &[Term<'_>],
    targets: [Target<'_>; N],
    finish: impl Fn(Tile, &mut [f32], [Columns<'_>; N]) + Send + Sync,
) {
    let [m, n, k] = size;
    each_tile(cpu, [m, n, k * terms.len()], targets, |tile, targets| {
        finish(tile, &mut tile_sums(cpu, form, size, terms, tile), targets);
    });
}

/// A tile's sums in memory of their own, whose rows end with whole panels.
fn tile_sums(cpu: &Cpu, form: Form, size: [usize; 3], terms: &[Term<'_>], tile: Tile) -> Buffer {
    let mut own = cpu.memory.near(tile.rows * tile.stride());
    sum_tile(cpu, form, size, terms, tile, false, &mut Columns::whole(&mut own, tile.stride()));
    own
}

/// Writes a tile's sums, or adds them to what is there.
pub(super) fn sum_tile(
    cpu: &Cpu,
    form: Form,
    [m, _, k]: [usize; 3],
    terms: &[Term<'_>],
    tile: Tile,
    accumulate: bool,
    sums: &mut Columns<'_>,
) {
    if !accumulate && (k == 0 || terms.is_empty()) {
        (0..tile.rows).for_each(|row| sums.row(row).fill(0.0));
    }
    let depth = k.div_ceil(k.div_ceil(CHUNK).max(1));
    for (number, term) in terms.iter().enumerate() {
        let values = term.left.values;
        assert!(values.len() >= m * k, "operand of {m}×{k} with {} elements", values.len());
        let right = Panels::new(form, term.right, k).slice(tile.column / LANES, panels(tile.columns));
        for first in (0..k).step_by(depth.max(1)) {
            let depth = depth.min(k - first);
            let left = if term.left.is_transposed {
                Left::columns(&values[first * m + tile.row..], m)
            } else {
                Left::rows(&values[tile.row * k + first..], k)
            };
            let accumulate = accumulate || number > 0 || first > 0;
            multiply(cpu.level, left, tile.rows, right.rows(first, depth), accumulate, sums);
        }
    }
}

/// `out = left · right`.
pub(super) fn product_into(
    cpu: &Cpu,
    size: [usize; 3],
    left: Operand<'_>,
    right: Operand<'_>,
    out: &mut [f32],
) {
    let [_, n, k] = size;
    let right = &pack_right(cpu, right, n, k);
    product(cpu, Form::Single, size, &[Term { left, right }], false, [out], as_it_is);
}

/// `out += left · right`.
pub(super) fn product_add(
    cpu: &Cpu,
    size: [usize; 3],
    left: Operand<'_>,
    right: Operand<'_>,
    out: &mut [f32],
) {
    let [_, n, k] = size;
    let right = &pack_right(cpu, right, n, k);
    product(cpu, Form::Single, size, &[Term { left, right }], true, [out], as_it_is);
}

/// Finishes a product that needs no more than its sums.
pub(super) fn as_it_is(_: [usize; 2], _: [&mut [f32]; 1]) {}
