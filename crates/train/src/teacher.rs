//! What a teacher says of queries and documents, and a batch's part of it.
//!
//! Left out: who the teacher is, and how its scores came about.

use std::collections::BTreeMap;
use std::sync::Arc;

use sbmoe_kernels::{Activation, Affine, LinearSize, Ops, Precision};

/// A teacher's scores: of listed pairs, or of any two texts by its vectors.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Teacher {
    /// There is none.
    #[default]
    None,
    /// For each training query, the documents that were scored, by ordinal, with their finite scores.
    Scores(Vec<Vec<(u32, f32)>>),
    /// Vectors whose inner products are the scores; normalised by the caller where these are to be cosines.
    Vectors {
        /// Numbers of a vector; it need not be the student's.
        hidden: usize,
        /// `[training queries, hidden]`.
        queries: Vec<f32>,
        /// `[documents, hidden]`, by ordinal; those of documents that are in no batch are never read. Trainings on parts of
        /// the same queries share them.
        documents: Arc<[f32]>,
    },
}

impl Teacher {
    /// The scores `[examples, documents]` of some training queries, by their places, for some documents, by ordinal: NaN
    /// for a pair without a score, and nothing at all without a teacher.
    pub fn targets<O: Ops>(&self, ops: &O, examples: &[u32], documents: &[u32]) -> Vec<f32> {
        match self {
            Self::None => Vec::new(),
            Self::Scores(scores) => {
                let rows = examples.iter().map(|&example| {
                    let listed: BTreeMap<u32, f32> = scores[example as usize].iter().copied().collect();
                    documents.iter().map(move |document| listed.get(document).copied().unwrap_or(f32::NAN))
                });
                rows.flatten().collect()
            }
            Self::Vectors { hidden, queries, documents: vectors } => {
                let rows = |vectors: &[f32], places: &[u32]| {
                    let row = |&place: &u32| &vectors[place as usize * hidden..][..*hidden];
                    ops.upload_rows(&places.iter().map(row).collect::<Vec<_>>())
                };
                let (x, weight) = (rows(queries, examples), rows(vectors, documents));
                let size = LinearSize {
                    rows: examples.len(),
                    inputs: *hidden,
                    outputs: documents.len(),
                    precision: Precision::F32,
                };
                let layer = Affine { weight: &weight, bias: &ops.zeros(documents.len()) };
                let mut scores = ops.scratch(examples.len() * documents.len());
                ops.linear(size, &x, layer, Activation::Identity, None, &mut scores);
                ops.download(&scores)
            }
        }
    }
}
