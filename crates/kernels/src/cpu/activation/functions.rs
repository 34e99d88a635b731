//! Activations and their slopes, as functions of several numbers at once.

use crate::cpu::functions::{density, erf_over_sqrt_2, tanh};
use crate::cpu::many::Many;

/// √(2/π) and the cubic coefficient of the tanh approximation.
const GELU_TANH: [f32; 2] = [0.797_884_6, 0.044_715];

/// A function of a number.
pub(super) trait Function {
    fn of<const FMA: bool, const N: usize>(x: Many<N>) -> Many<N>;
}

/// A type for a function, whose body sees the constants `FMA` and `N`.
macro_rules! function {
    ($(#[$attribute:meta])* $name:ident, |$x:ident| $body:expr) => {
        $(#[$attribute])*
        pub(super) struct $name;

        impl Function for $name {
            #[inline(always)]
            fn of<const FMA: bool, const N: usize>($x: Many<N>) -> Many<N> {
                $body
            }
        }
    };
}

function!(Identity, |x| x);

function!(Relu, |x| x.each(
    #[inline(always)]
    |x| if x < 0.0 { 0.0 } else { x }
));

function!(ReluSlope, |x| x.each(
    #[inline(always)]
    |x| if x <= 0.0 { 0.0 } else { 1.0 }
));

function! {
    /// `x · Φ(x)`.
    Gelu, |x| {
        let half = 0.5 * x;
        half.mul_add::<FMA>(erf_over_sqrt_2::<FMA, N>(x), half)
    }
}

function! {
    /// `Φ(x) + x φ(x)`.
    GeluSlope, |x| {
        let half = Many::of(0.5);
        let below = half.mul_add::<FMA>(erf_over_sqrt_2::<FMA, N>(x), half);
        x.mul_add::<FMA>(density::<FMA, N>(x), below)
    }
}

function! {
    GeluTanh, |x| 0.5 * x * (1.0 + tanh_of_cubic::<FMA, N>(x))
}

function! {
    GeluTanhSlope, |x| {
        let t = tanh_of_cubic::<FMA, N>(x);
        let slope = GELU_TANH[0] * (3.0 * GELU_TANH[1] * x).mul_add::<FMA>(x, Many::of(1.0));
        0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * slope
    }
}

/// What approximates the error function in [`GeluTanh`].
#[inline(always)]
fn tanh_of_cubic<const FMA: bool, const N: usize>(x: Many<N>) -> Many<N> {
    tanh::<FMA, N>(GELU_TANH[0] * (GELU_TANH[1] * x).mul_add::<FMA>(x * x, x))
}
