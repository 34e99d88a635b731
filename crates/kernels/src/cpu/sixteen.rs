//! Sixteen numbers side by side in the registers of a level.
//!
//! The innermost loop of products is written with these types instead of arrays: the compiler, free to choose, has
//! vectorised it across rows (with gathers and scatters) or computed its addresses in vector registers.

use super::lanes::{LANES, Lanes, mul_add};

/// Sixteen numbers in one or more registers.
///
/// # Safety
/// Every function needs a processor that has the type's instructions, and a caller that is compiled for them, or it
/// becomes a call of its own.
pub(super) trait Sixteen: Copy {
    unsafe fn zero() -> Self;
    unsafe fn load(from: &Lanes) -> Self;
    unsafe fn store(self, to: &mut Lanes);
    unsafe fn add(self, other: Self) -> Self;
    /// `self + left · right`.
    unsafe fn add_product(self, left: f32, right: Self) -> Self;
}

/// As many registers as the compiler finds best.
#[derive(Clone, Copy)]
pub(super) struct Portable<const FMA: bool>(Lanes);

impl<const FMA: bool> Sixteen for Portable<FMA> {
    #[inline(always)]
    unsafe fn zero() -> Self {
        Self([0.0; LANES])
    }

    #[inline(always)]
    unsafe fn load(from: &Lanes) -> Self {
        Self(*from)
    }

    #[inline(always)]
    unsafe fn store(self, to: &mut Lanes) {
        *to = self.0;
    }

    #[inline(always)]
    unsafe fn add(mut self, other: Self) -> Self {
        for lane in 0..LANES {
            self.0[lane] += other.0[lane];
        }
        self
    }

    #[inline(always)]
    unsafe fn add_product(mut self, left: f32, right: Self) -> Self {
        for lane in 0..LANES {
            self.0[lane] = mul_add::<FMA>(left, right.0[lane], self.0[lane]);
        }
        self
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) use x86::{Avx2, Avx512};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m256, __m512, _mm256_add_ps, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_set1_ps, _mm256_setzero_ps,
        _mm256_storeu_ps, _mm512_add_ps, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_set1_ps, _mm512_setzero_ps,
        _mm512_storeu_ps,
    };

    use super::{Lanes, Sixteen};

    /// Two registers of AVX2.
    #[derive(Clone, Copy)]
    pub(in crate::cpu) struct Avx2([__m256; 2]);

    // SAFETY of every call: the processor has AVX2 and FMA by the caller's word; eight lanes are a register, of which
    // unaligned loads and stores are asked for.
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
    }

    /// One register of AVX-512.
    #[derive(Clone, Copy)]
    pub(in crate::cpu) struct Avx512(__m512);

    // SAFETY of every call: the processor has AVX-512 F by the caller's word; sixteen lanes are a register, of which
    // unaligned loads and stores are asked for.
    impl Sixteen for Avx512 {
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
        unsafe fn add(self, other: Self) -> Self {
            unsafe { Self(_mm512_add_ps(self.0, other.0)) }
        }

        #[inline(always)]
        unsafe fn add_product(self, left: f32, right: Self) -> Self {
            unsafe { Self(_mm512_fmadd_ps(_mm512_set1_ps(left), right.0, self.0)) }
        }
    }
}
