//! Matrix products of any size, of words of any form.
//!
//! The right operand is packed once, the left one is read where it lies; a tile of the result takes all of the inner index, chunk by chunk, so that a
//! panel's chunk stays in the first cache while the tile's rows pass over it.

use super::Cpu;
use super::block::multiply;
use super::columns::Columns;
use super::form::Form;
use super::lanes::LANES;
use super::left::Left;
use super::memory::Buffer;
use super::packing::{Panels, Rows, pack, pack_transposed, panels};
use super::rows::add_tile;
use super::tiles::{Tile, each_tile};

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

/// Elements of a packed operand that one task packs.
const PACKED: usize = 1 << 16;

/// The right operand of a product.
#[derive(Clone, Copy)]
pub(super) enum Right<'a> {
    /// A matrix, to be packed.
    Matrix(Operand<'a>),
    /// What [`pack_right`] made of one.
    Packed(&'a [f32]),
}

/// `left · right` for `[m, k] · [k, n]`, where `k` counts words of a form, written to the first of `targets`, or added to
/// what is there; rows of it go to `finish` as [`each_tile`] says.
pub(super) fn product<const N: usize>(
    cpu: &Cpu,
    form: Form,
    [m, n, k]: [usize; 3],
    left: Operand<'_>,
    right: Right<'_>,
    accumulate: bool,
    targets: [&mut [f32]; N],
    finish: impl Fn([usize; 2], [&mut [f32]; N]) + Send + Sync,
) {
    assert!(left.values.len() >= m * k, "operand of {m}×{k} with {} elements", left.values.len());
    let packed;
    let right = match right {
        Right::Packed(packed) => packed,
        Right::Matrix(right) => {
            packed = pack_right(cpu, right, n, k);
            &packed
        }
    };
    let depth = k.div_ceil(k.div_ceil(CHUNK).max(1));
    let chunks = |tile: Tile, sums: &mut Columns<'_>| {
        let right = Panels::new(form, right, k).slice(tile.column / LANES, panels(tile.columns));
        if k == 0 {
            (0..tile.rows).for_each(|row| sums.row(row).fill(0.0));
        }
        for first in (0..k).step_by(depth.max(1)) {
            let depth = depth.min(k - first);
            let left = if left.is_transposed {
                Left::columns(&left.values[first * m + tile.row..], m)
            } else {
                Left::rows(&left.values[tile.row * k + first..], k)
            };
            multiply(cpu.level, left, tile.rows, right.rows(first, depth), first > 0, sums);
        }
    };
    let sum = |tile: Tile, target: &mut Columns<'_>| {
        if accumulate {
            // Summed apart, so that adding to what is there rounds once.
            let stride = panels(tile.columns) * LANES;
            let mut own = cpu.memory.scratch(tile.rows * stride);
            chunks(tile, &mut Columns::whole(&mut own, stride));
            for (row, sums) in own.chunks_exact(stride).enumerate() {
                add_tile(cpu.level, &sums[..tile.columns], target.row(row));
            }
        } else {
            chunks(tile, target);
        }
    };
    each_tile(cpu, [m, n, k], targets, sum, finish);
}

/// `out = left · right`.
pub(super) fn product_into(
    cpu: &Cpu,
    size: [usize; 3],
    left: Operand<'_>,
    right: Operand<'_>,
    out: &mut [f32],
) {
    product(cpu, Form::Single, size, left, Right::Matrix(right), false, [out], as_it_is);
}

/// Finishes a product that needs no more than its sums.
pub(super) fn as_it_is(_: [usize; 2], _: [&mut [f32]; 1]) {}

/// The right operand in panels of columns.
pub(super) fn pack_right(cpu: &Cpu, right: Operand<'_>, n: usize, k: usize) -> Buffer {
    assert!(right.values.len() >= k * n, "operand of {k}×{n} with {} elements", right.values.len());
    let mut packed = cpu.memory.scratch(panels(n) * LANES * k);
    let columns = (PACKED / (k * LANES).max(1)).max(1) * LANES;
    let pieces = packed.chunks_mut((columns * k).max(1)).zip((0..n).step_by(columns));
    cpu.each(n * k, pieces, |(packed, first)| {
        if right.is_transposed {
            let rows = Rows { values: &right.values[first * k..], stride: k, columns: k };
            pack_transposed(cpu.level, rows, n - first, packed);
        } else {
            let rows = Rows { values: &right.values[first..], stride: n, columns: n - first };
            pack(cpu.level, rows, k, packed);
        }
    });
    packed
}
