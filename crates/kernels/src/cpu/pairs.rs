//! Products of operands that hold two sixteen-bit numbers of the inner index in each 32-bit word: integers and bf16.
//!
//! One instruction multiplies such pairs, and adds both products to a sum of 32 bits.

use std::array;
use std::ops::AddAssign;

use super::lanes::LANES;

/// Rows of a tile in registers.
pub(super) const ROWS: usize = 12;

/// Pairs of inner indices of a chunk: sixteen columns of it are less than half of a first cache.
const CHUNK: usize = 192;

/// Sums of a tile in registers.
pub(super) type Sums<S> = [[S; LANES]; ROWS];

/// Adds to the rows of `sums`, which are `stride` apart, those of `left`, `depth` pairs each, times the panels of
/// `right`, `[panels, depth, 16]`.
///
/// `tile` is `Σ_p left[row][p] · right[p][column]`, with the inner product of two pairs for `·`; the rows that it gets are
/// as long as its right operand. Each sum is added in the order of the inner index.
pub(super) fn multiply<S: Copy + AddAssign>(
    tile: impl Fn([&[i32]; ROWS], &[[i32; LANES]]) -> Sums<S>,
    depth: usize,
    left: &[i32],
    right: &[i32],
    sums: &mut [S],
    stride: usize,
) {
    let rows = sums.len() / stride;
    let chunk = depth.div_ceil(depth.div_ceil(CHUNK).max(1)).max(1);
    for range in (0..depth).step_by(chunk).map(|first| first..depth.min(first + chunk)) {
        for (panel, right) in right.chunks_exact(depth * LANES).enumerate() {
            let right = &right.as_chunks::<LANES>().0[range.clone()];
            for first in (0..rows).step_by(ROWS) {
                let n = ROWS.min(rows - first);
                // Where rows are missing, the last one is computed again.
                let left = array::from_fn(|r| &left[(first + r.min(n - 1)) * depth..][range.clone()]);
                for (r, tile) in tile(left, right).iter().take(n).enumerate() {
                    let out = &mut sums[(first + r) * stride + panel * LANES..][..LANES];
                    for (out, &sum) in out.iter_mut().zip(tile) {
                        *out += sum;
                    }
                }
            }
        }
    }
}
