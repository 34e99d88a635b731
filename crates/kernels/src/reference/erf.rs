//! The error function in f64.

use std::f64::consts::PI;

/// `erf(x) = 2/√π ∫₀ˣ exp(−t²) dt`, to about 1e-15 absolute.
///
/// Below 3 the series `2/√π · exp(−x²) · Σ 2ⁿ x²ⁿ⁺¹ / (2n+1)!!` (Abramowitz & Stegun 7.1.6), whose terms all have one
/// sign; above, one minus the continued fraction of the complement (7.1.14).
pub fn erf(x: f64) -> f64 {
    let size = x.abs();
    if x.is_nan() || size == 0.0 {
        x
    } else if size < 3.0 {
        let mut term = x;
        let mut sum = x;
        let mut odd = 1.0;
        while term.abs() > sum.abs() * 1e-17 {
            odd += 2.0;
            term *= 2.0 * x * x / odd;
            sum += term;
        }
        2.0 / PI.sqrt() * (-x * x).exp() * sum
    } else if size < 6.5 {
        let mut tail = size;
        for n in (1..=80).rev() {
            tail = size + f64::from(n) / 2.0 / tail;
        }
        (1.0 - (-x * x).exp() / (PI.sqrt() * tail)).copysign(x)
    } else {
        1.0_f64.copysign(x)
    }
}

#[cfg(test)]
mod tests {
    use super::erf;

    /// Python: `[(x, math.erf(x)) for x in (…)]`.
    #[test]
    fn agrees_with_the_c_library() {
        let known = [
            (1e-9, 1.128_379_167_095_512_7e-9),
            (0.1, 0.112_462_916_018_284_9),
            (0.5, 0.520_499_877_813_046_5),
            (1.0, 0.842_700_792_949_714_9),
            (1.7, 0.983_790_458_590_774_6),
            (2.0, 0.995_322_265_018_952_7),
            (2.9, 0.999_958_902_121_900_5),
            (3.0, 0.999_977_909_503_001_4),
            (3.1, 0.999_988_351_342_632_8),
            (4.0, 0.999_999_984_582_742_1),
            (5.5, 0.999_999_999_999_992_7),
            (7.0, 1.0),
        ];
        for (x, expected) in known {
            assert!((erf(x) - expected).abs() < 2e-15, "erf({x}) = {}", erf(x));
            assert!((erf(-x) + expected).abs() < 2e-15);
        }
        assert!(erf(f64::NAN).is_nan());
        assert!(erf(0.0).abs() < f64::MIN_POSITIVE);
    }
}
