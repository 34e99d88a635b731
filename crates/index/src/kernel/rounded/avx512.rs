//! Sums of pairs for AVX-512: one instruction multiplies two neighbours of sixteen queries each and adds both products.

use std::arch::x86_64::{
    __m512bh, __m512i, _mm512_cvtepi32_ps, _mm512_dpbf16_ps, _mm512_dpwssd_epi32, _mm512_loadu_si512,
    _mm512_set1_epi32, _mm512_setzero_ps, _mm512_setzero_si512, _mm512_storeu_ps,
};
use std::mem::transmute;

use super::PANEL_WIDTH;
use crate::rounded::bound::RowBound;
use crate::rounded::int16;

/// Rows that a kernel holds in registers at once: enough sums to wait for none.
pub(super) const ROWS: usize = 12;

/// [`int16::round_row`] with this level's instructions.
///
/// # Safety
/// The processor must have AVX-512F.
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn round_pairs(row: &[f32], pairs: &mut [i32]) -> RowBound {
    int16::round_row(row, pairs)
}

/// Sums of `COUNT` rows of pairs of integers for sixteen queries.
///
/// # Safety
/// The processor must have AVX-512 F and VNNI; `panel` must hold sixteen pairs for each of a row's, `rows` `COUNT` rows
/// and `values` `COUNT` × 16 numbers.
#[target_feature(enable = "avx512f,avx512vnni")]
pub(super) unsafe fn pairs_panel<const COUNT: usize>(panel: &[i32], rows: &[i32], values: &mut [f32]) {
    let pairs = rows.len() / COUNT;
    let starts: [*const i32; COUNT] = std::array::from_fn(|row| rows[row * pairs..].as_ptr());
    let mut sums = [_mm512_setzero_si512(); COUNT];
    let mut queries = panel.as_ptr();
    for place in 0..pairs {
        // SAFETY: `place` is below the pairs of a row, so the panel holds sixteen here and each row one.
        unsafe {
            let sixteen = _mm512_loadu_si512(queries.cast());
            for (sum, start) in sums.iter_mut().zip(starts) {
                *sum = _mm512_dpwssd_epi32(*sum, sixteen, _mm512_set1_epi32(*start.add(place)));
            }
            queries = queries.add(PANEL_WIDTH);
        }
    }
    for (values, sum) in values.as_chunks_mut::<PANEL_WIDTH>().0.iter_mut().zip(sums) {
        // SAFETY: the chunk has room for the sixteen numbers of a register.
        unsafe { _mm512_storeu_ps(values.as_mut_ptr(), _mm512_cvtepi32_ps(sum)) };
    }
}

/// Sums of `COUNT` rows in bfloat16, as they lie in the file, for sixteen queries in pairs.
///
/// # Safety
/// The processor must have AVX-512 F and BF16; `panel` must hold sixteen pairs for every two numbers of a row, of which
/// there are an even number, `rows` `COUNT` rows and `values` `COUNT` × 16 numbers.
#[target_feature(enable = "avx512f,avx512bf16")]
pub(super) unsafe fn bf16_panel<const COUNT: usize>(panel: &[i32], rows: &[u16], values: &mut [f32]) {
    let dim = rows.len() / COUNT;
    let starts: [*const i32; COUNT] = std::array::from_fn(|row| rows[row * dim..].as_ptr().cast());
    let mut sums = [_mm512_setzero_ps(); COUNT];
    let mut queries = panel.as_ptr();
    for place in 0..dim / 2 {
        // SAFETY: `place` is below the pairs of a row, so the panel holds sixteen here and each row one, wherever it
        // lies; a register of integers is as good as one of pairs.
        unsafe {
            let sixteen = transmute::<__m512i, __m512bh>(_mm512_loadu_si512(queries.cast()));
            for (sum, start) in sums.iter_mut().zip(starts) {
                let two = _mm512_set1_epi32(start.add(place).read_unaligned());
                *sum = _mm512_dpbf16_ps(*sum, sixteen, transmute::<__m512i, __m512bh>(two));
            }
            queries = queries.add(PANEL_WIDTH);
        }
    }
    for (values, sum) in values.as_chunks_mut::<PANEL_WIDTH>().0.iter_mut().zip(sums) {
        // SAFETY: the chunk has room for the sixteen numbers of a register.
        unsafe { _mm512_storeu_ps(values.as_mut_ptr(), sum) };
    }
}
