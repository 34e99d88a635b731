//! In-batch softmax cross-entropy: two products around softmaxes in f64.

use super::Cpu;
use super::memory::Buffer;
use super::objectives::Pairs;
use crate::{Agreement, ContrastiveInputs, Directions};

/// What one query, or one document, contributes that looks for its own.
struct Row {
    loss: f64,
    is_correct: bool,
}

pub(super) fn contrastive(
    cpu: &Cpu,
    inputs: ContrastiveInputs<'_, Buffer>,
    d_vectors: &mut [f32],
) -> Agreement {
    let ContrastiveInputs { vectors, n_queries, n_documents, hidden, temperature, directions, .. } = inputs;
    let pairs = Pairs::new(vectors, [n_queries, n_documents, hidden]);
    let mut scores = pairs.scores(cpu);
    for &(query, document) in inputs.excluded {
        scores[query as usize * n_documents + document as usize] = f32::NEG_INFINITY;
    }
    let factor = 1.0 / (temperature * n_queries as f64 * directions.count());
    let look = |columns: usize, scores: &mut [f32]| {
        // An exponential in f64 is worth many elements of simpler loops.
        let rows = cpu.map(
            scores.len() * 16,
            scores.chunks_exact_mut(columns.max(1)).enumerate(),
            |(own, scores)| row(own, temperature, factor, scores),
        );
        let correct = rows.iter().filter(|row| row.is_correct).count();
        (rows.iter().map(|row| row.loss).sum::<f64>() / n_queries as f64, correct)
    };

    let mut back = match directions {
        Directions::OneWay => None,
        Directions::Both => Some(positives_by_query(cpu, n_queries, n_documents, &scores)),
    };
    let (mut loss, correct) = look(n_documents, &mut scores);
    if let Some(back) = &mut back {
        loss = f64::midpoint(loss, look(n_queries, back).0);
        add_transposed(cpu, n_queries, n_documents, back, &mut scores);
    }
    pairs.backward(cpu, &scores, d_vectors);
    Agreement { loss, correct }
}

/// The scores of the positives, the other way round: `[positive, query]`, `n` of each.
fn positives_by_query(cpu: &Cpu, n: usize, n_documents: usize, scores: &[f32]) -> Buffer {
    let mut back = cpu.memory.scratch(n * n);
    cpu.each(n * n, back.chunks_exact_mut(n.max(1)).enumerate(), |(document, row)| {
        for (query, score) in row.iter_mut().enumerate() {
            *score = scores[query * n_documents + document];
        }
    });
    back
}

/// Adds what [`positives_by_query`] turned round to where it came from.
fn add_transposed(cpu: &Cpu, n: usize, n_documents: usize, back: &[f32], scores: &mut [f32]) {
    cpu.each(n * n, scores.chunks_exact_mut(n_documents.max(1)).enumerate(), |(query, row)| {
        for (document, score) in row[..n].iter_mut().enumerate() {
            *score += back[document * n + query];
        }
    });
}

/// Turns the scores of who looks for its `own` into their gradients; the score of a pair that takes no part is −∞.
fn row(own: usize, temperature: f64, factor: f64, scores: &mut [f32]) -> Row {
    let positive = scores[own];
    let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let distance = |score: f32| (f64::from(score) - f64::from(largest)) / temperature;
    let exponentials: Vec<f64> = scores.iter().map(|&score| distance(score).exp()).collect();
    let sum: f64 = exponentials.iter().sum();
    let row = Row {
        loss: sum.ln() - distance(positive),
        is_correct: scores.iter().all(|&score| score <= positive),
    };
    for (other, (score, exponential)) in scores.iter_mut().zip(exponentials).enumerate() {
        let label = if other == own { 1.0 } else { 0.0 };
        *score = ((exponential / sum - label) * factor) as f32;
    }
    row
}
