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
use super::packing::{Panels, panels};
use super::right::pack_right;
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

/// One of the products that make up a sum.
#[derive(Clone, Copy)]
pub(super) struct Term<'a> {
    pub(super) left: Operand<'a>,
    /// In panels of columns.
    pub(super) right: &'a [f32],
}

/// `Σ left · right` of `terms` of `[m, k] · [k, n]`, where `k` counts words of a form, written to the first of `targets`,
/// or added to what is there; rows of it go to `finish` as [`each_tile`] says.
pub(super) fn product<const N: usize>(
    cpu: &Cpu,
    form: Form,
    [m, n, k]: [usize; 3],
    terms: &[Term<'_>],
    accumulate: bool,
    targets: [&mut [f32]; N],
    finish: impl Fn([usize; 2], [&mut [f32]; N]) + Send + Sync,
) {
    for Term { left, .. } in terms {
        assert!(left.values.len() >= m * k, "operand of {m}×{k} with {} elements", left.values.len());
    }
    let depth = k.div_ceil(k.div_ceil(CHUNK).max(1));
    let chunks = |tile: Tile, sums: &mut Columns<'_>| {
        if k == 0 {
            (0..tile.rows).for_each(|row| sums.row(row).fill(0.0));
        }
        for (number, term) in terms.iter().enumerate() {
            let right = Panels::new(form, term.right, k).slice(tile.column / LANES, panels(tile.columns));
            for first in (0..k).step_by(depth.max(1)) {
                let depth = depth.min(k - first);
                let left = if term.left.is_transposed {
                    Left::columns(&term.left.values[first * m + tile.row..], m)
                } else {
                    Left::rows(&term.left.values[tile.row * k + first..], k)
                };
                let accumulate = number > 0 || first > 0;
                multiply(cpu.level, left, tile.rows, right.rows(first, depth), accumulate, sums);
            }
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
    each_tile(cpu, [m, n, k * terms.len()], targets, sum, finish);
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

/// Finishes a product that needs no more than its sums.
pub(super) fn as_it_is(_: [usize; 2], _: [&mut [f32]; 1]) {}
