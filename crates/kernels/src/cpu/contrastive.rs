//! In-batch softmax cross-entropy: two products around a softmax in f64.

use super::Cpu;
use super::memory::Buffer;
use super::product::{Operand, product_into};
use crate::{Agreement, ContrastiveInputs};

/// What one query contributes.
struct Row {
    loss: f64,
    is_correct: bool,
}

pub(super) fn contrastive(
    cpu: &Cpu,
    inputs: ContrastiveInputs<'_, Buffer>,
    d_vectors: &mut [f32],
) -> Agreement {
    let ContrastiveInputs { vectors, n_queries, n_documents, hidden, .. } = inputs;
    let (queries, documents) = vectors.split_at(n_queries * hidden);
    let (d_queries, d_documents) = d_vectors.split_at_mut(n_queries * hidden);
    let mut scores = cpu.memory.scratch(n_queries * n_documents);
    let size = [n_queries, n_documents, hidden];
    product_into(cpu, size, Operand::plain(queries), Operand::transposed(documents), &mut scores);

    let mut excluded = inputs.excluded.to_vec();
    excluded.sort_unstable();
    let factor = 1.0 / (inputs.temperature * n_queries as f64);
    // An exponential in f64 is worth many elements of simpler loops.
    let rows = cpu.map(
        scores.len() * 16,
        scores.chunks_exact_mut(n_documents.max(1)).enumerate(),
        |(query, scores)| {
            let first = excluded.partition_point(|&(other, _)| (other as usize) < query);
            for &(_, document) in excluded[first..].iter().take_while(|&&(other, _)| other as usize == query)
            {
                scores[document as usize] = f32::NEG_INFINITY;
            }
            row(query, inputs.temperature, factor, scores)
        },
    );

    let size = [n_queries, hidden, n_documents];
    product_into(cpu, size, Operand::plain(&scores), Operand::plain(documents), d_queries);
    let size = [n_documents, hidden, n_queries];
    product_into(cpu, size, Operand::transposed(&scores), Operand::plain(queries), d_documents);
    Agreement {
        loss: rows.iter().map(|row| row.loss).sum::<f64>() / n_queries as f64,
        correct: rows.iter().filter(|row| row.is_correct).count(),
    }
}

/// Turns one query's scores into their gradients; the score of a pair that takes no part is −∞.
fn row(query: usize, temperature: f64, factor: f64, scores: &mut [f32]) -> Row {
    let positive = scores[query];
    let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let distance = |score: f32| (f64::from(score) - f64::from(largest)) / temperature;
    let exponentials: Vec<f64> = scores.iter().map(|&score| distance(score).exp()).collect();
    let sum: f64 = exponentials.iter().sum();
    let row = Row {
        loss: sum.ln() - distance(positive),
        is_correct: scores.iter().all(|&score| score <= positive),
    };
    for (document, (score, exponential)) in scores.iter_mut().zip(exponentials).enumerate() {
        let label = if document == query { 1.0 } else { 0.0 };
        *score = ((exponential / sum - label) * factor) as f32;
    }
    row
}
