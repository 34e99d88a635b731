//! One register of AVX-512.
//!
//! SAFETY of every call: the processor has AVX-512 F and BW, and what the type is named after, by the caller's word;
//! sixteen words are a register, of which unaligned loads and stores are asked for, of fewer words under a mask; a register
//! of words is as good as one of anything else; a tile is what its caller asked for.
#![expect(clippy::undocumented_unsafe_blocks, reason = "one reason for all, above")]

use std::arch::x86_64::{
    __m512, __m512bh, __m512i, _mm512_add_epi32, _mm512_add_ps, _mm512_castps_si512, _mm512_castsi512_ps,
    _mm512_dpbf16_ps, _mm512_dpbusd_epi32, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_madd_epi16,
    _mm512_mask_storeu_ps, _mm512_maskz_loadu_ps, _mm512_set1_epi32, _mm512_set1_ps, _mm512_setzero_ps,
    _mm512_storeu_ps,
};
use std::mem::transmute;

use super::Sixteen;
use crate::cpu::lanes::Lanes;
use crate::cpu::zmm::filled;

/// A word in every lane.
#[inline(always)]
unsafe fn everywhere(word: f32) -> __m512i {
    unsafe { _mm512_set1_epi32(word.to_bits().cast_signed()) }
}

/// Sums as words of any kind, with what adds two of them and what adds a product of words.
macro_rules! sums {
    (
        $(#[$attribute:meta])* $name:ident, $features:literal,
        |$a:ident, $b:ident| $add:expr,
        |$sum:ident, $left:ident, $right:ident| $add_product:expr
    ) => {
        $(#[$attribute])*
        #[derive(Clone, Copy)]
        pub(in crate::cpu) struct $name(__m512);

        impl Sixteen for $name {
            #[inline(always)]
            unsafe fn zero() -> Self {
                unsafe { Self(_mm512_setzero_ps()) }
            }

            #[inline(always)]
            unsafe fn load(from: &Lanes) -> Self {
                unsafe { Self(_mm512_loadu_ps(from.as_ptr())) }
            }

            #[inline(always)]
            unsafe fn store(self, to: &mut Lanes) {
                unsafe { _mm512_storeu_ps(to.as_mut_ptr(), self.0) };
            }

            #[inline(always)]
            unsafe fn load_some(from: &[f32]) -> Self {
                unsafe { Self(_mm512_maskz_loadu_ps(filled(from.len()), from.as_ptr())) }
            }

            #[inline(always)]
            unsafe fn store_some(self, to: &mut [f32]) {
                unsafe { _mm512_mask_storeu_ps(to.as_mut_ptr(), filled(to.len()), self.0) };
            }

            #[inline(always)]
            unsafe fn add(self, Self($b): Self) -> Self {
                let Self($a) = self;
                unsafe { Self($add) }
            }

            #[inline(always)]
            unsafe fn add_product(self, $left: f32, Self($right): Self) -> Self {
                let Self($sum) = self;
                unsafe { Self($add_product) }
            }

            apart!($features);
        }
    };
}

/// An operation on integers, on registers of words.
macro_rules! integers {
    ($operation:ident($a:expr, $($b:expr),+)) => {
        _mm512_castsi512_ps($operation(_mm512_castps_si512($a), $($b),+))
    };
}

sums! {
    /// Numbers in f32.
    Avx512, "avx512f,avx512bw",
    |a, b| _mm512_add_ps(a, b),
    |sum, left, right| _mm512_fmadd_ps(_mm512_set1_ps(left), right, sum)
}

sums! {
    /// Pairs of bf16, with AVX512-BF16.
    Avx512Bf16, "avx512f,avx512bw,avx512bf16",
    |a, b| _mm512_add_ps(a, b),
    |sum, left, right| _mm512_dpbf16_ps(
        sum,
        transmute::<__m512i, __m512bh>(everywhere(left)),
        transmute::<__m512, __m512bh>(right),
    )
}

sums! {
    /// Pairs of sixteen-bit integers.
    Avx512Pairs, "avx512f,avx512bw",
    |a, b| integers!(_mm512_add_epi32(a, _mm512_castps_si512(b))),
    |sum, left, right| {
        let product = _mm512_madd_epi16(everywhere(left), _mm512_castps_si512(right));
        integers!(_mm512_add_epi32(sum, product))
    }
}

sums! {
    /// Four bytes, with AVX512-VNNI.
    Avx512Bytes, "avx512f,avx512bw,avx512vnni",
    |a, b| integers!(_mm512_add_epi32(a, _mm512_castps_si512(b))),
    |sum, left, right| integers!(_mm512_dpbusd_epi32(sum, everywhere(left), _mm512_castps_si512(right)))
}
