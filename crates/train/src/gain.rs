//! What a state scores above the encoder as it came, with its noise over the held-out queries.

use serde::{Deserialize, Serialize};

/// A mean of paired differences.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Gain {
    /// The mean over the queries of the state's value minus the encoder's.
    pub difference: f64,
    /// The standard error of that mean, `s / √n` with the standard deviation `s` of the differences; of a single query
    /// nothing is known, and its error is the difference itself.
    pub standard_error: f64,
}

impl Gain {
    /// Two-sided 95 % of a normal distribution, in standard errors.
    const WITHIN: f64 = 1.959_963_984_540_054;

    /// The gain of `values` over `baseline`, one number a query.
    ///
    /// # Panics
    /// When there are not as many of one as of the other.
    pub fn of(values: &[f64], baseline: &[f64]) -> Self {
        assert_eq!(values.len(), baseline.len(), "a value and a baseline for each query");
        let differences: Vec<f64> = values.iter().zip(baseline).map(|(value, base)| value - base).collect();
        let n = differences.len() as f64;
        let difference = differences.iter().sum::<f64>() / n;
        let squares: f64 = differences.iter().map(|own| (own - difference).powi(2)).sum();
        let standard_error =
            if differences.len() < 2 { difference.abs() } else { (squares / (n - 1.0) / n).sqrt() };
        Self { difference, standard_error }
    }

    /// The 95 % interval of the difference by the normal distribution.
    pub fn interval(&self) -> [f64; 2] {
        let half = Self::WITHIN * self.standard_error;
        [self.difference - half, self.difference + half]
    }

    /// Whether the difference is above 0 by more than `errors` standard errors.
    pub fn exceeds(&self, errors: f64) -> bool {
        self.difference > errors * self.standard_error && self.difference > 0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gain_is_the_paired_mean_with_its_error() {
        // Differences 1, 2, 3: mean 2, standard deviation 1, error 1/√3.
        let gain = Gain::of(&[2.0, 4.0, 6.0], &[1.0, 2.0, 3.0]);
        assert!((gain.difference - 2.0).abs() < 1e-12);
        assert!((gain.standard_error - 1.0 / 3f64.sqrt()).abs() < 1e-12);
        let [low, high] = gain.interval();
        assert!((low - (2.0 - 1.131_585_8)).abs() < 1e-6 && (high - (2.0 + 1.131_585_8)).abs() < 1e-6);
        assert!(gain.exceeds(3.0) && !gain.exceeds(4.0));
    }

    #[test]
    fn nothing_and_a_single_query_gain_nothing_beyond_their_noise() {
        assert!(!Gain::of(&[0.5, 0.25], &[0.5, 0.25]).exceeds(0.0));
        assert!(!Gain::of(&[0.9], &[0.1]).exceeds(1.0));
    }
}
