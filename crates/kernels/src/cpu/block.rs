//! Products in registers: what attention and the large products are made of.
//!
//! The right operand is packed into panels of sixteen columns; the left one is read where it lies, or packed into
//! panels of as many rows as the registers hold (`packing`).
//! Each element of the result is summed in the order of the inner index, whatever the blocking.

use std::array;

use super::lanes::{LANES, Lanes, mul_add};
use super::level::{Level, multiversion};
use super::packing::{Panels, rows_of, tile_rows};

/// The left operand of a product.
#[derive(Clone, Copy)]
pub(super) struct Left<'a> {
    values: &'a [f32],
    layout: Layout,
}

/// Where the element of a row and an inner index lies.
#[derive(Clone, Copy)]
enum Layout {
    /// Rows at this distance from each other.
    Rows(usize),
    /// Inner indices at this distance from each other, the rows of each side by side.
    Columns(usize),
    /// As columns, for as many rows at a time as the registers hold; a panel has this many inner indices in memory.
    Panels(usize),
}

impl<'a> Left<'a> {
    /// Rows that lie `stride` elements apart.
    pub(super) fn rows(values: &'a [f32], stride: usize) -> Self {
        Self { values, layout: Layout::Rows(stride) }
    }

    /// The transpose of rows that lie `stride` elements apart.
    pub(super) fn columns(values: &'a [f32], stride: usize) -> Self {
        Self { values, layout: Layout::Columns(stride) }
    }

    /// What [`pack_columns`](super::packing::pack_columns) wrote for an inner index of `depth`: rows from `row`, which begins a panel, and inner
    /// indices from `first`.
    pub(super) fn panels(level: Level, packed: &'a [f32], depth: usize, row: usize, first: usize) -> Self {
        let height = rows_of(level);
        debug_assert!(row.is_multiple_of(height), "row {row} lies inside a panel of {height}");
        Self { values: &packed[row * depth + first * height..], layout: Layout::Panels(depth) }
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
    let (values, stride) = match left.layout {
        Layout::Rows(stride) => {
            let rows = array::from_fn(|r| &left.values[(row + r) * stride..][..depth]);
            return along_rows::<FMA, ROWS, WIDE>(rows, panels);
        }
        Layout::Panels(height) => {
            let columns = &left.values[row * height..].as_chunks::<ROWS>().0[..panels[0].len()];
            return along_columns::<FMA, ROWS, WIDE>(columns, panels);
        }
        Layout::Columns(stride) => (&left.values[row..], stride),
    };
    let mut sums = [[[0.0; LANES]; WIDE]; ROWS];
    for k in 0..depth {
        let column: [f32; ROWS] = *values[k * stride..].first_chunk().expect("the rows are there");
        step::<FMA, ROWS, WIDE>(column, array::from_fn(|wide| panels[wide][k]), &mut sums);
    }
    sums
}

/// The tile of rows that are read where they lie, four inner indices at a time: the addresses are computed once for
/// four.
#[inline(always)]
fn along_rows<const FMA: bool, const ROWS: usize, const WIDE: usize>(
    rows: [&[f32]; ROWS],
    panels: [&[Lanes]; WIDE],
) -> [[Lanes; WIDE]; ROWS] {
    let depth = panels[0].len();
    let (rows, panels) = (rows.map(|row| &row[..depth]), panels.map(|panel| &panel[..depth]));
    let mut sums = [[[0.0; LANES]; WIDE]; ROWS];
    for four in 0..depth / 4 {
        for k in [4 * four, 4 * four + 1, 4 * four + 2, 4 * four + 3] {
            // SAFETY: `k` is below `depth`, the length of every slice. The compiler does not see it through the arrays,
            // and its checks would take the place of multiply-adds.
            let (column, panels) = unsafe { (elements(&rows, k), elements(&panels, k)) };
            step::<FMA, ROWS, WIDE>(column, panels, &mut sums);
        }
    }
    for k in depth / 4 * 4..depth {
        // SAFETY: as above.
        let (column, panels) = unsafe { (elements(&rows, k), elements(&panels, k)) };
        step::<FMA, ROWS, WIDE>(column, panels, &mut sums);
    }
    sums
}

/// Element `k` of every slice.
///
/// # Safety
/// Every slice is longer than `k`.
#[inline(always)]
unsafe fn elements<T: Copy, const N: usize>(slices: &[&[T]; N], k: usize) -> [T; N] {
    // SAFETY: the caller's word.
    array::from_fn(
        #[inline(always)]
        |i| unsafe { *slices[i].get_unchecked(k) },
    )
}

/// The tile of a packed panel of rows.
#[inline(always)]
fn along_columns<const FMA: bool, const ROWS: usize, const WIDE: usize>(
    columns: &[[f32; ROWS]],
    panels: [&[Lanes]; WIDE],
) -> [[Lanes; WIDE]; ROWS] {
    let (fours, rest) = columns.as_chunks::<4>();
    let (panel_fours, panel_rests) =
        (panels.map(|panel| panel.as_chunks::<4>().0), panels.map(|panel| panel.as_chunks::<4>().1));
    let panel_fours = panel_fours.map(|panel| &panel[..fours.len()]);
    let panel_rests = panel_rests.map(|panel| &panel[..rest.len()]);
    let mut sums = [[[0.0; LANES]; WIDE]; ROWS];
    for (k, columns) in fours.iter().enumerate() {
        for (inner, column) in columns.iter().enumerate() {
            step::<FMA, ROWS, WIDE>(*column, array::from_fn(|wide| panel_fours[wide][k][inner]), &mut sums);
        }
    }
    for (k, column) in rest.iter().enumerate() {
        step::<FMA, ROWS, WIDE>(*column, array::from_fn(|wide| panel_rests[wide][k]), &mut sums);
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
    // A panel of rows is whole in memory, and so is the room for its sums.
    let n = if matches!(left.layout, Layout::Panels(_)) { n.next_multiple_of(ROWS) } else { n };
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
    /// `out = left · right`, or `out += …`, for `n` rows.
    /// The rows of `out` are `stride` elements apart, a multiple of [`LANES`] that holds all panels of `right`.
    pub(super) fn multiply(
        left: Left<'_>,
        n: usize,
        right: Panels<'_>,
        accumulate: bool,
        out: &mut [f32],
        stride: usize,
    ) {
        blocked::<FMA, WIDTH>(left, n, right, accumulate, out, stride / LANES);
    }
}

/// The blocking of [`multiply`]: as many sums as the registers of `WIDTH` numbers hold.
#[inline(always)]
fn blocked<const FMA: bool, const WIDTH: usize>(
    left: Left<'_>,
    n: usize,
    right: Panels<'_>,
    accumulate: bool,
    out: &mut [f32],
    stride: usize,
) {
    let out = out.as_chunks_mut::<LANES>().0;
    let panels = right.len();
    let mut panel = 0;
    if WIDTH == LANES {
        while panel + 2 <= panels {
            let pair = [right.get(panel), right.get(panel + 1)];
            rows::<FMA, { tile_rows(LANES) }, 2>(left, n, pair, accumulate, &mut out[panel..], stride);
            panel += 2;
        }
    }
    while panel < panels {
        let (single, out) = ([right.get(panel)], &mut out[panel..]);
        match WIDTH {
            LANES => rows::<FMA, { tile_rows(LANES) }, 1>(left, n, single, accumulate, out, stride),
            8 => rows::<FMA, { tile_rows(8) }, 1>(left, n, single, accumulate, out, stride),
            _ => rows::<FMA, { tile_rows(4) }, 1>(left, n, single, accumulate, out, stride),
        }
        panel += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::super::packing::{Rows, pack, pack_by, panels};
    use super::*;
    use crate::Key;

    /// The blocking for registers of `WIDTH`, whether this processor has them or not, against a plain loop.
    fn check<const WIDTH: usize, const ROWS: usize>(
        n: usize,
        depth: usize,
        columns: usize,
        is_transposed: bool,
    ) {
        let draw = |purpose: &str, n: usize| -> Vec<f32> {
            (0..n).map(|i| Key::new(1).purpose(purpose).with(i as u64).normal() as f32).collect()
        };
        let stride = if is_transposed { n } else { depth } + 3;
        let left = draw("left", stride * n.max(depth));
        let values = draw("right", depth * columns);
        let mut packed = vec![f32::NAN; panels(columns) * LANES * depth];
        pack(Level::Scalar, Rows { values: &values, stride: columns, columns }, depth, &mut packed);
        let mut out = vec![1.0; n * panels(columns) * LANES];
        let operand = if is_transposed { Left::columns(&left, stride) } else { Left::rows(&left, stride) };
        let right = Panels::new(&packed, depth);
        blocked::<false, WIDTH>(operand, n, right, false, &mut out, panels(columns));
        blocked::<false, WIDTH>(operand, n, right, true, &mut out, panels(columns));
        if is_transposed {
            let mut panels_of_rows = vec![f32::NAN; n.next_multiple_of(ROWS) * depth];
            pack_by::<ROWS>(Rows { values: &left, stride, columns: n }, depth, &mut panels_of_rows);
            let operand = Left { values: &panels_of_rows, layout: Layout::Panels(depth) };
            let mut from_panels = vec![1.0; n.next_multiple_of(ROWS) * panels(columns) * LANES];
            blocked::<false, WIDTH>(operand, n, right, false, &mut from_panels, panels(columns));
            blocked::<false, WIDTH>(operand, n, right, true, &mut from_panels, panels(columns));
            from_panels.truncate(out.len());
            assert_eq!(from_panels, out, "{n}×{columns}×{depth} from panels of {ROWS} rows");
        }
        for row in 0..n {
            for column in 0..columns {
                let mut sum = 0.0;
                for k in 0..depth {
                    let left = if is_transposed { left[k * stride + row] } else { left[row * stride + k] };
                    sum += left * values[k * columns + column];
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
                    check::<4, { tile_rows(4) }>(n, 9, columns, is_transposed);
                    check::<8, { tile_rows(8) }>(n, 9, columns, is_transposed);
                    check::<16, { tile_rows(16) }>(n, 9, columns, is_transposed);
                }
            }
        }
    }
}
