//! Measures that tell judged non-relevant documents from those nobody judged.

use super::JudgedRanking;
use crate::qrels::Grade;

/// Binary preference: how rarely a judged non-relevant document stands above a relevant one.
///
/// Both counts of non-relevant documents stop at R, and negative grades are not counted, as in trec_eval's
/// `m_bpref.c` (usnistgov/trec_eval, commit f425365).
pub(super) fn bpref(ranking: &JudgedRanking, level: Grade) -> f64 {
    let relevant = ranking.relevant(level);
    let nonrelevant = ranking.relevant(0) - relevant;
    let mut above = 0;
    let mut sum = 0.0;
    for grade in ranking.top(usize::MAX).iter().flatten().filter(|grade| **grade >= 0) {
        if *grade < level {
            above += 1;
        } else if above == 0 {
            sum += 1.0;
        } else {
            sum += 1.0 - above.min(relevant) as f64 / nonrelevant.min(relevant) as f64;
        }
    }
    if relevant == 0 { 0.0 } else { sum / relevant as f64 }
}

/// Judged among the first `depth`, divided by how many hits there are among them (as ir_measures divides).
pub(super) fn judged(ranking: &JudgedRanking, depth: usize) -> f64 {
    let top = ranking.top(depth);
    if top.is_empty() {
        return 0.0;
    }
    top.iter().flatten().count() as f64 / top.len() as f64
}
