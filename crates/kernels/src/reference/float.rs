//! The two number types that the reference computes in.

use std::fmt::Debug;
use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub};

/// f32 or f64. Functions are evaluated in f64 and rounded, so that f32 results are correct to the last bit or nearly.
pub trait Float:
    Copy
    + Debug
    + Default
    + PartialOrd
    + Send
    + Sync
    + Add<Output = Self>
    + AddAssign
    + Div<Output = Self>
    + Mul<Output = Self>
    + Neg<Output = Self>
    + Sub<Output = Self>
    + 'static
{
    /// The nearest value of this type.
    fn of(value: f64) -> Self;

    /// The same value in f64.
    fn wide(self) -> f64;

    /// 0.
    fn zero() -> Self {
        Self::default()
    }

    /// 1.
    fn one() -> Self {
        Self::of(1.0)
    }

    /// A function of f64, applied to this value.
    #[must_use]
    fn map(self, function: impl Fn(f64) -> f64) -> Self {
        Self::of(function(self.wide()))
    }
}

impl Float for f32 {
    fn of(value: f64) -> Self {
        value as Self
    }

    fn wide(self) -> f64 {
        f64::from(self)
    }
}

impl Float for f64 {
    fn of(value: f64) -> Self {
        value
    }

    fn wide(self) -> f64 {
        self
    }
}

/// Σ aᵢ bᵢ in the order of the index.
pub(super) fn dot<F: Float>(a: &[F], b: &[F]) -> F {
    let mut sum = F::zero();
    for (&a, &b) in a.iter().zip(b) {
        sum += a * b;
    }
    sum
}
