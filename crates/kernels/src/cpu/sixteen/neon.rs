//! Four registers of NEON.
//!
//! SAFETY of every call: every AArch64 processor has NEON, and for bytes `dotprod` by the caller's word; four words are a
//! register.
#![expect(clippy::undocumented_unsafe_blocks, reason = "one reason for all, above")]

use std::arch::aarch64::{
    float32x4_t, int32x4_t, vaddq_f32, vaddq_s32, vdupq_n_f32, vdupq_n_s32, vld1q_f32, vld1q_s32, vst1q_f32,
    vst1q_s32,
};
use std::arch::asm;

use super::Sixteen;
use crate::cpu::lanes::Lanes;

/// Sums as registers of any kind: how they begin, are read, written and added, and what adds products of words to them,
/// those of the right operand with the first of `left`.
///
/// The products are assembly because the intrinsic for bytes is not stable in the toolchain, and because the compiler,
/// given f32's, spreads each word of the left operand over a register with an instruction (`ld1r`) that takes a
/// multiplication's place.
macro_rules! sums {
    (
        $(#[$attribute:meta])* $name:ident([$register:ty; 4]),
        $zero:expr, $load:ident, $store:ident, $add:ident, $add_product:literal
    ) => {
        $(#[$attribute])*
        #[derive(Clone, Copy)]
        pub(in crate::cpu) struct $name([$register; 4]);

        impl Sixteen for $name {
            #[inline(always)]
            unsafe fn zero() -> Self {
                unsafe { Self([$zero; 4]) }
            }

            #[inline(always)]
            unsafe fn load(from: &Lanes) -> Self {
                let mut own = unsafe { Self::zero() };
                for (register, from) in own.0.iter_mut().zip(from.as_chunks::<4>().0) {
                    *register = unsafe { $load(from.as_ptr().cast()) };
                }
                own
            }

            #[inline(always)]
            unsafe fn store(self, to: &mut Lanes) {
                for (register, to) in self.0.into_iter().zip(to.as_chunks_mut::<4>().0) {
                    unsafe { $store(to.as_mut_ptr().cast(), register) };
                }
            }

            #[inline(always)]
            unsafe fn add(mut self, other: Self) -> Self {
                for (register, other) in self.0.iter_mut().zip(other.0) {
                    *register = unsafe { $add(*register, other) };
                }
                self
            }

            #[inline(always)]
            unsafe fn add_product(mut self, left: f32, right: Self) -> Self {
                for (register, right) in self.0.iter_mut().zip(right.0) {
                    unsafe {
                        asm!(
                            $add_product,
                            sum = inout(vreg) *register,
                            right = in(vreg) right,
                            left = in(vreg) left,
                            // Products in f32 set the flags of exceptions.
                            options(pure, nomem, nostack),
                        );
                    }
                }
                self
            }
        }
    };
}

sums! {
    /// Numbers in f32.
    Neon([float32x4_t; 4]),
    vdupq_n_f32(0.0), vld1q_f32, vst1q_f32, vaddq_f32, "fmla {sum:v}.4s, {right:v}.4s, {left:v}.s[0]"
}

sums! {
    /// Four bytes with a sign, on processors that multiply them (`dotprod`).
    NeonBytes([int32x4_t; 4]),
    vdupq_n_s32(0), vld1q_s32, vst1q_s32, vaddq_s32, "sdot {sum:v}.4s, {right:v}.16b, {left:v}.4b[0]"
}
