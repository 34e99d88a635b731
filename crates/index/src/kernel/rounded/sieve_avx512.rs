//! The sieve for AVX-512F: sixteen queries an instruction.

use std::arch::x86_64::{
    _CMP_NLT_UQ, _mm512_add_ps, _mm512_cmp_ps_mask, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_mul_ps,
    _mm512_set1_ps,
};

use super::Lanes;
use crate::kernel::MOST_ROWS;
use crate::rounded::bound::RowBound;

const LANES: usize = 16;

/// # Safety
/// The processor must have AVX-512F; `values` must hold a number for each of the rows of `bounds` and each lane, of which
/// there are a multiple of sixteen.
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn sieve(
    values: &[f32],
    bounds: &[[f32; RowBound::COLUMNS]],
    lanes: &Lanes<'_>,
    kept: &mut [u32; MOST_ROWS],
) {
    let width = lanes.units.len();
    for (row, &[scale, error, norm]) in bounds.iter().enumerate() {
        let [scale, error, norm] = [scale, error, norm].map(|number| _mm512_set1_ps(number));
        let mut bits = 0;
        for lane in (0..width).step_by(LANES) {
            // SAFETY: sixteen lanes from `lane` on are within the panel's width.
            let [value, unit, share, floor] = unsafe {
                [
                    _mm512_loadu_ps(values.as_ptr().add(row * width + lane)),
                    _mm512_loadu_ps(lanes.units.as_ptr().add(lane)),
                    _mm512_loadu_ps(lanes.shares.as_ptr().add(lane)),
                    _mm512_loadu_ps(lanes.floors.as_ptr().add(lane)),
                ]
            };
            let estimate = _mm512_mul_ps(value, _mm512_mul_ps(scale, unit));
            let upper = _mm512_add_ps(estimate, _mm512_fmadd_ps(share, norm, error));
            // "Not less than" is true for NaN, too.
            bits |= u32::from(_mm512_cmp_ps_mask::<_CMP_NLT_UQ>(upper, floor)) << lane;
        }
        kept[row] = bits;
    }
}
