//! The innermost loop of products in bf16, where the processor has an instruction for it.

use super::lanes::LANES;
use super::level::Level;
use super::pairs::{ROWS, Sums};

/// Whether products of pairs are an instruction of this level; the others multiply rounded numbers in f32.
pub(super) fn is_native(level: Level) -> bool {
    level == Level::Avx512Bf16
}

/// `Σ_p left[row][p] · right[p][column]`, where both are pairs of bf16 numbers and `·` is the pairs' inner product. The
/// rows of `left` are as long as `right`.
///
/// # Panics
/// When the level has no such instruction.
pub(super) fn tile(level: Level, left: [&[i32]; ROWS], right: &[[i32; LANES]]) -> Sums<f32> {
    let left = left.map(|row| &row[..right.len()]);
    match level {
        // SAFETY: a `Cpu` has a level only when the processor has its features; the rows of `left` were cut to the length
        // of `right`.
        #[cfg(target_arch = "x86_64")]
        Level::Avx512Bf16 => unsafe { native(left, right) },
        _ => unreachable!("products of pairs at level {level}, for {} rows", left.len()),
    }
}

/// # Safety
/// The processor has AVX512-BF16, and every row of `left` is at least as long as `right`.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bf16")]
unsafe fn native(left: [&[i32]; ROWS], right: &[[i32; LANES]]) -> Sums<f32> {
    use std::arch::x86_64::{
        __m512bh, __m512i, _mm512_dpbf16_ps, _mm512_loadu_si512, _mm512_set1_epi32, _mm512_setzero_ps,
        _mm512_storeu_ps,
    };
    use std::mem::transmute;

    let mut sums = [_mm512_setzero_ps(); ROWS];
    for (p, right) in right.iter().enumerate() {
        // SAFETY: sixteen words are a register, of which an unaligned load is asked for; a register of integers is as good
        // as one of pairs.
        let right = unsafe { transmute::<__m512i, __m512bh>(_mm512_loadu_si512(right.as_ptr().cast())) };
        for (sum, left) in sums.iter_mut().zip(left) {
            // SAFETY: `p` is below the length of `right` and so of the row, by the caller's word; as above.
            let pair = unsafe { transmute::<__m512i, __m512bh>(_mm512_set1_epi32(*left.get_unchecked(p))) };
            *sum = _mm512_dpbf16_ps(*sum, right, pair);
        }
    }
    let mut out = [[0.0; LANES]; ROWS];
    for (out, sum) in out.iter_mut().zip(sums) {
        // SAFETY: a row has room for the sixteen numbers of a register.
        unsafe { _mm512_storeu_ps(out.as_mut_ptr(), sum) };
    }
    out
}
