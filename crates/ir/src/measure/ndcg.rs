//! Normalised discounted cumulative gain.

use super::{Gain, JudgedRanking};
use crate::qrels::Grade;

pub(super) fn ndcg(ranking: &JudgedRanking, gain: Gain, depth: usize) -> f64 {
    let ideal = discounted(ranking.ideal().iter().take(depth).copied(), gain);
    if ideal == 0.0 {
        return 0.0;
    }
    discounted(ranking.top(depth).iter().map(|grade| grade.unwrap_or(0)), gain) / ideal
}

/// Σ gain / log₂(rank + 1), ranks from 1.
fn discounted(grades: impl Iterator<Item = Grade>, gain: Gain) -> f64 {
    let gains = grades.map(|grade| match gain {
        _ if grade <= 0 => 0.0,
        Gain::Linear => f64::from(grade),
        Gain::Exponential => f64::from(grade).exp2() - 1.0,
    });
    // Not `sum`, which may begin with -0.0.
    gains.enumerate().fold(0.0, |sum, (place, gain)| sum + gain / ((place + 2) as f64).log2())
}
