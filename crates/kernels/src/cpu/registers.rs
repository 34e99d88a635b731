//! A tile of a product whose sums never leave the registers: the innermost loop of everything.

use super::columns::Place;
use super::lanes::Lanes;
use super::left::{Layout, Left};
use super::sixteen::Sixteen;
use super::squares::prefetch;
use super::store::store;

/// Inner indices between the one that is multiplied and the one whose cache line is asked for, where they lie so far
/// apart that no processor foresees them: some 200 cycles, of which the second cache needs a quarter.
const AHEAD: usize = 16;

/// Inner indices from which on a tile takes longer than its place's cache lines are waited for.
const LONG: usize = 64;

/// `ROWS` rows by `WIDE` panels of a product, written to `out` or added to what is there.
///
/// # Safety
/// As for [`Sixteen`]; the tile is within `out`.
#[inline(always)]
pub(super) unsafe fn tile<V: Sixteen, const ROWS: usize, const WIDE: usize>(
    left: Left<'_>,
    row: usize,
    panels: [&[Lanes]; WIDE],
    accumulate: bool,
    out: Place,
) {
    if panels[0].len() >= LONG {
        out.ask(ROWS, WIDE);
    }
    // SAFETY: the caller's word.
    unsafe { store(sums::<V, ROWS, WIDE>(left, row, panels), accumulate, out) }
}

/// The sums of [`tile`].
///
/// # Safety
/// As for [`Sixteen`].
#[inline(always)]
unsafe fn sums<V: Sixteen, const ROWS: usize, const WIDE: usize>(
    left: Left<'_>,
    row: usize,
    panels: [&[Lanes]; WIDE],
) -> [[V; WIDE]; ROWS] {
    let depth = panels[0].len();
    // SAFETY: the processor is the caller's word; each layout's places of `ROWS` rows and `depth` inner indices are within
    // the slices cut here. The compiler does not see it, and its checks would take the place of multiply-adds.
    unsafe {
        match left.layout {
            Layout::Rows(stride) => {
                let rows = &left.values[row * stride..][..(ROWS - 1) * stride + depth];
                along(
                    #[inline(always)]
                    |k, r| *rows.get_unchecked(r * stride + k),
                    panels,
                )
            }
            Layout::Columns(stride) => {
                let columns =
                    &left.values[row..][..depth.saturating_sub(1) * stride + ROWS.min(depth * ROWS)];
                along(
                    #[inline(always)]
                    |k, r| {
                        if r == 0 || r == ROWS - 1 {
                            prefetch(columns.as_ptr().wrapping_add((k + AHEAD) * stride + r));
                        }
                        *columns.get_unchecked(k * stride + r)
                    },
                    panels,
                )
            }
        }
    }
}

/// The tile whose left operand is `left(k, row)`, four inner indices a turn.
///
/// # Safety
/// As for [`Sixteen`]; `left` is asked for every `k` of the panels and every row.
#[inline(always)]
unsafe fn along<V: Sixteen, const ROWS: usize, const WIDE: usize>(
    left: impl Fn(usize, usize) -> f32,
    panels: [&[Lanes]; WIDE],
) -> [[V; WIDE]; ROWS] {
    let depth = panels[0].len();
    for panel in panels {
        assert_eq!(panel.len(), depth, "panels of one product are as deep as each other");
    }
    // SAFETY: the caller's word; `k` is below every panel's length.
    unsafe {
        let mut sums = [[V::zero(); WIDE]; ROWS];
        let mut k = 0;
        while k + 4 <= depth {
            for k in k..k + 4 {
                add(&left, panels, k, &mut sums);
            }
            k += 4;
        }
        while k < depth {
            add(&left, panels, k, &mut sums);
            k += 1;
        }
        sums
    }
}

/// Adds the products of inner index `k` to the sums: a function, because a closure stays a call here, and each of its
/// instructions too.
///
/// # Safety
/// As for [`along`].
#[inline(always)]
unsafe fn add<V: Sixteen, const ROWS: usize, const WIDE: usize>(
    left: &impl Fn(usize, usize) -> f32,
    panels: [&[Lanes]; WIDE],
    k: usize,
    sums: &mut [[V; WIDE]; ROWS],
) {
    // SAFETY: the caller's word.
    unsafe {
        let mut columns = [V::zero(); WIDE];
        for (panel, columns) in panels.iter().zip(&mut columns) {
            *columns = V::load(panel.get_unchecked(k));
        }
        for (r, sums) in sums.iter_mut().enumerate() {
            let left = left(k, r);
            for (sum, columns) in sums.iter_mut().zip(columns) {
                *sum = sum.add_product(left, columns);
            }
        }
    }
}
