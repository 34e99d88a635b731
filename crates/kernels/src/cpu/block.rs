//! Small products in registers: one head of one text.
//!
//! The right operand is packed into panels of sixteen columns; the left one is read where it lies.
//! Each element of the result is summed in the order of the inner index, whatever the blocking.

use std::array;

use super::lanes::{LANES, Lanes, mul_add};
use super::level::multiversion;

/// The left operand of a product.
#[derive(Clone, Copy)]
pub(super) struct Left<'a> {
    pub(super) values: &'a [f32],
    /// Distance between the rows of what lies in memory.
    pub(super) stride: usize,
    /// Whether the rows in memory are the columns of the operand.
    pub(super) is_transposed: bool,
}

/// Panels that hold `columns` columns.
pub(super) fn panels(columns: usize) -> usize {
    columns.div_ceil(LANES)
}

/// Rows at `stride` from each other, of which `columns` columns count.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub(super) values: &'a [f32],
    pub(super) stride: usize,
    pub(super) columns: usize,
}

impl<'a> Rows<'a> {
    /// The same rows as the left operand of a product.
    pub(super) fn left(self) -> Left<'a> {
        Left { values: self.values, stride: self.stride, is_transposed: false }
    }

    /// The same rows without the first `rows`.
    pub(super) fn from(self, rows: usize) -> Self {
        Self { values: &self.values[rows * self.stride..], ..self }
    }

    /// The columns of one row that count.
    pub(super) fn row(self, row: usize) -> &'a [f32] {
        &self.values[row * self.stride..][..self.columns]
    }
}

multiversion! {
    /// Packs `n` rows as they are: panel by panel, row by row.
    pub(super) fn pack(rows: Rows<'_>, n: usize, packed: &mut [f32]) {
        let packed = packed.as_chunks_mut::<LANES>().0;
        for (panel, packed) in packed.chunks_exact_mut(n).enumerate() {
            let first = panel * LANES;
            let width = LANES.min(rows.columns - first);
            for (row, to) in packed.iter_mut().enumerate() {
                let from = &rows.values[row * rows.stride + first..][..width];
                if let Some(from) = from.first_chunk::<LANES>() {
                    *to = *from;
                } else {
                    *to = array::from_fn(|lane| from.get(lane).copied().unwrap_or(0.0));
                }
            }
        }
    }
}

multiversion! {
    /// Packs the transpose of `n` rows: sixteen rows are a panel.
    pub(super) fn pack_transposed(rows: Rows<'_>, n: usize, packed: &mut [f32]) {
        let packed = packed.as_chunks_mut::<LANES>().0;
        for (panel, packed) in packed.chunks_exact_mut(rows.columns).enumerate() {
            let first = panel * LANES;
            let height = LANES.min(n - first);
            if height == LANES {
                let from: [&[f32]; LANES] = array::from_fn(|lane| rows.row(first + lane));
                for (k, to) in packed.iter_mut().enumerate() {
                    *to = array::from_fn(|lane| from[lane][k]);
                }
            } else {
                packed.fill([0.0; LANES]);
                for lane in 0..height {
                    for (to, x) in packed.iter_mut().zip(rows.row(first + lane)) {
                        to[lane] = *x;
                    }
                }
            }
        }
    }
}

/// `ROWS` rows by `WIDE` panels of a product, all in registers.
#[inline(always)]
fn tile<const FMA: bool, const ROWS: usize, const WIDE: usize>(
    left: Left<'_>,
    row: usize,
    panels: [&[Lanes]; WIDE],
) -> [[Lanes; WIDE]; ROWS] {
    let depth = panels[0].len();
    let panels: [&[Lanes]; WIDE] = array::from_fn(|wide| &panels[wide][..depth]);
    let mut sums = [[[0.0; LANES]; WIDE]; ROWS];
    if left.is_transposed {
        #[expect(clippy::needless_range_loop, reason = "all panels and the left operand are indexed alike")]
        for k in 0..depth {
            let column: [f32; ROWS] =
                *left.values[k * left.stride + row..].first_chunk().expect("the rows are there");
            step::<FMA, ROWS, WIDE>(column, array::from_fn(|wide| panels[wide][k]), &mut sums);
        }
    } else {
        let rows: [&[f32]; ROWS] = array::from_fn(|r| &left.values[(row + r) * left.stride..][..depth]);
        for k in 0..depth {
            step::<FMA, ROWS, WIDE>(
                array::from_fn(|r| rows[r][k]),
                array::from_fn(|wide| panels[wide][k]),
                &mut sums,
            );
        }
    }
    sums
}

/// One rank-one update of the tile.
#[inline(always)]
fn step<const FMA: bool, const ROWS: usize, const WIDE: usize>(
    column: [f32; ROWS],
    panels: [Lanes; WIDE],
    sums: &mut [[Lanes; WIDE]; ROWS],
) {
    for r in 0..ROWS {
        for wide in 0..WIDE {
            for lane in 0..LANES {
                sums[r][wide][lane] = mul_add::<FMA>(column[r], panels[wide][lane], sums[r][wide][lane]);
            }
        }
    }
}

/// All rows against `WIDE` panels: `ROWS` at a time, then what is left in fours, twos and ones.
#[inline(always)]
fn rows<const FMA: bool, const ROWS: usize, const WIDE: usize>(
    left: Left<'_>,
    n: usize,
    panels: [&[Lanes]; WIDE],
    accumulate: bool,
    out: &mut [Lanes],
    stride: usize,
) {
    let mut row = 0;
    while row + ROWS <= n {
        store(tile::<FMA, ROWS, WIDE>(left, row, panels), accumulate, &mut out[row * stride..], stride);
        row += ROWS;
    }
    while row + 4 <= n {
        store(tile::<FMA, 4, WIDE>(left, row, panels), accumulate, &mut out[row * stride..], stride);
        row += 4;
    }
    while row + 2 <= n {
        store(tile::<FMA, 2, WIDE>(left, row, panels), accumulate, &mut out[row * stride..], stride);
        row += 2;
    }
    if row < n {
        store(tile::<FMA, 1, WIDE>(left, row, panels), accumulate, &mut out[row * stride..], stride);
    }
}

#[inline(always)]
fn store<const ROWS: usize, const WIDE: usize>(
    sums: [[Lanes; WIDE]; ROWS],
    accumulate: bool,
    out: &mut [Lanes],
    stride: usize,
) {
    for r in 0..ROWS {
        let out = &mut out[r * stride..][..WIDE];
        for wide in 0..WIDE {
            for lane in 0..LANES {
                let sum = sums[r][wide][lane];
                out[wide][lane] = if accumulate { out[wide][lane] + sum } else { sum };
            }
        }
    }
}

multiversion! {
    /// `out = left · packed`, or `out += …`, for `n` rows and an inner index of `depth`.
    /// The rows of `out` are `stride` elements apart, a multiple of [`LANES`] that holds all panels of `packed`.
    pub(super) fn multiply(
        left: Left<'_>,
        n: usize,
        packed: &[f32],
        depth: usize,
        accumulate: bool,
        out: &mut [f32],
        stride: usize,
    ) {
        blocked::<FMA, WIDTH>(left, n, packed, depth, accumulate, out, stride / LANES);
    }
}

/// The blocking of [`multiply`]: as many sums as the registers of `WIDTH` numbers hold.
#[inline(always)]
fn blocked<const FMA: bool, const WIDTH: usize>(
    left: Left<'_>,
    n: usize,
    packed: &[f32],
    depth: usize,
    accumulate: bool,
    out: &mut [f32],
    stride: usize,
) {
    let packed = packed.as_chunks::<LANES>().0;
    let out = out.as_chunks_mut::<LANES>().0;
    let panels = packed.len() / depth;
    let mut panel = 0;
    if WIDTH == LANES {
        while panel + 2 <= panels {
            let pair = [&packed[panel * depth..][..depth], &packed[(panel + 1) * depth..][..depth]];
            rows::<FMA, 12, 2>(left, n, pair, accumulate, &mut out[panel..], stride);
            panel += 2;
        }
    }
    while panel < panels {
        let single = [&packed[panel * depth..][..depth]];
        if WIDTH == LANES {
            rows::<FMA, 12, 1>(left, n, single, accumulate, &mut out[panel..], stride);
        } else if WIDTH == 8 {
            rows::<FMA, 6, 1>(left, n, single, accumulate, &mut out[panel..], stride);
        } else {
            rows::<FMA, 2, 1>(left, n, single, accumulate, &mut out[panel..], stride);
        }
        panel += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Key;

    /// The blocking for registers of `WIDTH`, whether this processor has them or not, against a plain loop.
    fn check<const WIDTH: usize>(n: usize, depth: usize, columns: usize, is_transposed: bool) {
        let draw = |purpose: &str, n: usize| -> Vec<f32> {
            (0..n).map(|i| Key::new(1).purpose(purpose).with(i as u64).normal() as f32).collect()
        };
        let stride = if is_transposed { n } else { depth } + 3;
        let left = draw("left", stride * n.max(depth));
        let right = draw("right", depth * columns);
        let mut packed = vec![f32::NAN; panels(columns) * LANES * depth];
        pack(crate::Level::Scalar, Rows { values: &right, stride: columns, columns }, depth, &mut packed);
        let mut out = vec![1.0; n * panels(columns) * LANES];
        let operand = Left { values: &left, stride, is_transposed };
        blocked::<false, WIDTH>(operand, n, &packed, depth, false, &mut out, panels(columns));
        blocked::<false, WIDTH>(operand, n, &packed, depth, true, &mut out, panels(columns));
        for row in 0..n {
            for column in 0..columns {
                let mut sum = 0.0;
                for k in 0..depth {
                    let left = if is_transposed { left[k * stride + row] } else { left[row * stride + k] };
                    sum += left * right[k * columns + column];
                }
                let found = out[row * panels(columns) * LANES + column];
                assert_eq!(
                    found.to_bits(),
                    (sum + sum).to_bits(),
                    "{n}×{columns}×{depth}, row {row}, {column}"
                );
            }
        }
    }

    #[test]
    fn every_blocking_gives_the_sums_in_order() {
        for n in [1, 5, 12, 31] {
            for columns in [5, 32, 50] {
                for is_transposed in [false, true] {
                    check::<4>(n, 9, columns, is_transposed);
                    check::<8>(n, 9, columns, is_transposed);
                    check::<16>(n, 9, columns, is_transposed);
                }
            }
        }
    }
}
