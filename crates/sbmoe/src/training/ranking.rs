//! nDCG@10 of held-out queries over a pool of documents, from vectors.

use anyhow::{Context as _, Result};
use sbmoe_index::{Exact, Hit, Search, Store as _};
use sbmoe_ir::Measure;
use sbmoe_ir::measure::JudgedRanking;
use sbmoe_kernels::Cpu;

use super::examples::HeldOut;
use super::texts::Texts;
use crate::searching::simd_level;

/// The measure that chooses among models.
pub const MEASURE: &str = "nDCG@10";

/// Hits that the measure looks at.
const DEPTH: usize = 10;

/// Ranks documents and judges the ranking.
#[derive(Debug)]
pub(super) struct Ranker<'a> {
    held_out: &'a HeldOut,
    documents: &'a Texts,
    hidden: usize,
    cpu: &'a Cpu,
    measure: Measure,
}

impl<'a> Ranker<'a> {
    pub(super) fn new(held_out: &'a HeldOut, documents: &'a Texts, hidden: usize, cpu: &'a Cpu) -> Self {
        let measure = MEASURE.parse().expect("the measure's name is constant");
        Self { held_out, documents, hidden, cpu, measure }
    }

    /// Each held-out query's value, for vectors `[queries, hidden]` and `[documents, hidden]`.
    pub(super) fn values(&self, queries: &[f32], documents: &[f32]) -> Result<Vec<f64>> {
        let hits = self.search(queries, documents, DEPTH)?;
        let value = |(query, hits): (&super::judgments::HeldOutQuery, &Vec<Hit>)| {
            let ranking = hits.iter().map(|hit| self.id(hit.document));
            self.measure.value(&JudgedRanking::new(&query.judged.judgments, ranking))
        };
        Ok(self.held_out.judged.iter().zip(&hits).map(value).collect())
    }

    /// The ordinals, ascending, of the documents that are among the first `k` of some query, or are judged for one.
    pub(super) fn pool(&self, queries: &[f32], documents: &[f32], k: usize) -> Result<Vec<u32>> {
        let hits = self.search(queries, documents, k)?;
        let found = hits.iter().flatten().map(|hit| self.held_out.documents[hit.document as usize]);
        let judged = self.held_out.judged.iter().flat_map(|query| &query.judged.judgments);
        let judged = judged.filter_map(|judgment| self.documents.ordinal(&judgment.document));
        let mut pool: Vec<u32> = found.chain(judged).collect();
        pool.sort_unstable();
        pool.dedup();
        Ok(pool)
    }

    fn search(&self, queries: &[f32], documents: &[f32], k: usize) -> Result<Vec<Vec<Hit>>> {
        let store = Exact::new(documents, self.hidden, simd_level(self.cpu.level()))?;
        let id_order = |left: u32, right: u32| self.id(left).as_bytes().cmp(self.id(right).as_bytes());
        store
            .search(&Search { queries, k, id_order: &id_order }, self.cpu.pool())
            .context("the validation queries cannot be ranked; lower the learning rates")
    }

    fn id(&self, place: u32) -> &str {
        self.documents.ids[self.held_out.documents[place as usize] as usize].as_str()
    }
}
