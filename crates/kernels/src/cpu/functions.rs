//! Elementary functions without branches, so that a loop over them vectorises.
//!
//! NaN goes in and comes out.

use super::lanes::mul_add;

/// eˣ to 2 units in the last place; 0 below −86.6, infinite above 88.73.
///
/// `eˣ = 2ⁿ eʳ` with `|r| ≤ ln 2 / 2`; the polynomial's coefficients are those of Cephes' `expf`.
#[inline(always)]
pub(super) fn exp<const FMA: bool>(x: f32) -> f32 {
    const LOWEST: f32 = -86.6;
    const HIGHEST: f32 = 88.722_84;
    /// Adding it leaves the nearest integer in the low bits.
    const ROUNDER: f32 = 12_582_912.0;
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;

    let clamped = if x < LOWEST { LOWEST } else { x };
    let clamped = if clamped > HIGHEST { HIGHEST } else { clamped };
    let shifted = mul_add::<FMA>(clamped, std::f32::consts::LOG2_E, ROUNDER);
    let n = shifted - ROUNDER;
    let r = mul_add::<FMA>(n, -LN_2_LOW, mul_add::<FMA>(n, -LN_2_HIGH, clamped));
    let mut polynomial = mul_add::<FMA>(1.987_569_2e-4, r, 1.398_2e-3);
    polynomial = mul_add::<FMA>(polynomial, r, 8.333_452e-3);
    polynomial = mul_add::<FMA>(polynomial, r, 4.166_579_6e-2);
    polynomial = mul_add::<FMA>(polynomial, r, 0.166_666_66);
    polynomial = mul_add::<FMA>(polynomial, r, 0.5);
    polynomial = mul_add::<FMA>(polynomial, r * r, r) + 1.0;
    // 2ⁿ⁻¹ is a normal number for every n that occurs, 2ⁿ is not when n is 128.
    let exponent = shifted.to_bits().wrapping_sub(ROUNDER.to_bits()).wrapping_add(126);
    let result = polynomial * f32::from_bits(exponent << 23) * 2.0;
    let result = if x < LOWEST { 0.0 } else { result };
    if x > HIGHEST { f32::INFINITY } else { result }
}

/// The error function, to 2e-7 absolute.
///
/// `erf(x) = 1 − exp(−x P(x))` for `0 ≤ x ≤ 4`; P was fitted to `−ln(1 − erf(x)) / x` for the smallest largest error of
/// the result (2e-8).
#[inline(always)]
pub(super) fn erf<const FMA: bool>(x: f32) -> f32 {
    const P: [f32; 8] = [
        1.128_380_3,
        0.636_597_7,
        0.102_919_65,
        -0.019_584_03,
        5.370_053_7e-4,
        1.032_362_5e-3,
        -3.087_919_2e-4,
        3.143_918e-5,
    ];
    let size = if x.abs() > 4.0 { 4.0 } else { x.abs() };
    let mut polynomial = P[P.len() - 1];
    let mut i = P.len() - 1;
    while i > 0 {
        i -= 1;
        polynomial = mul_add::<FMA>(polynomial, size, P[i]);
    }
    (1.0 - exp::<FMA>(-size * polynomial)).copysign(x)
}

/// The hyperbolic tangent, to 2e-7 absolute.
#[inline(always)]
pub(super) fn tanh<const FMA: bool>(x: f32) -> f32 {
    1.0 - 2.0 / (exp::<FMA>(2.0 * x) + 1.0)
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

    #[test]
    fn exp_is_within_two_units_in_the_last_place() {
        let error = |x: f32, y: f32| (f64::from(y) / f64::from(x).exp() - 1.0).abs();
        for range in [[-86.5, 88.7], [-20.0, 0.0], [-1.0, 1.0]] {
            assert!(
                largest_error(range, |x| error(x, exp::<true>(x)))
                    < 2.0 * f64::from(f32::EPSILON) / 2.0 * 1.5
            );
            assert!(largest_error(range, |x| error(x, exp::<false>(x))) < 2.0 * f64::from(f32::EPSILON));
        }
        assert_eq!(exp::<true>(0.0).to_bits(), 1.0_f32.to_bits());
        assert_eq!(exp::<true>(f32::NEG_INFINITY).to_bits(), 0);
        assert_eq!(exp::<true>(-90.0).to_bits(), 0);
        assert!(exp::<true>(88.73).is_infinite() && exp::<true>(f32::INFINITY).is_infinite());
        assert!(exp::<true>(f32::NAN).is_nan());
    }

    #[test]
    fn erf_and_tanh_are_within_2e_7() {
        let erf_error = |x: f32, y: f32| (f64::from(y) - reference::erf(f64::from(x))).abs();
        let tanh_error = |x: f32, y: f32| (f64::from(y) - f64::from(x).tanh()).abs();
        assert!(largest_error([-6.0, 6.0], |x| erf_error(x, erf::<true>(x))) < 2e-7);
        assert!(largest_error([-6.0, 6.0], |x| erf_error(x, erf::<false>(x))) < 2e-7);
        assert!(largest_error([-50.0, 50.0], |x| tanh_error(x, tanh::<true>(x))) < 2e-7);
        assert!(largest_error([-2.0, 2.0], |x| tanh_error(x, tanh::<false>(x))) < 2e-7);
        assert!(erf::<true>(f32::NAN).is_nan() && tanh::<true>(f32::NAN).is_nan());
    }
}
