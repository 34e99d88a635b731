//! In-batch softmax cross-entropy with the diagonal as labels.

use super::float::{Float, dot};
use super::softmax;
use crate::{Agreement, ContrastiveInputs, Directions};

pub(super) fn contrastive<F: Float>(inputs: ContrastiveInputs<'_, Vec<F>>, d_vectors: &mut [F]) -> Agreement {
    let ContrastiveInputs { n_queries, n_documents, directions, .. } = inputs;
    d_vectors.fill(F::zero());
    let (mut loss, mut correct) = (0.0, 0);
    for query in 0..n_queries {
        let row = (0..n_documents).map(|document| (query, document)).collect();
        let (own, is_correct) = look(&inputs, (query, query), row, d_vectors);
        loss += own / n_queries as f64 / directions.count();
        correct += usize::from(is_correct);
    }
    if directions == Directions::Both {
        for positive in 0..n_queries {
            let column = (0..n_queries).map(|query| (query, positive)).collect();
            let (own, _) = look(&inputs, (positive, positive), column, d_vectors);
            loss += own / n_queries as f64 / directions.count();
        }
    }
    Agreement { loss, correct }
}

/// The cross-entropy of one (query, document) pair among others, and whether none of them scores higher; adds the gradients.
fn look<F: Float>(
    inputs: &ContrastiveInputs<'_, Vec<F>>,
    own: (usize, usize),
    mut pairs: Vec<(usize, usize)>,
    d_vectors: &mut [F],
) -> (f64, bool) {
    let ContrastiveInputs { vectors, n_queries, hidden, .. } = *inputs;
    pairs.retain(|&(query, document)| !inputs.excluded.contains(&(query as u32, document as u32)));
    let score = |(query, document): (usize, usize)| {
        let [q, d] = [query, n_queries + document].map(|row| &vectors[row * hidden..(row + 1) * hidden]);
        dot(q, d) / F::of(inputs.temperature)
    };
    let scores: Vec<F> = pairs.iter().map(|&pair| score(pair)).collect();
    let log_sum = softmax::log_sum(&scores);
    let positive = score(own);
    for (&pair, &score) in pairs.iter().zip(&scores) {
        let label = if pair == own { F::one() } else { F::zero() };
        let probability = (score - log_sum).map(f64::exp);
        let divisor = inputs.temperature * n_queries as f64 * inputs.directions.count();
        let d_score = (probability - label) / F::of(divisor);
        let [query, document] = [pair.0, n_queries + pair.1].map(|row| row * hidden);
        for i in 0..hidden {
            d_vectors[query + i] += d_score * vectors[document + i];
            d_vectors[document + i] += d_score * vectors[query + i];
        }
    }
    ((log_sum - positive).wide(), scores.iter().all(|&score| score <= positive))
}
