//! In-batch softmax cross-entropy with the diagonal as labels.

use super::float::{Float, dot};
use super::softmax;
use crate::{Agreement, ContrastiveInputs};

pub(super) fn contrastive<F: Float>(inputs: ContrastiveInputs<'_, Vec<F>>, d_vectors: &mut [F]) -> Agreement {
    let ContrastiveInputs { vectors, n_queries, n_documents, hidden, .. } = inputs;
    d_vectors.fill(F::zero());
    let (queries, documents) = vectors.split_at(n_queries * hidden);
    let (d_queries, d_documents) = d_vectors.split_at_mut(n_queries * hidden);
    let (mut loss, mut correct) = (0.0, 0);
    for query in 0..n_queries {
        let q = &queries[query * hidden..(query + 1) * hidden];
        let takes_part = |document: &usize| !inputs.excluded.contains(&(query as u32, *document as u32));
        let taking_part: Vec<usize> = (0..n_documents).filter(takes_part).collect();
        let score = |document: usize| {
            dot(q, &documents[document * hidden..(document + 1) * hidden]) / F::of(inputs.temperature)
        };
        let scores: Vec<F> = taking_part.iter().map(|&document| score(document)).collect();
        let log_sum = softmax::log_sum(&scores);
        let positive = score(query);
        loss += (log_sum - positive).wide() / n_queries as f64;
        correct += usize::from(scores.iter().all(|&score| score <= positive));
        for (&document, &score) in taking_part.iter().zip(&scores) {
            let label = if document == query { F::one() } else { F::zero() };
            let probability = (score - log_sum).map(f64::exp);
            let d_score = (probability - label) / F::of(inputs.temperature * n_queries as f64);
            for i in 0..hidden {
                d_queries[query * hidden + i] += d_score * documents[document * hidden + i];
                d_documents[document * hidden + i] += d_score * q[i];
            }
        }
    }
    Agreement { loss, correct }
}
