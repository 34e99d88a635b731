//! What training minimises over the vectors of a batch: losses with their gradients, and what they read.
//!
//! All read `[n_queries + n_documents, hidden]`, the queries first; document `i` is the positive of query `i`.
//! Left out: how the vectors came about, and how losses are put together.

use serde::{Deserialize, Serialize};

/// The losses of a device, over its buffers `B`; a part of [`Ops`](crate::Ops).
pub trait Objectives<B> {
    /// In-batch softmax cross-entropy of `queries · documentsᵀ / temperature` with the diagonal as labels, in one direction
    /// or the mean of both, and its gradients with respect to all vectors, in the place of what is there.
    fn contrastive(&self, inputs: ContrastiveInputs<'_, B>, d_vectors: &mut B) -> Agreement;

    /// How far the scores of the pairs that a teacher scored are from the teacher's: returns the loss, 0 where it is taken
    /// over nothing, and adds `weight` times its gradients with respect to all vectors to `d_vectors`.
    fn distill(&self, inputs: DistillInputs<'_, B>, d_vectors: &mut B) -> f64;
}

/// Who looks for whom in the in-batch loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Directions {
    /// Each query for its document among all documents (default).
    #[default]
    OneWay,
    /// Each positive for its query among all queries, too: the loss is the mean of both, as sentence-transformers'
    /// `MultipleNegativesSymmetricRankingLoss`. Explicit negatives look for nothing.
    Both,
}

impl Directions {
    /// How many cross-entropies the loss is the mean of.
    pub(crate) fn count(self) -> f64 {
        match self {
            Self::OneWay => 1.0,
            Self::Both => 2.0,
        }
    }
}

/// What the in-batch loss reads.
#[derive(Debug)]
pub struct ContrastiveInputs<'a, B> {
    /// `[n_queries + n_documents, hidden]`: the queries, then the documents.
    pub vectors: &'a B,
    /// Number of queries, at most `n_documents`.
    pub n_queries: usize,
    /// Number of documents; document `i` is the positive of query `i`, the rest are negatives of all.
    pub n_documents: usize,
    /// Columns of a vector.
    pub hidden: usize,
    /// Scores are divided by this.
    pub temperature: f64,
    /// (query, document) pairs that take no part as negatives, in either direction; never a query with its own positive.
    pub excluded: &'a [(u32, u32)],
    /// Who looks for whom.
    pub directions: Directions,
}

impl<B> Clone for ContrastiveInputs<'_, B> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B> Copy for ContrastiveInputs<'_, B> {}

/// How well a batch's queries find their positives.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Agreement {
    /// Mean cross-entropy over the queries, in nats; for [`Directions::Both`] the mean of that and the positives'.
    pub loss: f64,
    /// Number of queries whose positive has the highest score (ties count as found).
    pub correct: usize,
}

/// How the student's scores are compared with the teacher's, `s` and `t`, both inner products or anything else that is
/// larger for documents that fit better.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DistillLoss {
    /// Divergence of the student's distribution over a query's scored documents from the teacher's: the mean, over queries
    /// with at least two of them, of Σ p (ln p − ln q) with p = softmax(t / `temperature`) and q = softmax(s / the
    /// student's temperature), in nats. It is not multiplied by a squared temperature.
    Kl {
        /// The teacher's scores are divided by this.
        temperature: f64,
    },
    /// The mean of ((s₊ − sⱼ) − (t₊ − tⱼ))², where a query's own positive is scored, over its other scored documents j
    /// (Hofstätter et al. 2020, "Improving Efficient Neural Ranking Models with Cross-Architecture Knowledge
    /// Distillation"). Of the student's temperature it knows nothing.
    MarginMse,
}

/// What distillation reads.
#[derive(Debug)]
pub struct DistillInputs<'a, B> {
    /// `[n_queries + n_documents, hidden]`: the queries, then the documents.
    pub vectors: &'a B,
    /// Number of queries, at most `n_documents`.
    pub n_queries: usize,
    /// Number of documents; document `i` is the positive of query `i`.
    pub n_documents: usize,
    /// Columns of a vector.
    pub hidden: usize,
    /// The student's scores are divided by this where their distribution is taken.
    pub temperature: f64,
    /// `[n_queries, n_documents]`: the teacher's scores, finite, or NaN for a pair that it did not score.
    pub targets: &'a [f32],
    /// How both are compared.
    pub loss: DistillLoss,
    /// What the gradients are multiplied by.
    pub weight: f64,
}

impl<B> Clone for DistillInputs<'_, B> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B> Copy for DistillInputs<'_, B> {}

impl<B> DistillInputs<'_, B> {
    /// How many terms the loss is the mean of: queries for a divergence, pairs for margins.
    pub(crate) fn terms(&self) -> usize {
        let targets = &self.targets[..self.n_queries * self.n_documents];
        let rows = targets.chunks_exact(self.n_documents.max(1)).enumerate();
        rows.map(|(query, targets)| self.loss.terms(query, targets)).sum()
    }
}

impl DistillLoss {
    /// How many of the terms are those of one query; a query without any has no gradient.
    pub(crate) fn terms(self, query: usize, targets: &[f32]) -> usize {
        let listed = targets.iter().filter(|target| !target.is_nan()).count();
        match self {
            Self::Kl { .. } => usize::from(listed >= 2),
            Self::MarginMse if targets[query].is_nan() => 0,
            Self::MarginMse => listed - 1,
        }
    }
}
