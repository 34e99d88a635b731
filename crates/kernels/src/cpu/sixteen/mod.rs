//! Sixteen words side by side in the registers of a level.
//!
//! The innermost loop of products is written with these types instead of arrays: the compiler, free to choose, has
//! vectorised it across rows (with gathers and scatters) or computed its addresses in vector registers.
//! There is a type for each level and each [`Form`](super::form::Form) of the operands; words travel as the bits of f32.

/// [`Sixteen::tile`] as a call of its own, compiled for these features: inlined into the loop over the rows, a tile's
/// addresses (two dozen) stay on the stack, and moving all of them from tile to tile takes AVX-512 200 cycles; AVX2, with
/// half as many rows, loses 1 to 2 % of an encoding. Its operands come one by one, in registers: slices and arrays of them
/// go through the stack, which takes 60 cycles of a tile instead of 10 (Zen 5).
#[cfg(target_arch = "x86_64")]
macro_rules! apart {
    ($features:literal) => {
        #[target_feature(enable = $features)]
        #[inline(never)]
        unsafe fn tile<const ROWS: usize, const WIDE: usize, const TRANSPOSED: bool>(
            left: *const f32,
            stride: usize,
            panel: *const $crate::cpu::lanes::Lanes,
            distance: usize,
            depth: usize,
            accumulate: bool,
            out: $crate::cpu::columns::Place,
        ) {
            let operands = $crate::cpu::registers::Operands { left, stride, panel, distance, depth };
            unsafe { $crate::cpu::registers::tile::<Self, ROWS, WIDE, TRANSPOSED>(operands, accumulate, out) }
        }
    };
}

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;

use super::columns::Place;
use super::lanes::{LANES, Lanes};
use super::registers::{self, Operands};

#[cfg(target_arch = "x86_64")]
pub(super) use avx2::{Avx2, Avx2Bytes, Avx2Pairs};
#[cfg(target_arch = "x86_64")]
pub(super) use avx512::{Avx512, Avx512Bf16, Avx512Bytes, Avx512Pairs};
#[cfg(target_arch = "aarch64")]
pub(super) use neon::{Neon, NeonBytes};
pub(super) use portable::{Portable, PortablePairs};

/// Sixteen sums, or sixteen words of the right operand, in one or more registers.
///
/// # Safety
/// Every function needs a processor that has the type's instructions, and a caller that is compiled for them, or it
/// becomes a call of its own; [`Sixteen::tile`] also that the operands have all of the tile's rows, panels and inner indices, and
/// that the tile is within `out`.
pub(super) trait Sixteen: Copy {
    unsafe fn zero() -> Self;
    unsafe fn load(from: &Lanes) -> Self;
    unsafe fn store(self, to: &mut Lanes);
    /// The first of sixteen, as many as there are, and zeros.
    #[inline(always)]
    unsafe fn load_some(from: &[f32]) -> Self {
        let mut whole = [0.0; LANES];
        whole[..from.len()].copy_from_slice(from);
        // SAFETY: the caller's word.
        unsafe { Self::load(&whole) }
    }
    /// The first of sixteen, as many as there is room for.
    #[inline(always)]
    unsafe fn store_some(self, to: &mut [f32]) {
        let mut whole = [0.0; LANES];
        // SAFETY: the caller's word.
        unsafe { self.store(&mut whole) };
        to.copy_from_slice(&whole[..to.len()]);
    }
    /// Sums of sums.
    unsafe fn add(self, other: Self) -> Self;
    /// `self + left · right`, where a word of several numbers stands for the inner product.
    unsafe fn add_product(self, left: f32, right: Self) -> Self;
    /// A tile of a product in registers, written to `out` or added to what is there: [`Operands`] one by one.
    #[inline(always)]
    unsafe fn tile<const ROWS: usize, const WIDE: usize, const TRANSPOSED: bool>(
        left: *const f32,
        stride: usize,
        panel: *const Lanes,
        distance: usize,
        depth: usize,
        accumulate: bool,
        out: Place,
    ) {
        let operands = Operands { left, stride, panel, distance, depth };
        // SAFETY: the caller's word.
        unsafe { registers::tile::<Self, ROWS, WIDE, TRANSPOSED>(operands, accumulate, out) }
    }
}
