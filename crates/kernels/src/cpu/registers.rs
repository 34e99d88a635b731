//! A tile of a product whose sums never leave the registers: the innermost loop of everything.

use super::columns::Place;
use super::lanes::Lanes;
use super::sixteen::Sixteen;
use super::squares::prefetch;
use super::store::store;

/// Inner indices between the one that is multiplied and the one whose cache line is asked for, where they lie so far
/// apart that no processor foresees them: some 200 cycles, of which the second cache needs a quarter.
const AHEAD: usize = 16;

/// Inner indices from which on a tile takes longer than its place's cache lines are waited for.
const LONG: usize = 64;

/// Inner indices a turn of the loop, which share the addresses of rows.
const TURN: usize = 4;

/// What a tile is the product of, in addresses that a call keeps in registers.
#[derive(Clone, Copy)]
pub(super) struct Operands {
    /// The first word of the left operand.
    pub(super) left: *const f32,
    /// Words between its rows; between its inner indices where it is transposed.
    pub(super) stride: usize,
    /// The right operand's first panel.
    pub(super) panel: *const Lanes,
    /// Sixteens between panels.
    pub(super) distance: usize,
    /// Inner indices.
    pub(super) depth: usize,
}

/// `ROWS` rows by `WIDE` panels of a product, written to `out` or added to what is there.
///
/// # Safety
/// As for [`Sixteen`]; the operands have all rows, panels and inner indices, and the tile is within `out`.
#[inline(always)]
pub(super) unsafe fn tile<V: Sixteen, const ROWS: usize, const WIDE: usize, const TRANSPOSED: bool>(
    operands: Operands,
    accumulate: bool,
    out: Place,
) {
    if operands.depth >= LONG {
        out.ask(ROWS, WIDE);
    }
    // SAFETY: the caller's word.
    unsafe { store(sums::<V, ROWS, WIDE, TRANSPOSED>(operands), accumulate, out) }
}

/// The sums of [`tile`].
///
/// # Safety
/// As for [`tile`].
#[inline(always)]
unsafe fn sums<V: Sixteen, const ROWS: usize, const WIDE: usize, const TRANSPOSED: bool>(
    operands: Operands,
) -> [[V; WIDE]; ROWS] {
    let Operands { mut left, stride, mut panel, distance, depth } = operands;
    let next = if TRANSPOSED { stride } else { 1 };
    // SAFETY: the caller's word; the places of `ROWS` rows and `depth` inner indices are the operands'. The compiler does
    // not see it, and its checks would take the place of multiply-adds.
    unsafe {
        let mut sums = [[V::zero(); WIDE]; ROWS];
        let whole = panel.wrapping_add(depth / TURN * TURN);
        while panel != whole {
            for step in 0..TURN {
                let left = left.wrapping_add(step * next);
                add::<V, ROWS, WIDE, TRANSPOSED>(left, stride, panel.add(step), distance, &mut sums);
            }
            panel = panel.add(TURN);
            left = left.wrapping_add(TURN * next);
        }
        for _ in 0..depth % TURN {
            add::<V, ROWS, WIDE, TRANSPOSED>(left, stride, panel, distance, &mut sums);
            panel = panel.add(1);
            left = left.wrapping_add(next);
        }
        sums
    }
}

/// Adds the products of one inner index to the sums: a function, because a closure stays a call here, and each of its
/// instructions too.
///
/// # Safety
/// As for [`tile`].
#[inline(always)]
unsafe fn add<V: Sixteen, const ROWS: usize, const WIDE: usize, const TRANSPOSED: bool>(
    left: *const f32,
    stride: usize,
    panel: *const Lanes,
    distance: usize,
    sums: &mut [[V; WIDE]; ROWS],
) {
    // SAFETY: the caller's word.
    unsafe {
        let mut columns = [V::zero(); WIDE];
        for (wide, columns) in columns.iter_mut().enumerate() {
            *columns = V::load(&*panel.add(wide * distance));
        }
        for (row, sums) in sums.iter_mut().enumerate() {
            if TRANSPOSED && (row == 0 || row == ROWS - 1) {
                prefetch(left.wrapping_add(AHEAD * stride + row));
            }
            let word = *left.add(if TRANSPOSED { row } else { row * stride });
            for (sum, columns) in sums.iter_mut().zip(columns) {
                *sum = sum.add_product(word, columns);
            }
        }
    }
}
