//! Several numbers that are computed side by side, so that formulas of them read as formulas.
//!
//! A function of a number is a chain of some thirty instructions, each of which waits for the one before: a hundred cycles.
//! A processor looks ahead over about five such chains, when they come one after another; when each step of eight registers
//! comes together, it waits for none.

use std::array;
use std::ops::{Add, Div, Mul, Sub};

use super::lanes;

/// `N` numbers: one in a loop that the compiler makes vectors of, or as many as several registers hold.
#[derive(Clone, Copy)]
pub(super) struct Many<const N: usize>(pub(super) [f32; N]);

impl<const N: usize> Many<N> {
    /// The same number everywhere.
    #[inline(always)]
    pub(super) fn of(x: f32) -> Self {
        Self([x; N])
    }

    /// `f` of each.
    #[inline(always)]
    pub(super) fn each(self, f: impl Fn(f32) -> f32) -> Self {
        Self(array::from_fn(
            #[inline(always)]
            |i| f(self.0[i]),
        ))
    }

    /// `f` of each with its counterpart.
    #[inline(always)]
    pub(super) fn with(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        Self(array::from_fn(
            #[inline(always)]
            |i| f(self.0[i], other.0[i]),
        ))
    }

    /// `self · b + c`, rounded as [`lanes::mul_add`] says.
    #[inline(always)]
    pub(super) fn mul_add<const FMA: bool>(self, b: Self, c: Self) -> Self {
        Self(array::from_fn(
            #[inline(always)]
            |i| lanes::mul_add::<FMA>(self.0[i], b.0[i], c.0[i]),
        ))
    }
}

/// An operator between two, and between one and a number.
macro_rules! operator {
    ($operator:ident, $method:ident, $sign:tt) => {
        impl<const N: usize> $operator for Many<N> {
            type Output = Self;

            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                self.with(other, #[inline(always)] |a, b| a $sign b)
            }
        }

        impl<const N: usize> $operator<f32> for Many<N> {
            type Output = Self;

            #[inline(always)]
            fn $method(self, other: f32) -> Self {
                self.each(#[inline(always)] |a| a $sign other)
            }
        }

        impl<const N: usize> $operator<Many<N>> for f32 {
            type Output = Many<N>;

            #[inline(always)]
            fn $method(self, other: Many<N>) -> Many<N> {
                other.each(#[inline(always)] |b| self $sign b)
            }
        }
    };
}

operator!(Add, add, +);
operator!(Sub, sub, -);
operator!(Mul, mul, *);
operator!(Div, div, /);
