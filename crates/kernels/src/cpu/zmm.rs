//! Sixteen numbers, or sixteen words of two in bf16, to and from a register of AVX-512.

use std::arch::x86_64::{
    __m512, __m512bh, __m512i, __mmask16, _mm512_cvtne2ps_pbh, _mm512_loadu_ps, _mm512_storeu_ps,
    _mm512_storeu_si512,
};
use std::mem::transmute;

use super::lanes::{LANES, Lanes};

/// The mask of the first lanes.
#[inline(always)]
pub(super) fn filled(lanes: usize) -> __mmask16 {
    assert!(lanes <= LANES, "{lanes} lanes of a register");
    ((1_u32 << lanes) - 1) as __mmask16
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn load(numbers: &Lanes) -> __m512 {
    // SAFETY: sixteen numbers are a register.
    unsafe { _mm512_loadu_ps(numbers.as_ptr()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn store(numbers: __m512, to: &mut Lanes) {
    // SAFETY: sixteen numbers are a register.
    unsafe { _mm512_storeu_ps(to.as_mut_ptr(), numbers) };
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn store_words(words: __m512i, to: &mut Lanes) {
    // SAFETY: sixteen words are a register.
    unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), words) };
}

/// Thirty-two rounded numbers: those of `low`, then those of `high`.
#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
pub(super) fn rounded(low: __m512, high: __m512) -> __m512i {
    // SAFETY: a register of bf16 is as good as one of integers.
    unsafe { transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(high, low)) }
}
