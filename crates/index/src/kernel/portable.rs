//! The kernel in plain Rust, which the compiler turns into what the target has (on 64-bit Arm: NEON).

use super::{Block, Scores};

/// Scores `ROWS` documents for `WIDTH` queries.
///
/// # Safety
/// None is needed; the function is unsafe only to have the type of its siblings.
pub(super) unsafe fn block<const WIDTH: usize, const ROWS: usize>(block: Block<'_>, scores: &mut Scores) {
    let mut sums = [[0.0_f32; WIDTH]; ROWS];
    for (position, queries) in block.panel.chunks_exact(WIDTH).enumerate() {
        for (row, sums) in sums.iter_mut().enumerate() {
            let number = block.rows[row * block.dim + position];
            for (sum, query) in sums.iter_mut().zip(queries) {
                *sum = query.mul_add(number, *sum);
            }
        }
    }
    for (row, sums) in sums.iter().enumerate() {
        scores.values[row * WIDTH..][..WIDTH].copy_from_slice(sums);
        let bits = sums.iter().zip(block.floors).enumerate().map(|(lane, (sum, floor))| {
            let candidate = sum >= floor || !sum.is_finite();
            u32::from(candidate) << lane
        });
        scores.candidates[row] = bits.sum();
    }
}
