//! Distillation from a teacher's scores.

use super::float::{Float, dot};
use super::softmax;
use crate::{DistillInputs, DistillLoss};

pub(super) fn distill<F: Float>(inputs: DistillInputs<'_, Vec<F>>, d_vectors: &mut [F]) -> f64 {
    let DistillInputs { vectors, n_queries, n_documents, hidden, .. } = inputs;
    let terms = inputs.terms();
    let mut loss = 0.0;
    for query in 0..n_queries {
        let targets = &inputs.targets[query * n_documents..(query + 1) * n_documents];
        if inputs.loss.terms(query, targets) == 0 {
            continue;
        }
        let listed: Vec<usize> = (0..n_documents).filter(|&document| !targets[document].is_nan()).collect();
        let row = |row: usize| &vectors[row * hidden..(row + 1) * hidden];
        let s: Vec<F> = listed.iter().map(|&document| dot(row(query), row(n_queries + document))).collect();
        let t: Vec<F> = listed.iter().map(|&document| F::of(f64::from(targets[document]))).collect();
        let (own, d_scores) = match inputs.loss {
            DistillLoss::Kl { temperature } => divergence(&t, temperature, &s, inputs.temperature),
            DistillLoss::MarginMse => {
                let own = listed.iter().position(|&document| document == query);
                margins(own.expect("a query with margins has its positive scored"), &t, &s)
            }
        };
        loss += own.wide() / terms as f64;
        for (&document, d_score) in listed.iter().zip(d_scores) {
            let d_score = d_score * F::of(inputs.weight / terms as f64);
            for i in 0..hidden {
                let [q, d] = [query, n_queries + document].map(|row| row * hidden + i);
                d_vectors[q] += d_score * vectors[d];
                d_vectors[d] += d_score * vectors[q];
            }
        }
    }
    loss
}

/// Σ p (ln p − ln q) for p = softmax(t / teacher) and q = softmax(s / student), and (q − p) / student.
fn divergence<F: Float>(t: &[F], teacher: f64, s: &[F], student: f64) -> (F, Vec<F>) {
    let [p, q] = [(t, teacher), (s, student)].map(|(scores, temperature)| {
        let scores: Vec<F> = scores.iter().map(|&score| score / F::of(temperature)).collect();
        let log_sum = softmax::log_sum(&scores);
        scores.iter().map(|&score| score - log_sum).collect::<Vec<F>>()
    });
    let mut loss = F::zero();
    let mut d_scores = Vec::new();
    for (&log_p, &log_q) in p.iter().zip(&q) {
        let [p, q] = [log_p, log_q].map(|logarithm| logarithm.map(f64::exp));
        loss += p * (log_p - log_q);
        d_scores.push((q - p) / F::of(student));
    }
    (loss, d_scores)
}

/// Σ ((s₊ − sⱼ) − (t₊ − tⱼ))² over all j but `own`, which is +, and its derivatives.
fn margins<F: Float>(own: usize, t: &[F], s: &[F]) -> (F, Vec<F>) {
    let mut loss = F::zero();
    let mut d_scores = vec![F::zero(); s.len()];
    for j in (0..s.len()).filter(|&j| j != own) {
        let far = (s[own] - s[j]) - (t[own] - t[j]);
        loss += far * far;
        d_scores[own] += F::of(2.0) * far;
        d_scores[j] += -(F::of(2.0) * far);
    }
    (loss, d_scores)
}
