//! The kernel in plain Rust, which the compiler turns into what the target has (on 64-bit Arm: NEON).

use std::array;

use super::{Block, MOST_ROWS, MOST_WIDTH, Scores};

/// Scores `ROWS` documents for `WIDTH` queries.
///
/// # Safety
/// None is needed; the function is unsafe only to have the type of its siblings.
pub(super) unsafe fn block<const WIDTH: usize, const ROWS: usize>(block: Block<'_>, scores: &mut Scores) {
    const { assert!(ROWS <= MOST_ROWS && WIDTH <= MOST_WIDTH, "scores have room") };
    let dim = block.dim;
    let mut sums = [[0.0_f32; WIDTH]; ROWS];
    let panel = &block.panel.as_chunks::<WIDTH>().0[..dim];
    let rows: [&[f32]; ROWS] = array::from_fn(|row| &block.rows[row * dim..][..dim]);
    for (position, queries) in panel.iter().enumerate() {
        for (sums, row) in sums.iter_mut().zip(rows) {
            // SAFETY: the panel and each row were cut to `dim` above. A check here would keep the sums in memory.
            let number = unsafe { *row.get_unchecked(position) };
            for (sum, query) in sums.iter_mut().zip(queries) {
                *sum = query.mul_add(number, *sum);
            }
        }
    }
    // Sums that are looked at one by one would be kept in memory, from the first position on.
    let (values, _) = scores.values.as_chunks_mut::<WIDTH>();
    for (values, sums) in values.iter_mut().zip(sums) {
        *values = sums;
    }
    for (candidates, values) in scores.candidates.iter_mut().zip(&*values).take(ROWS) {
        let bits = values.iter().zip(block.floors).enumerate().map(|(lane, (score, floor))| {
            let candidate = score >= floor || !score.is_finite();
            u32::from(candidate) << lane
        });
        *candidates = bits.sum();
    }
}
