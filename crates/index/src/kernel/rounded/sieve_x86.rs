//! The sieve in registers: eight queries an instruction with AVX2, sixteen with AVX-512.

use std::arch::x86_64::{
    _CMP_NLT_UQ, _mm256_add_ps, _mm256_cmp_ps, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_movemask_ps,
    _mm256_mul_ps, _mm256_set1_ps, _mm512_add_ps, _mm512_cmp_ps_mask, _mm512_fmadd_ps, _mm512_loadu_ps,
    _mm512_mul_ps, _mm512_set1_ps,
};

use super::Lanes;
use crate::kernel::MOST_ROWS;
use crate::rounded::bound::RowBound;

/// A sieve of so many lanes at once; `not_below` has a bit for every lane whose bound is not less than the floor.
macro_rules! sieve {
    (
        $(#[$attribute:meta])* $name:ident, $lanes:literal,
        $set1:ident, $load:ident, $multiply:ident, $add:ident, $multiply_add:ident,
        |$upper:ident, $floor:ident| $not_below:expr
    ) => {
        $(#[$attribute])*
        pub(super) unsafe fn $name(
            values: &[f32],
            bounds: &[[f32; RowBound::COLUMNS]],
            lanes: &Lanes<'_>,
            kept: &mut [u32; MOST_ROWS],
        ) {
            let width = lanes.units.len();
            for (row, &[scale, error, norm]) in bounds.iter().enumerate() {
                let [scale, error, norm] = [scale, error, norm].map(|number| $set1(number));
                let mut bits = 0;
                for lane in (0..width).step_by($lanes) {
                    // SAFETY: a register of lanes from `lane` on is within the panel's width.
                    let [value, unit, share, $floor] = unsafe {
                        [
                            $load(values.as_ptr().add(row * width + lane)),
                            $load(lanes.units.as_ptr().add(lane)),
                            $load(lanes.shares.as_ptr().add(lane)),
                            $load(lanes.floors.as_ptr().add(lane)),
                        ]
                    };
                    let estimate = $multiply(value, $multiply(scale, unit));
                    let $upper = $add(estimate, $multiply_add(share, norm, error));
                    bits |= $not_below << lane;
                }
                kept[row] = bits;
            }
        }
    };
}

// "Not less than" is true for NaN, too.
sieve! {
    /// # Safety
    /// The processor must have AVX2 and FMA; `values` must hold a number for each of the rows of `bounds` and each lane,
    /// of which there are a multiple of eight.
    #[target_feature(enable = "avx2,fma")]
    avx2, 8,
    _mm256_set1_ps, _mm256_loadu_ps, _mm256_mul_ps, _mm256_add_ps, _mm256_fmadd_ps,
    |upper, floor| (_mm256_movemask_ps(_mm256_cmp_ps::<_CMP_NLT_UQ>(upper, floor)) as u32)
}

sieve! {
    /// # Safety
    /// The processor must have AVX-512F; `values` must hold a number for each of the rows of `bounds` and each lane, of
    /// which there are a multiple of sixteen.
    #[target_feature(enable = "avx512f")]
    avx512, 16,
    _mm512_set1_ps, _mm512_loadu_ps, _mm512_mul_ps, _mm512_add_ps, _mm512_fmadd_ps,
    |upper, floor| u32::from(_mm512_cmp_ps_mask::<_CMP_NLT_UQ>(upper, floor))
}
