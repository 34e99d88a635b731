//! Measures: what a ranking is worth, given the judgments of its query.
//!
//! Names are those of ir_measures (`nDCG@10`, `AP(rel=2)@100`); trec_eval's (`ndcg_cut_10`, `map`) are read too.
//! Values are trec_eval 10's. For a query without relevant documents every measure but `Judged` is 0, and so is every
//! measure of an empty ranking.
//!
//! | name | value for one query |
//! |---|---|
//! | `nDCG[@k]` | Σ gain/log₂(rank+1) over the ranking, divided by that of the best order of all judged documents; the gain is the grade, 0 when unjudged or negative; `nDCG(dcg='exp-log2')`: 2^grade − 1 |
//! | `P@k` | relevant among the first k, divided by k |
//! | `R@k` | relevant among the first k, divided by all relevant |
//! | `AP[@k]` | Σ precision at each relevant document (of the first k), divided by all relevant |
//! | `RR[@k]` | 1/rank of the first relevant document (within the first k) |
//! | `Success@k` | 1 if any of the first k is relevant |
//! | `Rprec` | precision at R, the number of relevant documents |
//! | `Bpref` | Σ over relevant hits of 1 − min(n, R)/min(N, R), divided by R; n: judged non-relevant hits above, N: all judged non-relevant |
//! | `Judged[@k]` | judged among the first k, divided by how many there are |
//! | `SetP`, `SetR`, `SetF` | precision, recall and their harmonic mean of all that was returned |
//!
//! Relevant means a grade of at least `rel` (default 1). Not here: means over queries ([`mod@crate::evaluate`]).

mod binary;
mod judged_ranking;
mod name;
mod ndcg;
mod pool;

use std::num::NonZeroU32;

pub use self::{
    judged_ranking::JudgedRanking,
    name::{MeasureError, known_measures},
};
use crate::qrels::Grade;

/// What is measured, apart from cutoff and relevance level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// Normalised discounted cumulative gain.
    Ndcg(Gain),
    /// Precision at a cutoff.
    Precision,
    /// Recall at a cutoff.
    Recall,
    /// Average precision.
    AveragePrecision,
    /// Reciprocal rank of the first relevant document.
    ReciprocalRank,
    /// Whether there is a relevant document above the cutoff.
    Success,
    /// Precision at the number of relevant documents.
    RPrecision,
    /// Binary preference (Buckley and Voorhees 2004, with the correction of 2005). As in trec_eval, a negative grade
    /// means "in the pool but not judged" here: such a document is passed over.
    Bpref,
    /// The part of the ranking that is judged, whatever the grade.
    Judged,
    /// Precision of everything returned.
    SetPrecision,
    /// Recall of everything returned.
    SetRecall,
    /// Harmonic mean of the two.
    SetF,
}

/// How a grade becomes a gain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Gain {
    /// The grade itself (Järvelin and Kekäläinen 2002), the default.
    Linear,
    /// 2^grade − 1 (Burges et al. 2005): `dcg='exp-log2'`.
    Exponential,
}

/// A measure: family, relevance level and cutoff. Read by [`str::parse`], written by [`ToString`] in ir_measures'
/// form; the two are inverse to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Measure {
    family: Family,
    relevance: Grade,
    cutoff: Option<NonZeroU32>,
}

impl Measure {
    /// A measure without cutoff, or with one of at least 1.
    ///
    /// # Errors
    /// The cutoff is 0, missing where the family needs one, or given where it takes none.
    pub fn new(family: Family, cutoff: Option<u32>) -> Result<Self, MeasureError> {
        name::with_cutoff(family, cutoff)
    }

    /// The same measure where only grades of at least `relevance` count as relevant (`rel`, at least 1).
    ///
    /// # Errors
    /// The level is below 1, or the measure has none (nDCG, Judged).
    pub fn with_relevance(self, relevance: Grade) -> Result<Self, MeasureError> {
        name::with_relevance(self, relevance)
    }

    /// What is measured.
    pub fn family(&self) -> Family {
        self.family
    }

    /// The smallest grade that counts as relevant.
    pub fn relevance(&self) -> Grade {
        self.relevance
    }

    /// The rank at which the ranking is cut.
    pub fn cutoff(&self) -> Option<u32> {
        self.cutoff.map(NonZeroU32::get)
    }

    /// The value for one query.
    pub fn value(&self, ranking: &JudgedRanking) -> f64 {
        let depth = self.cutoff.map_or(usize::MAX, |cutoff| cutoff.get() as usize);
        let level = self.relevance;
        match self.family {
            Family::Ndcg(gain) => ndcg::ndcg(ranking, gain, depth),
            Family::Precision => binary::precision(ranking, level, depth),
            Family::Recall => binary::recall(ranking, level, depth),
            Family::AveragePrecision => binary::average_precision(ranking, level, depth),
            Family::ReciprocalRank => binary::reciprocal_rank(ranking, level, depth),
            Family::Success => binary::success(ranking, level, depth),
            Family::RPrecision => binary::r_precision(ranking, level),
            Family::Bpref => pool::bpref(ranking, level),
            Family::Judged => pool::judged(ranking, depth),
            Family::SetPrecision => binary::precision(ranking, level, ranking.hits()),
            Family::SetRecall => binary::recall(ranking, level, ranking.hits()),
            Family::SetF => binary::set_f(ranking, level),
        }
    }
}
