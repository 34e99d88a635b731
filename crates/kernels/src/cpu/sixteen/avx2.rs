//! Two registers of AVX2.
//!
//! SAFETY of every call: the processor has AVX2 and FMA, and for bytes AVX-VNNI, by the caller's word; eight words are a
//! register, of which unaligned loads and stores are asked for; a tile is what its caller asked for.
#![expect(clippy::undocumented_unsafe_blocks, reason = "one reason for all, above")]

use std::arch::x86_64::{
    __m256, __m256i, _mm256_add_epi32, _mm256_add_ps, _mm256_dpbusd_avx_epi32, _mm256_fmadd_ps,
    _mm256_loadu_ps, _mm256_loadu_si256, _mm256_madd_epi16, _mm256_set1_epi32, _mm256_set1_ps,
    _mm256_setzero_ps, _mm256_setzero_si256, _mm256_storeu_ps, _mm256_storeu_si256,
};

use super::Sixteen;
use crate::cpu::lanes::Lanes;

/// Sums as two registers of any kind: how they begin, are read, written and added, and what adds a word of the left operand
/// times a register of the right one.
macro_rules! sums {
    (
        $(#[$attribute:meta])* $name:ident([$register:ty; 2]), $features:literal,
        $zero:ident, $load:ident, $store:ident, $add:ident,
        |$sum:ident, $left:ident, $right:ident| $add_product:expr
    ) => {
        $(#[$attribute])*
        #[derive(Clone, Copy)]
        pub(in crate::cpu) struct $name([$register; 2]);

        impl Sixteen for $name {
            #[inline(always)]
            unsafe fn zero() -> Self {
                unsafe { Self([$zero(); 2]) }
            }

            #[inline(always)]
            unsafe fn load(from: &Lanes) -> Self {
                let from = from.as_ptr();
                unsafe { Self([$load(from.cast()), $load(from.add(8).cast())]) }
            }

            #[inline(always)]
            unsafe fn store(self, to: &mut Lanes) {
                let to = to.as_mut_ptr();
                unsafe {
                    $store(to.cast(), self.0[0]);
                    $store(to.add(8).cast(), self.0[1]);
                }
            }

            #[inline(always)]
            unsafe fn add(self, other: Self) -> Self {
                unsafe { Self([$add(self.0[0], other.0[0]), $add(self.0[1], other.0[1])]) }
            }

            #[inline(always)]
            unsafe fn add_product(mut self, $left: f32, right: Self) -> Self {
                for (sum, $right) in self.0.iter_mut().zip(right.0) {
                    let $sum = *sum;
                    *sum = unsafe { $add_product };
                }
                self
            }

            apart!($features);
        }
    };
}

/// A word in every lane.
#[inline(always)]
unsafe fn everywhere(word: f32) -> __m256i {
    unsafe { _mm256_set1_epi32(word.to_bits().cast_signed()) }
}

sums! {
    /// Numbers in f32.
    Avx2([__m256; 2]), "avx2,fma",
    _mm256_setzero_ps, _mm256_loadu_ps, _mm256_storeu_ps, _mm256_add_ps,
    |sum, left, right| _mm256_fmadd_ps(_mm256_set1_ps(left), right, sum)
}

sums! {
    /// Pairs of sixteen-bit integers.
    Avx2Pairs([__m256i; 2]), "avx2,fma",
    _mm256_setzero_si256, _mm256_loadu_si256, _mm256_storeu_si256, _mm256_add_epi32,
    |sum, left, right| _mm256_add_epi32(sum, _mm256_madd_epi16(everywhere(left), right))
}

sums! {
    /// Four bytes, with AVX-VNNI.
    Avx2Bytes([__m256i; 2]), "avx2,fma,avxvnni",
    _mm256_setzero_si256, _mm256_loadu_si256, _mm256_storeu_si256, _mm256_add_epi32,
    |sum, left, right| _mm256_dpbusd_avx_epi32(sum, everywhere(left), right)
}
