//! nDCG@10 of held-out queries over a pool of documents, from vectors.

use std::cell::RefCell;
use std::fmt;

use anyhow::{Context as _, Result};
use rayon::ThreadPool;
use sbmoe_index::{Exact, Search, SimdLevel, Store as _};
use sbmoe_ir::Measure;
use sbmoe_ir::measure::JudgedRanking;

use super::examples::HeldOut;
use super::texts::Texts;

/// The measure that chooses among models.
pub const MEASURE: &str = "nDCG@10";

/// Hits that the measure looks at.
const DEPTH: usize = 10;

/// Ranks documents and judges the ranking.
pub(super) struct Ranker<'a> {
    held_out: &'a HeldOut,
    documents: &'a Texts,
    hidden: usize,
    pool: &'a ThreadPool,
    measure: Measure,
    /// What went wrong first; the training library takes numbers only.
    failure: RefCell<Option<anyhow::Error>>,
}

impl<'a> Ranker<'a> {
    pub(super) fn new(
        held_out: &'a HeldOut,
        documents: &'a Texts,
        hidden: usize,
        pool: &'a ThreadPool,
    ) -> Self {
        let measure = MEASURE.parse().expect("the measure's name is constant");
        Self { held_out, documents, hidden, pool, measure, failure: RefCell::default() }
    }

    /// The mean over the held-out queries, for vectors `[queries, hidden]` and `[documents, hidden]`. A failure is kept
    /// for [`Ranker::failure`] and gives NaN, which ends the training.
    pub(super) fn score(&self, queries: &[f32], documents: &[f32]) -> f64 {
        self.mean(queries, documents).unwrap_or_else(|error| {
            self.failure.borrow_mut().get_or_insert(error);
            f64::NAN
        })
    }

    /// What went wrong so far.
    pub(super) fn failure(&self) -> Option<anyhow::Error> {
        self.failure.borrow_mut().take()
    }

    /// Whether something went wrong.
    pub(super) fn has_failed(&self) -> bool {
        self.failure.borrow().is_some()
    }

    fn mean(&self, queries: &[f32], documents: &[f32]) -> Result<f64> {
        let id = |place: u32| self.documents.ids[self.held_out.documents[place as usize] as usize].as_str();
        let store = Exact::new(documents, self.hidden, SimdLevel::best())?;
        let id_order = |left: u32, right: u32| id(left).as_bytes().cmp(id(right).as_bytes());
        let hits = store
            .search(&Search { queries, k: DEPTH, id_order: &id_order }, self.pool)
            .context("the validation queries cannot be ranked; lower the learning rates")?;
        let value = |(query, hits): (&super::judgments::HeldOutQuery, &Vec<sbmoe_index::Hit>)| {
            let ranking = hits.iter().map(|hit| id(hit.document));
            self.measure.value(&JudgedRanking::new(&query.judged.judgments, ranking))
        };
        let sum: f64 = self.held_out.judged.iter().zip(&hits).map(value).sum();
        Ok(sum / self.held_out.judged.len() as f64)
    }
}

impl fmt::Debug for Ranker<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ranker").field("queries", &self.held_out.queries.len()).finish_non_exhaustive()
    }
}
