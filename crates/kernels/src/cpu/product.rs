//! Matrix products of any size, cut into tiles whose sums stay in the second cache until they are finished.
//!
//! The right operand is packed once; a tile of the result takes all of the inner index, chunk by chunk, so that a
//! panel's chunk stays in the first cache while the tile's rows pass over it.
//! What is done with finished sums (a bias, an activation, an addition) is the caller's, row by row, while they are
//! still near.

use super::Cpu;
use super::block::{Left, multiply};
use super::columns::Columns;
use super::lanes::LANES;
use super::memory::Buffer;
use super::packing::{Panels, Rows, pack, pack_columns, pack_transposed, panels, rows_of};
use super::rows::add_tile;

/// A row-major matrix that takes part in a product, as it is or transposed.
#[derive(Clone, Copy)]
pub(super) struct Operand<'a> {
    values: &'a [f32],
    is_transposed: bool,
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

/// Rows of a tile: a multiple of what every level holds in registers, few enough that a chunk of the left operand and
/// the sums share the second cache.
pub(super) const ROWS: usize = 48;

/// Columns of a tile, when there are rows enough to go round.
const COLUMNS: usize = 384;

/// The least columns of a tile.
const FEWEST_COLUMNS: usize = 64;

/// Tiles below which the columns are cut finer, so that threads share short batches.
const TILES: usize = 16;

/// Inner indices of a chunk: sixteen columns of it are 24 KiB, most of a small first cache.
const CHUNK: usize = 384;

/// Elements of a packed operand that one task packs.
const PACKED: usize = 1 << 16;

/// Columns of a tile of a result with `m` rows and `n` columns; it depends on the shape alone.
pub(super) fn tile_columns(m: usize, n: usize) -> usize {
    let blocks = TILES.div_ceil(m.div_ceil(ROWS).max(1));
    n.div_ceil(blocks).next_multiple_of(2 * LANES).clamp(FEWEST_COLUMNS, COLUMNS)
}

/// Cuts a row-major `[m, n]` matrix into the tiles of a product, in their order.
pub(super) fn tiles(matrix: &mut [f32], m: usize, n: usize) -> impl Iterator<Item = Columns<'_>> {
    let width = tile_columns(m, n);
    matrix.chunks_mut((ROWS * n).max(1)).flat_map(move |rows| Columns::split(rows, n, width))
}

/// The first row and the first column of every tile, in their order.
pub(super) fn places(m: usize, n: usize) -> impl Iterator<Item = [usize; 2]> {
    let width = tile_columns(m, n);
    (0..m).step_by(ROWS).flat_map(move |row| (0..n).step_by(width).map(move |column| [row, column]))
}

/// The right operand of a product.
#[derive(Clone, Copy)]
pub(super) enum Right<'a> {
    /// A matrix, to be packed.
    Matrix(Operand<'a>),
    /// What [`pack_right`] made of one.
    Packed(&'a [f32]),
}

/// `left · right` for `[m, k] · [k, n]`.
///
/// Every row of sums goes to `finish` with the column that it starts at, and with the same piece of the row of each of
/// `targets`, which are `[m, n]`.
pub(super) fn product<const N: usize>(
    cpu: &Cpu,
    [m, n, k]: [usize; 3],
    left: Operand<'_>,
    right: Right<'_>,
    targets: [&mut [f32]; N],
    finish: impl Fn(usize, &[f32], [&mut [f32]; N]) + Send + Sync,
) {
    assert!(left.values.len() >= m * k, "operand of {m}×{k} with {} elements", left.values.len());
    let mut targets = targets.map(|target| tiles(&mut target[..m * n], m, n));
    let packed;
    let right = match right {
        Right::Packed(packed) => packed,
        Right::Matrix(right) => {
            packed = pack_right(cpu, right, n, k);
            &packed
        }
    };
    let packed_left = left.is_transposed.then(|| pack_left(cpu, left.values, m, k));
    let width = tile_columns(m, n);
    let work = places(m, n)
        .map(|place| (place, targets.each_mut().map(|tiles| tiles.next().expect("a tile a place"))));
    cpu.each(m * n * k / 16, work, |([row, column], mut targets)| {
        let (rows, columns) = (ROWS.min(m - row), width.min(n - column));
        let stride = panels(columns) * LANES;
        let mut sums = cpu.memory.scratch(ROWS * stride);
        let right = Panels::new(right, k).slice(column / LANES, panels(columns));
        let depth = k.div_ceil(k.div_ceil(CHUNK).max(1));
        if k == 0 {
            sums.fill(0.0);
        }
        for first in (0..k).step_by(depth.max(1)) {
            let depth = depth.min(k - first);
            let left = match &packed_left {
                Some(packed) => Left::panels(cpu.level, packed, k, row, first),
                None => Left::rows(&left.values[row * k + first..], k),
            };
            multiply(cpu.level, left, rows, right.rows(first, depth), first > 0, &mut sums, stride);
        }
        for (row, sums) in sums.chunks_exact(stride).take(rows).enumerate() {
            finish(column, &sums[..columns], targets.each_mut().map(|target| target.row(row)));
        }
    });
}

/// `out = left · right`, or `out += …`.
pub(super) fn product_into(
    cpu: &Cpu,
    size: [usize; 3],
    left: Operand<'_>,
    right: Operand<'_>,
    accumulate: bool,
    out: &mut [f32],
) {
    if accumulate {
        product(cpu, size, left, Right::Matrix(right), [out], |_, sums, [out]| {
            add_tile(cpu.level, sums, out);
        });
    } else {
        product(cpu, size, left, Right::Matrix(right), [out], |_, sums, [out]| out.copy_from_slice(sums));
    }
}

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

/// The transpose of `[k, m]` in panels of as many rows as the registers hold.
fn pack_left(cpu: &Cpu, values: &[f32], m: usize, k: usize) -> Buffer {
    let height = rows_of(cpu.level);
    let mut packed = cpu.memory.scratch(m.next_multiple_of(height) * k);
    let rows = (PACKED / (k * height).max(1)).max(1) * height;
    let pieces = packed.chunks_mut((rows * k).max(1)).zip((0..m).step_by(rows));
    cpu.each(m * k, pieces, |(packed, first)| {
        pack_columns(cpu.level, Rows { values: &values[first..], stride: m, columns: m - first }, k, packed);
    });
    packed
}
