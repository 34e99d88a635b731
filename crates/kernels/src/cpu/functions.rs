//! Elementary functions without branches.
//!
//! NaN goes in and comes out.

use super::lanes::mul_add;
use super::many::Many;

/// Adding it to a number leaves the nearest integer in the low bits.
pub(super) const ROUNDER: f32 = 12_582_912.0;

/// The polynomial of 2ʳ for `|r| ≤ ½` with the smallest largest relative error of its degree (1.9e-9).
pub(super) const EXP2: [f32; 7] =
    [1.0, std::f32::consts::LN_2, 0.240_226_46, 0.055_503_286, 9.618_489e-3, 1.339_993e-3, 1.534_581_2e-4];

/// The power of 2 that is not undercut.
pub(super) const LOWEST: f32 = -120.0;

/// 2ˣ for `−120 ≤ x ≤ 120`, to 1.2e-7 relative: `2ˣ = 2ⁿ 2ʳ` with `|r| ≤ ½`.
#[inline(always)]
fn exp2_near<const FMA: bool, const N: usize>(x: Many<N>) -> Many<N> {
    let shifted = x + ROUNDER;
    let power = horner::<FMA, 7, N>(EXP2, x - (shifted - ROUNDER));
    // The integer stands in the low bits of the rounded number; the shift leaves 2ⁿ as a float.
    power
        * shifted.each(
            #[inline(always)]
            |shifted| f32::from_bits(shifted.to_bits().wrapping_add(127) << 23),
        )
}

/// 2ˣ for x below 120, to 1.2e-7 relative; below −120 it stays what it is there, 7.5e-37.
#[inline(always)]
pub(super) fn exp2_of_negative<const FMA: bool, const N: usize>(x: Many<N>) -> Many<N> {
    exp2_near::<FMA, N>(x.each(
        #[inline(always)]
        |x| if x < LOWEST { LOWEST } else { x },
    ))
}

/// `Σ coefficients[i] xⁱ`.
#[inline(always)]
fn horner<const FMA: bool, const M: usize, const N: usize>(coefficients: [f32; M], x: Many<N>) -> Many<N> {
    let mut sum = Many::of(coefficients[M - 1]);
    let mut i = M - 1;
    while i > 0 {
        i -= 1;
        sum = sum.mul_add::<FMA>(x, Many::of(coefficients[i]));
    }
    sum
}

/// ln x for normal positive x, to 2e-7 of the larger of 1 and the result.
///
/// `x = 2ⁿ m` with `√½ ≤ m < √2`, and `ln m = 2 artanh f` with `f = (m − 1)/(m + 1)`, by the series of artanh.
#[inline(always)]
pub(super) fn ln<const FMA: bool>(x: f32) -> f32 {
    const P: [f32; 5] = [2.0, 2.0 / 3.0, 2.0 / 5.0, 2.0 / 7.0, 2.0 / 9.0];
    const SQRT_HALF: u32 = std::f32::consts::FRAC_1_SQRT_2.to_bits();
    let n = x.to_bits().wrapping_sub(SQRT_HALF).cast_signed() >> 23;
    let m = f32::from_bits(x.to_bits().wrapping_sub((n << 23).cast_unsigned()));
    let f = (m - 1.0) / (m + 1.0);
    let Many([series]) = horner::<FMA, 5, 1>(P, Many([f * f]));
    // The last product is 0, or NaN where x is.
    mul_add::<FMA>(n as f32, std::f32::consts::LN_2, f * series) + x * 0.0
}

/// The error function of `x/√2`, to 2e-7 absolute.
///
/// `erf(x/√2) = 1 − 2^(x P(x))` for `0 ≤ x ≤ 4√2`; P was fitted to `log₂(1 − erf(x/√2)) / x` for the smallest largest
/// error of the result (2e-8).
#[inline(always)]
pub(super) fn erf_over_sqrt_2<const FMA: bool, const N: usize>(x: Many<N>) -> Many<N> {
    const P: [f32; 8] = [
        -1.151_105_3,
        -0.459_208_16,
        -0.052_496_2,
        7.063_445_6e-3,
        -1.369_550_9e-4,
        -1.861_730_3e-4,
        3.937_635e-5,
        -2.834_821_8e-6,
    ];
    const FARTHEST: f32 = 5.656_854;
    let size = x.each(
        #[inline(always)]
        |x| if x.abs() > FARTHEST { FARTHEST } else { x.abs() },
    );
    let erf = 1.0 - exp2_near::<FMA, N>(size * horner::<FMA, 8, N>(P, size));
    erf.with(x, f32::copysign)
}

/// The density of the standard normal distribution, to 3e-7 of its largest value.
#[inline(always)]
pub(super) fn density<const FMA: bool, const N: usize>(x: Many<N>) -> Many<N> {
    /// −½ log₂ e.
    const HALF: f32 = -0.721_347_5;
    /// log₂ of 1/√2π.
    const SHIFT: f32 = -1.325_748_1;
    exp2_of_negative::<FMA, N>((HALF * x).mul_add::<FMA>(x, Many::of(SHIFT)))
}

/// The hyperbolic tangent, to 2e-7 absolute.
#[inline(always)]
pub(super) fn tanh<const FMA: bool, const N: usize>(x: Many<N>) -> Many<N> {
    /// Beyond, it is ±1 in f32.
    const FARTHEST: f32 = 20.0;
    let x = x.each(
        #[inline(always)]
        |x| if x < -FARTHEST { -FARTHEST } else { x },
    );
    let x = x.each(
        #[inline(always)]
        |x| if x > FARTHEST { FARTHEST } else { x },
    );
    1.0 - 2.0 / (exp2_near::<FMA, N>(2.0 * std::f32::consts::LOG2_E * x) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference;

    /// The largest error over `n` points of `range`; `error(x)` is the error at one.
    fn largest_error(range: [f32; 2], error: impl Fn(f32) -> f64) -> f64 {
        let n = 400_000;
        (0..=n).map(|i| error(range[0] + (range[1] - range[0]) * i as f32 / n as f32)).fold(0.0, f64::max)
    }

    fn one(function: impl Fn(Many<1>) -> Many<1>, x: f32) -> f32 {
        function(Many([x])).0[0]
    }

    #[test]
    fn powers_of_2_are_within_two_units_in_the_last_place() {
        let error = |x: f32, y: f32| (f64::from(y) / f64::from(x).exp2() - 1.0).abs();
        for range in [[-120.0, 119.0], [-20.0, 0.0], [-1.0, 1.0]] {
            assert!(largest_error(range, |x| error(x, one(exp2_near::<true, 1>, x))) < 1.2e-7);
            assert!(largest_error(range, |x| error(x, one(exp2_near::<false, 1>, x))) < 2.4e-7);
        }
        assert_eq!(one(exp2_of_negative::<true, 1>, 0.0).to_bits(), 1.0_f32.to_bits());
        assert!(one(exp2_of_negative::<true, 1>, f32::NEG_INFINITY) < 1e-36);
        for payload in [0x7fc0_0000, 0x7fc0_0001, 0xffff_ffff_u32] {
            assert!(one(exp2_of_negative::<true, 1>, f32::from_bits(payload)).is_nan(), "{payload:x}");
        }
    }

    #[test]
    fn logarithms_are_within_their_bound() {
        let error =
            |x: f32, y: f32| (f64::from(y) - f64::from(x).ln()).abs() / f64::from(x).ln().abs().max(1.0);
        for range in [[1e-30, 1e-29], [0.5, 2.0], [1.0, 600.0], [1e30, 2e30]] {
            assert!(largest_error(range, |x| error(x, ln::<true>(x))) < 2e-7);
            assert!(largest_error(range, |x| error(x, ln::<false>(x))) < 2e-7);
        }
        assert_eq!(ln::<true>(1.0).to_bits(), 0.0_f32.to_bits());
        assert!(ln::<true>(f32::NAN).is_nan() && ln::<false>(f32::NAN).is_nan());
    }

    #[test]
    fn erf_density_and_tanh_are_within_their_bounds() {
        let erf_error = |x: f32, y: f32| {
            (f64::from(y) - reference::erf(f64::from(x) * std::f64::consts::FRAC_1_SQRT_2)).abs()
        };
        let density_error = |x: f32, y: f32| {
            (f64::from(y) - (-0.5 * f64::from(x).powi(2)).exp() / std::f64::consts::TAU.sqrt()).abs()
        };
        let tanh_error = |x: f32, y: f32| (f64::from(y) - f64::from(x).tanh()).abs();
        assert!(largest_error([-8.0, 8.0], |x| erf_error(x, one(erf_over_sqrt_2::<true, 1>, x))) < 2e-7);
        assert!(largest_error([-8.0, 8.0], |x| erf_error(x, one(erf_over_sqrt_2::<false, 1>, x))) < 2e-7);
        assert!(largest_error([-40.0, 40.0], |x| density_error(x, one(density::<true, 1>, x))) < 1.2e-7);
        assert!(largest_error([-40.0, 40.0], |x| density_error(x, one(density::<false, 1>, x))) < 1.2e-7);
        assert!(largest_error([-50.0, 50.0], |x| tanh_error(x, one(tanh::<true, 1>, x))) < 2e-7);
        assert!(largest_error([-2.0, 2.0], |x| tanh_error(x, one(tanh::<false, 1>, x))) < 2e-7);
        assert!(
            one(erf_over_sqrt_2::<true, 1>, f32::NAN).is_nan() && one(tanh::<true, 1>, f32::NAN).is_nan()
        );
        assert!(one(density::<true, 1>, f32::NAN).is_nan());
    }
}
