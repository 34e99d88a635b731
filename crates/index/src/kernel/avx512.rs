//! The kernel for AVX-512F: a panel is two registers of sixteen queries wide.

use std::arch::x86_64::{
    _CMP_EQ_OQ, _CMP_NLT_UQ, _MM_HINT_T1, _mm_prefetch, _mm512_cmp_ps_mask, _mm512_fmadd_ps, _mm512_loadu_ps,
    _mm512_set1_ps, _mm512_setzero_ps, _mm512_storeu_ps,
};

use super::{Block, Scores};

const LANES: usize = 16;

/// Scores `ROWS` documents for `VECTORS` × 16 queries.
///
/// # Safety
/// The processor must have AVX-512F. `block.panel` must hold `dim` × `VECTORS` × 16 numbers, `block.rows` `ROWS` ×
/// `dim`, `block.floors` `VECTORS` × 16.
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn block<const VECTORS: usize, const ROWS: usize>(block: Block<'_>, scores: &mut Scores) {
    let width = VECTORS * LANES;
    let mut sums = [[_mm512_setzero_ps(); VECTORS]; ROWS];
    let mut panel = block.panel.as_ptr();
    let rows: [*const f32; ROWS] = std::array::from_fn(|row| block.rows[row * block.dim..].as_ptr());
    for position in 0..block.dim {
        if position % 16 == 0 {
            // A share of the rows that follow, in the order in which they lie.
            let next = block.rows.as_ptr().wrapping_add(block.rows.len() + position * ROWS);
            for line in 0..ROWS {
                _mm_prefetch::<_MM_HINT_T1>(next.wrapping_add(16 * line).cast());
            }
        }
        // SAFETY: `position` is below `dim`, so the panel holds `width` numbers here and each row one.
        unsafe {
            let queries: [_; VECTORS] =
                std::array::from_fn(|vector| _mm512_loadu_ps(panel.add(vector * LANES)));
            for (sums, row) in sums.iter_mut().zip(rows) {
                let number = _mm512_set1_ps(*row.add(position));
                for (sum, queries) in sums.iter_mut().zip(queries) {
                    *sum = _mm512_fmadd_ps(queries, number, *sum);
                }
            }
            panel = panel.add(width);
        }
    }
    let lowest = _mm512_set1_ps(f32::NEG_INFINITY);
    for (row, sums) in sums.iter().enumerate() {
        let mut bits = 0;
        for (vector, sum) in sums.iter().enumerate() {
            // SAFETY: floors hold `width` numbers and `values` has room for `MOST_ROWS` rows of the widest panel.
            unsafe {
                _mm512_storeu_ps(scores.values[row * width + vector * LANES..].as_mut_ptr(), *sum);
                let floors = _mm512_loadu_ps(block.floors.as_ptr().add(vector * LANES));
                // "Not less than" is true for NaN, too.
                let candidate = _mm512_cmp_ps_mask::<_CMP_NLT_UQ>(*sum, floors)
                    | _mm512_cmp_ps_mask::<_CMP_EQ_OQ>(*sum, lowest);
                bits |= u32::from(candidate) << (vector * LANES);
            }
        }
        scores.candidates[row] = bits;
    }
}
