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

/// Numbers in f32.
#[derive(Clone, Copy)]
pub(in crate::cpu) struct Avx2([__m256; 2]);

impl Sixteen for Avx2 {
    #[inline(always)]
    unsafe fn zero() -> Self {
        unsafe { Self([_mm256_setzero_ps(); 2]) }
    }

    #[inline(always)]
    unsafe fn load(from: &Lanes) -> Self {
        let from = from.as_ptr();
        unsafe { Self([_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(8))]) }
    }

    #[inline(always)]
    unsafe fn store(self, to: &mut Lanes) {
        let to = to.as_mut_ptr();
        unsafe {
            _mm256_storeu_ps(to, self.0[0]);
            _mm256_storeu_ps(to.add(8), self.0[1]);
        }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        unsafe { Self([_mm256_add_ps(self.0[0], other.0[0]), _mm256_add_ps(self.0[1], other.0[1])]) }
    }

    #[inline(always)]
    unsafe fn add_product(self, left: f32, right: Self) -> Self {
        let [low, high] = right.0;
        unsafe {
            let left = _mm256_set1_ps(left);
            Self([_mm256_fmadd_ps(left, low, self.0[0]), _mm256_fmadd_ps(left, high, self.0[1])])
        }
    }

    apart!("avx2,fma");
}

/// Sums of integers, with what adds a register of products to one of them.
macro_rules! integers {
    (
        $(#[$attribute:meta])* $name:ident, $features:literal,
        |$sum:ident, $left:ident, $right:ident| $add_product:expr
    ) => {
        $(#[$attribute])*
        #[derive(Clone, Copy)]
        pub(in crate::cpu) struct $name([__m256i; 2]);

        impl Sixteen for $name {
            #[inline(always)]
            unsafe fn zero() -> Self {
                unsafe { Self([_mm256_setzero_si256(); 2]) }
            }

            #[inline(always)]
            unsafe fn load(from: &Lanes) -> Self {
                let from = from.as_ptr();
                unsafe { Self([_mm256_loadu_si256(from.cast()), _mm256_loadu_si256(from.add(8).cast())]) }
            }

            #[inline(always)]
            unsafe fn store(self, to: &mut Lanes) {
                let to = to.as_mut_ptr();
                unsafe {
                    _mm256_storeu_si256(to.cast(), self.0[0]);
                    _mm256_storeu_si256(to.add(8).cast(), self.0[1]);
                }
            }

            #[inline(always)]
            unsafe fn add(self, other: Self) -> Self {
                unsafe {
                    Self([_mm256_add_epi32(self.0[0], other.0[0]), _mm256_add_epi32(self.0[1], other.0[1])])
                }
            }

            #[inline(always)]
            unsafe fn add_product(mut self, left: f32, right: Self) -> Self {
                unsafe {
                    let $left = _mm256_set1_epi32(left.to_bits().cast_signed());
                    for (sum, $right) in self.0.iter_mut().zip(right.0) {
                        let $sum = *sum;
                        *sum = $add_product;
                    }
                }
                self
            }

            apart!($features);
        }
    };
}

integers! {
    /// Pairs of sixteen-bit integers.
    Avx2Pairs, "avx2,fma",
    |sum, left, right| _mm256_add_epi32(sum, _mm256_madd_epi16(left, right))
}

integers! {
    /// Four bytes, with AVX-VNNI.
    Avx2Bytes, "avx2,fma,avxvnni",
    |sum, left, right| _mm256_dpbusd_avx_epi32(sum, left, right)
}
