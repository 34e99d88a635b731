//! Encoding queries and ranking the index for them.

use anyhow::{Context as _, Result};
use rayon::prelude::*;
use sbmoe_index::{Hit, SimdKind, SimdLevel};
use sbmoe_kernels::{Level, LevelKind};
use sbmoe_model::moe::Side;

use crate::encoding::{VectorMaker, token_batches};
use crate::index_folder::Index;

/// A query's ranking.
#[derive(Debug, Clone)]
pub struct Ranked {
    /// The hits, best first in the total order.
    pub hits: Vec<RankedHit>,
    /// The expert that the query was routed to.
    pub expert: Option<u16>,
}

impl Ranked {
    /// The hits as a run has them.
    pub fn scored(&self) -> Vec<sbmoe_ir::Hit> {
        self.hits.iter().map(|hit| sbmoe_ir::Hit::new(hit.id.as_str(), hit.score)).collect()
    }
}

/// One document of a ranking.
#[derive(Debug, Clone, PartialEq)]
pub struct RankedHit {
    /// The document's ordinal in the index.
    pub document: u32,
    /// The document's id.
    pub id: String,
    /// Its score.
    pub score: f32,
}

/// Ranks the best `k` documents for each query text, in their order. Memory grows with queries × k.
///
/// # Errors
/// A text that cannot be tokenised, a vector that is not finite, a damaged index.
pub fn rank(maker: &VectorMaker, index: &Index, queries: &[&str], k: usize) -> Result<Vec<Ranked>> {
    let cpu = &maker.retriever.ops;
    let tokenize = |text: &&str| Ok(maker.retriever.tokenize_query(text)?);
    let tokens = cpu.pool().install(|| queries.par_iter().map(tokenize).collect::<Result<Vec<_>>>())?;
    let (mut vectors, mut experts) = (Vec::new(), Vec::new());
    for batch in token_batches(&tokens) {
        let encoded = maker.encode(Side::Query, batch)?;
        vectors.extend(encoded.vectors);
        experts.extend(encoded.routed);
    }
    let hits = index.search(&vectors, k, simd_level(cpu.level()), cpu.pool())?;
    let ranked = |(place, hits): (usize, &Vec<Hit>)| {
        Ok(Ranked { hits: named(index, hits)?, expert: experts.get(place).copied() })
    };
    hits.iter().enumerate().map(ranked).collect()
}

fn named(index: &Index, hits: &[Hit]) -> Result<Vec<RankedHit>> {
    let name = |hit: &Hit| {
        let id = index.documents().id(hit.document).context("a hit's document cannot be read")?;
        Ok(RankedHit { document: hit.document, id, score: hit.score })
    };
    hits.iter().map(name).collect()
}

/// The search's instructions for the encoder's level: both follow one choice of the user.
pub(crate) fn simd_level(level: Level) -> SimdLevel {
    SimdLevel::up_to(match level.kind() {
        LevelKind::Avx512 | LevelKind::Avx512Bf16 | LevelKind::Amx => SimdKind::Avx512,
        LevelKind::Avx2 => SimdKind::Avx2,
        LevelKind::Scalar | LevelKind::Neon => SimdKind::Portable,
    })
}
