//! The innermost loop of products in eight-bit integers.

use super::lanes::LANES;
use super::level::Level;
use super::pairs::{ROWS, Sums};

/// `Σ_p left[row][p] · right[p][column]`, where both are pairs of sixteen-bit integers and `·` is the pairs' inner
/// product. The rows of `left` are as long as `right`.
pub(super) fn tile(level: Level, left: [&[i32]; ROWS], right: &[[i32; LANES]]) -> Sums<i32> {
    let left = left.map(|row| &row[..right.len()]);
    match level {
        // SAFETY: a `Cpu` has a level only when the processor has its features, the other one was looked for; the rows of
        // `left` were cut to the length of `right`.
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 | Level::Avx512Bf16 if is_x86_feature_detected!("avx512vnni") => unsafe {
            vnni::tile(left, right)
        },
        // SAFETY: as above; AVX-512 machines have AVX2.
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 | Level::Avx512 | Level::Avx512Bf16 => unsafe { avx2::tile(left, right) },
        _ => portable(left, right),
    }
}

/// The two halves of a pair.
#[inline]
fn halves(pair: i32) -> [i32; 2] {
    [i32::from(pair as i16), pair >> 16]
}

fn portable(left: [&[i32]; ROWS], right: &[[i32; LANES]]) -> Sums<i32> {
    let mut sums = [[0; LANES]; ROWS];
    for (p, right) in right.iter().enumerate() {
        for (sums, left) in sums.iter_mut().zip(left) {
            let [a, b] = halves(left[p]);
            for (sum, &right) in sums.iter_mut().zip(right) {
                let [c, d] = halves(right);
                *sum += a * c + b * d;
            }
        }
    }
    sums
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::{
        __m256i, _mm256_add_epi32, _mm256_loadu_si256, _mm256_madd_epi16, _mm256_set1_epi32,
        _mm256_setzero_si256, _mm256_storeu_si256,
    };

    use super::{LANES, ROWS, Sums};

    /// Rows whose sums the registers hold.
    const HALF: usize = ROWS / 2;

    /// # Safety
    /// The processor has AVX2, and every row of `left` is at least as long as `right`.
    #[target_feature(enable = "avx2")]
    pub(super) unsafe fn tile(left: [&[i32]; ROWS], right: &[[i32; LANES]]) -> Sums<i32> {
        let mut out = [[0; LANES]; ROWS];
        for (left, out) in left.as_chunks::<HALF>().0.iter().zip(out.as_chunks_mut::<HALF>().0) {
            // SAFETY: the caller's word.
            unsafe { half(left, right, out) };
        }
        out
    }

    /// # Safety
    /// As [`tile`].
    #[target_feature(enable = "avx2")]
    unsafe fn half(left: &[&[i32]; HALF], right: &[[i32; LANES]], out: &mut [[i32; LANES]; HALF]) {
        let mut sums = [[_mm256_setzero_si256(); 2]; HALF];
        for (p, right) in right.iter().enumerate() {
            let (low, high) = right.split_at(LANES / 2);
            // SAFETY: both halves have the eight numbers of a register; unaligned loads are asked for.
            let halves: [__m256i; 2] = unsafe {
                [_mm256_loadu_si256(low.as_ptr().cast()), _mm256_loadu_si256(high.as_ptr().cast())]
            };
            for (sums, left) in sums.iter_mut().zip(left) {
                // SAFETY: `p` is below the length of `right` and so of the row, by the caller's word.
                let pair = _mm256_set1_epi32(unsafe { *left.get_unchecked(p) });
                for (sum, half) in sums.iter_mut().zip(halves) {
                    *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(half, pair));
                }
            }
        }
        for (out, sums) in out.iter_mut().zip(sums) {
            for (out, sum) in out.as_chunks_mut::<8>().0.iter_mut().zip(sums) {
                // SAFETY: the chunk has room for the eight numbers of a register.
                unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), sum) };
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod vnni {
    use std::arch::x86_64::{
        _mm512_dpwssd_epi32, _mm512_loadu_si512, _mm512_set1_epi32, _mm512_setzero_si512, _mm512_storeu_si512,
    };

    use super::{LANES, ROWS, Sums};

    /// # Safety
    /// The processor has AVX512-VNNI, and every row of `left` is at least as long as `right`.
    #[target_feature(enable = "avx512f,avx512vnni")]
    pub(super) unsafe fn tile(left: [&[i32]; ROWS], right: &[[i32; LANES]]) -> Sums<i32> {
        let mut sums = [_mm512_setzero_si512(); ROWS];
        for (p, right) in right.iter().enumerate() {
            // SAFETY: sixteen numbers are a register; an unaligned load is asked for.
            let right = unsafe { _mm512_loadu_si512(right.as_ptr().cast()) };
            for (sum, left) in sums.iter_mut().zip(left) {
                // SAFETY: `p` is below the length of `right` and so of the row, by the caller's word.
                let pair = _mm512_set1_epi32(unsafe { *left.get_unchecked(p) });
                *sum = _mm512_dpwssd_epi32(*sum, right, pair);
            }
        }
        let mut out = [[0; LANES]; ROWS];
        for (out, sum) in out.iter_mut().zip(sums) {
            // SAFETY: a row has room for the sixteen numbers of a register.
            unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), sum) };
        }
        out
    }
}
