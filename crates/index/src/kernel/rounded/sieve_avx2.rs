//! The sieve for AVX2 with FMA: eight queries an instruction.

use std::arch::x86_64::{
    _CMP_NLT_UQ, _mm256_add_ps, _mm256_cmp_ps, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_movemask_ps,
    _mm256_mul_ps, _mm256_set1_ps,
};

use super::Lanes;
use crate::kernel::MOST_ROWS;
use crate::rounded::bound::RowBound;

const LANES: usize = 8;

/// # Safety
/// The processor must have AVX2 and FMA; `values` must hold a number for each of the rows of `bounds` and each lane, of
/// which there are a multiple of eight.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn sieve(
    values: &[f32],
    bounds: &[[f32; RowBound::COLUMNS]],
    lanes: &Lanes<'_>,
    kept: &mut [u32; MOST_ROWS],
) {
    let width = lanes.units.len();
    for (row, &[scale, error, norm]) in bounds.iter().enumerate() {
        let [scale, error, norm] = [scale, error, norm].map(|number| _mm256_set1_ps(number));
        let mut bits = 0;
        for lane in (0..width).step_by(LANES) {
            // SAFETY: eight lanes from `lane` on are within the panel's width.
            let [value, unit, share, floor] = unsafe {
                [
                    _mm256_loadu_ps(values.as_ptr().add(row * width + lane)),
                    _mm256_loadu_ps(lanes.units.as_ptr().add(lane)),
                    _mm256_loadu_ps(lanes.shares.as_ptr().add(lane)),
                    _mm256_loadu_ps(lanes.floors.as_ptr().add(lane)),
                ]
            };
            let estimate = _mm256_mul_ps(value, _mm256_mul_ps(scale, unit));
            let upper = _mm256_add_ps(estimate, _mm256_fmadd_ps(share, norm, error));
            // "Not less than" is true for NaN, too.
            bits |= (_mm256_movemask_ps(_mm256_cmp_ps::<_CMP_NLT_UQ>(upper, floor)) as u32) << lane;
        }
        kept[row] = bits;
    }
}
