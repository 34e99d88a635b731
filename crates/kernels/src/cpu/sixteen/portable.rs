//! As many registers as the compiler finds best.

use super::Sixteen;
use crate::cpu::lanes::{LANES, Lanes, mul_add};

/// Numbers in f32.
#[derive(Clone, Copy)]
pub(in crate::cpu) struct Portable<const FMA: bool>(Lanes);

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

/// Pairs of sixteen-bit integers.
#[derive(Clone, Copy)]
pub(in crate::cpu) struct PortablePairs([i32; LANES]);

/// The two halves of a pair.
#[inline(always)]
fn halves(pair: i32) -> [i32; 2] {
    [i32::from(pair as i16), pair >> 16]
}

impl Sixteen for PortablePairs {
    #[inline(always)]
    unsafe fn zero() -> Self {
        Self([0; LANES])
    }

    #[inline(always)]
    unsafe fn load(from: &Lanes) -> Self {
        Self(from.map(|word| word.to_bits().cast_signed()))
    }

    #[inline(always)]
    unsafe fn store(self, to: &mut Lanes) {
        *to = self.0.map(|word| f32::from_bits(word.cast_unsigned()));
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
        let [a, b] = halves(left.to_bits().cast_signed());
        for lane in 0..LANES {
            let [c, d] = halves(right.0[lane]);
            self.0[lane] += a * c + b * d;
        }
        self
    }
}
