//! The innermost loop of products in eight-bit integers: six rows by sixteen columns in registers.

use super::lanes::LANES;
use super::level::Level;

/// Rows of a tile.
pub(super) const ROWS: usize = 6;

/// Sums of a tile.
pub(super) type Sums = [[i32; LANES]; ROWS];

/// `Σ_p left[row][p] · right[p][column]`, where both are pairs of sixteen-bit integers and `·` is the pairs' inner
/// product. The rows of `left` are as long as `right`.
pub(super) fn tile(level: Level, left: [&[i32]; ROWS], right: &[[i32; LANES]]) -> Sums {
    let left = left.map(|row| &row[..right.len()]);
    match level {
        // SAFETY: a `Cpu` has a level only when the processor has its features, and AVX-512 machines have AVX2; the rows
        // of `left` were cut to the length of `right`.
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 | Level::Avx512 => unsafe { avx2::tile(left, right) },
        _ => portable(left, right),
    }
}

/// The two halves of a pair.
#[inline]
fn halves(pair: i32) -> [i32; 2] {
    [i32::from(pair as i16), pair >> 16]
}

fn portable(left: [&[i32]; ROWS], right: &[[i32; LANES]]) -> Sums {
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

    /// # Safety
    /// The processor has AVX2, and every row of `left` is at least as long as `right`.
    #[target_feature(enable = "avx2")]
    pub(super) unsafe fn tile(left: [&[i32]; ROWS], right: &[[i32; LANES]]) -> Sums {
        let mut sums = [[_mm256_setzero_si256(); 2]; ROWS];
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
        let mut out = [[0; LANES]; ROWS];
        for (out, sums) in out.iter_mut().zip(sums) {
            for (out, sum) in out.as_chunks_mut::<8>().0.iter_mut().zip(sums) {
                // SAFETY: the chunk has room for the eight numbers of a register.
                unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), sum) };
            }
        }
        out
    }
}
