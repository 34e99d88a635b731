//! The order in which tiles in registers cover a block of a product: panel by panel, down the rows.

use super::columns::{Columns, Place};
use super::left::{Layout, Left};
use super::packing::Panels;
use super::registers::Operands;
use super::sixteen::Sixteen;

/// All rows against `WIDE` panels: `ROWS` at a time, then what is left in fours, twos and ones.
///
/// # Safety
/// As for [`Sixteen`]; the operands have the rows, panels and inner indices, and `out` has room for the sums.
#[inline(always)]
unsafe fn rows<V: Sixteen, const ROWS: usize, const WIDE: usize, const TRANSPOSED: bool>(
    operands: Operands,
    n: usize,
    accumulate: bool,
    out: Place,
) {
    let Operands { left, stride, panel, distance, depth } = operands;
    let next = if TRANSPOSED { 1 } else { stride };
    let mut row = 0;
    macro_rules! tiles {
        ($rows:expr) => {
            while n - row >= $rows {
                let (left, out) = (left.wrapping_add(row * next), out.from(row, 0));
                // SAFETY: the caller's word.
                unsafe {
                    V::tile::<{ $rows }, WIDE, TRANSPOSED>(
                        left, stride, panel, distance, depth, accumulate, out,
                    );
                }
                row += $rows;
            }
        };
    }
    tiles!(ROWS);
    tiles!(4);
    tiles!(2);
    tiles!(1);
}

/// All rows against all panels, `WIDE` at a time.
///
/// # Safety
/// As for [`rows`].
#[inline(always)]
unsafe fn panels<V: Sixteen, const ROWS: usize, const WIDE: usize, const TRANSPOSED: bool>(
    operands: Operands,
    [n, panels]: [usize; 2],
    accumulate: bool,
    out: Place,
) {
    let from = |panel| Operands { panel: operands.panel.wrapping_add(panel * operands.distance), ..operands };
    let mut panel = 0;
    // SAFETY: the caller's word.
    unsafe {
        while WIDE > 1 && panel + WIDE <= panels {
            rows::<V, ROWS, WIDE, TRANSPOSED>(from(panel), n, accumulate, out.from(0, panel));
            panel += WIDE;
        }
        while panel < panels {
            rows::<V, ROWS, 1, TRANSPOSED>(from(panel), n, accumulate, out.from(0, panel));
            panel += 1;
        }
    }
}

/// A block of `n` rows by all panels of `right`, as [`multiply`](super::block::multiply) says: as many sums as
/// the registers hold, those of `ROWS` rows by `WIDE` panels.
///
/// # Safety
/// As for [`Sixteen`], but for what the tiles read and write, which is checked here.
#[inline(always)]
pub(super) unsafe fn blocked<V: Sixteen, const ROWS: usize, const WIDE: usize>(
    left: Left<'_>,
    n: usize,
    right: Panels<'_>,
    accumulate: bool,
    out: &mut Columns<'_>,
) {
    let size = [n, right.len()];
    if size.contains(&0) {
        return;
    }
    let (out, depth) = (out.place(n, right.len()), right.depth());
    let (stride, is_transposed) = match left.layout {
        Layout::Rows(stride) => (stride, false),
        Layout::Columns(stride) => (stride, true),
    };
    let [outer, inner] = if is_transposed { [depth, n] } else { [n, depth] };
    let needed = if depth == 0 { 0 } else { (outer - 1) * stride + inner };
    assert!(needed <= left.values.len(), "a left operand of {} words, {needed} needed", left.values.len());
    let (panel, distance) = (right.start(), right.height());
    let needed = (right.len() - 1) * distance + depth;
    assert!(needed <= panel.len(), "panels of {} rows, {needed} needed", panel.len());
    let panel = panel.as_ptr();
    let operands = Operands { left: left.values.as_ptr(), stride, panel, distance, depth };
    // SAFETY: the caller's word; operands and place were made for these rows and panels.
    unsafe {
        if is_transposed {
            panels::<V, ROWS, WIDE, true>(operands, size, accumulate, out);
        } else {
            panels::<V, ROWS, WIDE, false>(operands, size, accumulate, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::form::Form;
    use super::super::lanes::LANES;
    use super::super::level::Level;
    use super::super::packing::{Rows, pack, panels};
    use super::super::sixteen::Portable;
    use super::*;
    use crate::Key;

    /// Rows of panels that do not take part: before those that do, and behind them.
    const AROUND: [usize; 2] = [2, 1];

    fn draw(purpose: &str, n: usize) -> Vec<f32> {
        (0..n).map(|i| Key::new(1).purpose(purpose).with(i as u64).normal() as f32).collect()
    }

    /// A blocking, whichever level uses it, against a plain loop.
    fn check<const ROWS: usize, const WIDE: usize>([n, depth, columns]: [usize; 3], is_transposed: bool) {
        let stride = if is_transposed { n } else { depth } + 3;
        let left = draw("left", stride * n.max(depth));
        let height = depth + AROUND[0] + AROUND[1];
        let values = draw("right", height * columns);
        let mut packed = vec![f32::NAN; panels(columns) * LANES * height];
        let panels = &mut Columns::whole(&mut packed, height * LANES);
        pack(Level::SCALAR, Rows { values: &values, stride: columns, columns }, height, panels);
        let mut out = vec![1.0; n * columns];
        let operand = if is_transposed { Left::columns(&left, stride) } else { Left::rows(&left, stride) };
        let right = Panels::new(Form::Single, &packed, height).rows(AROUND[0], depth);
        for accumulate in [false, true] {
            let out = &mut Columns::whole(&mut out, columns);
            // SAFETY: every processor has the portable instructions.
            unsafe { blocked::<Portable<false>, ROWS, WIDE>(operand, n, right, accumulate, out) };
        }
        for row in 0..n {
            for column in 0..columns {
                let mut sum = 0.0;
                for k in 0..depth {
                    let left = if is_transposed { left[k * stride + row] } else { left[row * stride + k] };
                    sum += left * values[(k + AROUND[0]) * columns + column];
                }
                let found = out[row * columns + column];
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
        let (rows, sizes) = ([31, 12, 5, 1], [(3, 50), (2, 32), (1, 5), (4, 16), (7, 33), (9, 50)]);
        // Miri takes minutes for all of them.
        let (rows, sizes) = if cfg!(miri) { (&rows[2..], &sizes[..1]) } else { (&rows[..], &sizes[..]) };
        for &n in rows {
            for &(depth, columns) in sizes {
                for is_transposed in [false, true] {
                    check::<2, 1>([n, depth, columns], is_transposed);
                    check::<6, 1>([n, depth, columns], is_transposed);
                    check::<12, 2>([n, depth, columns], is_transposed);
                }
            }
        }
    }

    /// A product of 3 × 16 × 5 with a left operand of so many words.
    fn with_words(words: usize, is_transposed: bool) {
        let (left, packed, mut out) = (vec![1.0; words], vec![1.0; LANES * 5], vec![0.0; 3 * LANES]);
        let left = if is_transposed { Left::columns(&left, 4) } else { Left::rows(&left, 6) };
        let right = Panels::new(Form::Single, &packed, 5);
        // SAFETY: every processor has the portable instructions.
        unsafe {
            blocked::<Portable<false>, 2, 1>(left, 3, right, false, &mut Columns::whole(&mut out, LANES));
        }
    }

    #[test]
    fn an_operand_may_end_with_its_last_word() {
        with_words(2 * 6 + 5, false);
        with_words(4 * 4 + 3, true);
    }

    #[test]
    #[should_panic(expected = "a left operand of 16 words, 17 needed")]
    fn rows_that_are_too_short_are_refused() {
        with_words(2 * 6 + 4, false);
    }

    #[test]
    #[should_panic(expected = "a left operand of 18 words, 19 needed")]
    fn columns_that_are_too_short_are_refused() {
        with_words(4 * 4 + 2, true);
    }
}
