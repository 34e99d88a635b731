//! Measures that know two kinds of documents, relevant and other.

use super::judged_ranking::{JudgedRanking, is_relevant};
use crate::qrels::Grade;

/// Relevant among the first `depth`, divided by `depth` even where fewer were returned.
pub(super) fn precision(ranking: &JudgedRanking, level: Grade, depth: usize) -> f64 {
    ratio(ranking.relevant_hits(level, depth) as f64, depth)
}

pub(super) fn recall(ranking: &JudgedRanking, level: Grade, depth: usize) -> f64 {
    ratio(ranking.relevant_hits(level, depth) as f64, ranking.relevant(level))
}

pub(super) fn average_precision(ranking: &JudgedRanking, level: Grade, depth: usize) -> f64 {
    let mut found = 0;
    let mut sum = 0.0;
    for (place, grade) in ranking.top(depth).iter().enumerate() {
        if is_relevant(*grade, level) {
            found += 1;
            sum += f64::from(found) / (place + 1) as f64;
        }
    }
    ratio(sum, ranking.relevant(level))
}

pub(super) fn reciprocal_rank(ranking: &JudgedRanking, level: Grade, depth: usize) -> f64 {
    let first = ranking.top(depth).iter().position(|grade| is_relevant(*grade, level));
    first.map_or(0.0, |place| 1.0 / (place + 1) as f64)
}

pub(super) fn success(ranking: &JudgedRanking, level: Grade, depth: usize) -> f64 {
    if ranking.relevant_hits(level, depth) > 0 { 1.0 } else { 0.0 }
}

pub(super) fn r_precision(ranking: &JudgedRanking, level: Grade) -> f64 {
    precision(ranking, level, ranking.relevant(level))
}

/// 2PR / (P + R) of everything returned.
pub(super) fn set_f(ranking: &JudgedRanking, level: Grade) -> f64 {
    let precision = precision(ranking, level, ranking.hits());
    let recall = recall(ranking, level, ranking.hits());
    if precision + recall == 0.0 { 0.0 } else { 2.0 * precision * recall / (precision + recall) }
}

fn ratio(part: f64, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part / whole as f64 }
}
