//! The order in which tiles in registers cover a block of a product: panel by panel, down the rows.

use super::columns::{Columns, Place};
use super::lanes::Lanes;
use super::left::Left;
use super::packing::Panels;
use super::sixteen::Sixteen;

/// All rows against `WIDE` panels: `ROWS` at a time, then what is left in fours, twos and ones.
///
/// # Safety
/// As for [`Sixteen`], and the rows and panels are within `out`.
#[inline(always)]
unsafe fn rows<V: Sixteen, const ROWS: usize, const WIDE: usize>(
    left: Left<'_>,
    n: usize,
    panels: [&[Lanes]; WIDE],
    accumulate: bool,
    out: Place,
) {
    let mut row = 0;
    // SAFETY: the caller's word.
    unsafe {
        while row + ROWS <= n {
            V::tile::<ROWS, WIDE>(left, row, panels, accumulate, out.from(row, 0));
            row += ROWS;
        }
        while row + 4 <= n {
            V::tile::<4, WIDE>(left, row, panels, accumulate, out.from(row, 0));
            row += 4;
        }
        while row + 2 <= n {
            V::tile::<2, WIDE>(left, row, panels, accumulate, out.from(row, 0));
            row += 2;
        }
        if row < n {
            V::tile::<1, WIDE>(left, row, panels, accumulate, out.from(row, 0));
        }
    }
}

/// A block of `n` rows by all panels of `right`, as [`multiply`](super::block::multiply) says: as many sums as
/// the registers hold, those of `ROWS` rows by `WIDE` panels.
///
/// # Safety
/// As for [`Sixteen`].
#[inline(always)]
pub(super) unsafe fn blocked<V: Sixteen, const ROWS: usize, const WIDE: usize>(
    left: Left<'_>,
    n: usize,
    right: Panels<'_>,
    accumulate: bool,
    out: &mut Columns<'_>,
) {
    let panels = right.len();
    let out = out.place(n, panels);
    let mut panel = 0;
    // SAFETY: the caller's word; the place was made for these rows and panels.
    unsafe {
        while WIDE > 1 && panel + WIDE <= panels {
            let mut side_by_side = [right.get(panel); WIDE];
            for (wide, next) in side_by_side.iter_mut().enumerate() {
                *next = right.get(panel + wide);
            }
            rows::<V, ROWS, WIDE>(left, n, side_by_side, accumulate, out.from(0, panel));
            panel += WIDE;
        }
        while panel < panels {
            rows::<V, ROWS, 1>(left, n, [right.get(panel)], accumulate, out.from(0, panel));
            panel += 1;
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

    /// A blocking, whichever level uses it, against a plain loop.
    fn check<const ROWS: usize, const WIDE: usize>(
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
        let mut out = vec![1.0; n * columns];
        let operand = if is_transposed { Left::columns(&left, stride) } else { Left::rows(&left, stride) };
        let right = Panels::new(Form::Single, &packed, depth);
        let product = |operand, accumulate, out: &mut [f32]| {
            // SAFETY: every processor has the portable instructions.
            unsafe {
                blocked::<Portable<false>, ROWS, WIDE>(
                    operand,
                    n,
                    right,
                    accumulate,
                    &mut Columns::whole(out, columns),
                );
            };
        };
        product(operand, false, &mut out);
        product(operand, true, &mut out);
        for row in 0..n {
            for column in 0..columns {
                let mut sum = 0.0;
                for k in 0..depth {
                    let left = if is_transposed { left[k * stride + row] } else { left[row * stride + k] };
                    sum += left * values[k * columns + column];
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
        for n in [1, 5, 12, 31] {
            for columns in [5, 32, 50] {
                for is_transposed in [false, true] {
                    check::<2, 1>(n, 9, columns, is_transposed);
                    check::<6, 1>(n, 9, columns, is_transposed);
                    check::<12, 2>(n, 9, columns, is_transposed);
                }
            }
        }
    }
}
