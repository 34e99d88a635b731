//! Where a tile's sums leave the registers: straight to the result.

use super::columns::Place;
use super::sixteen::Sixteen;

/// Writes a tile's sums, or adds them to what is there.
///
/// # Safety
/// As for [`Sixteen`]; the tile is within the place.
#[inline(always)]
pub(super) unsafe fn store<V: Sixteen, const ROWS: usize, const WIDE: usize>(
    sums: [[V; WIDE]; ROWS],
    accumulate: bool,
    out: Place,
) {
    // SAFETY: the caller's word; where a row ends inside a panel, it is the last one.
    unsafe {
        if out.holds(WIDE) {
            store_whole(sums, WIDE, accumulate, out);
        } else {
            store_whole(sums, WIDE - 1, accumulate, out);
            store_last(sums, accumulate, out);
        }
    }
}

/// [`store`] for the first panels, all of whose columns count.
///
/// # Safety
/// As for [`store`].
#[inline(always)]
unsafe fn store_whole<V: Sixteen, const ROWS: usize, const WIDE: usize>(
    sums: [[V; WIDE]; ROWS],
    panels: usize,
    accumulate: bool,
    out: Place,
) {
    // SAFETY: the caller's word. Neither a check nor a branch may stand between two rows: the compiler would take the
    // sums through memory.
    unsafe {
        if accumulate {
            for (r, sums) in sums.into_iter().enumerate() {
                for (wide, sum) in sums.into_iter().take(panels).enumerate() {
                    let out = out.lanes(r, wide);
                    V::load(out).add(sum).store(out);
                }
            }
        } else {
            for (r, sums) in sums.into_iter().enumerate() {
                for (wide, sum) in sums.into_iter().take(panels).enumerate() {
                    sum.store(out.lanes(r, wide));
                }
            }
        }
    }
}

/// [`store`] for the last panel, inside which a row ends.
///
/// # Safety
/// As for [`store`].
#[inline(always)]
unsafe fn store_last<V: Sixteen, const ROWS: usize, const WIDE: usize>(
    sums: [[V; WIDE]; ROWS],
    accumulate: bool,
    out: Place,
) {
    // SAFETY: the caller's word; as above.
    unsafe {
        if accumulate {
            for (r, sums) in sums.into_iter().enumerate() {
                let out = out.last(r, WIDE - 1);
                V::load_some(out).add(sums[WIDE - 1]).store_some(out);
            }
        } else {
            for (r, sums) in sums.into_iter().enumerate() {
                sums[WIDE - 1].store_some(out.last(r, WIDE - 1));
            }
        }
    }
}
