//! Distillation from a teacher's scores: two products around each query's comparison in f64.

use super::Cpu;
use super::memory::Buffer;
use super::objectives::Pairs;
use crate::{DistillInputs, DistillLoss};

pub(super) fn distill(cpu: &Cpu, inputs: DistillInputs<'_, Buffer>, d_vectors: &mut [f32]) -> f64 {
    let DistillInputs { vectors, n_queries, n_documents, hidden, temperature, targets, loss, weight } =
        inputs;
    let terms = inputs.terms();
    if terms == 0 {
        return 0.0;
    }
    let pairs = Pairs::new(vectors, [n_queries, n_documents, hidden]);
    let mut scores = pairs.scores(cpu);
    let factor = weight / terms as f64;
    let rows = scores.chunks_exact_mut(n_documents).zip(targets.chunks_exact(n_documents));
    // An exponential in f64 is worth many elements of simpler loops.
    let losses = cpu.map(n_queries * n_documents * 16, rows.enumerate(), |(query, (scores, targets))| {
        if loss.terms(query, targets) == 0 {
            scores.fill(0.0);
            return 0.0;
        }
        match loss {
            DistillLoss::Kl { temperature: teacher } => {
                divergence([teacher, temperature], factor, targets, scores)
            }
            DistillLoss::MarginMse => margins(query, factor, targets, scores),
        }
    });
    pairs.backward_add(cpu, &scores, d_vectors);
    losses.iter().sum::<f64>() / terms as f64
}

/// Turns one query's scores into the gradients of its divergence; `temperatures` are the teacher's and the student's.
fn divergence(temperatures: [f64; 2], factor: f64, targets: &[f32], scores: &mut [f32]) -> f64 {
    let [teacher, student] = temperatures;
    let p = log_softmax(targets, teacher, targets);
    let q = log_softmax(scores, student, targets);
    let mut loss = 0.0;
    for ((score, target), (p, q)) in scores.iter_mut().zip(targets).zip(p.into_iter().zip(q)) {
        if target.is_nan() {
            *score = 0.0;
        } else {
            loss += p.exp() * (p - q);
            *score = ((q.exp() - p.exp()) * factor / student) as f32;
        }
    }
    loss
}

/// ln softmax(values / temperature) over the columns that `targets` lists.
fn log_softmax(values: &[f32], temperature: f64, targets: &[f32]) -> Vec<f64> {
    let listed =
        || values.iter().zip(targets).filter(|(_, target)| !target.is_nan()).map(|(&value, _)| value);
    // A NaN among the values is passed over here and comes out of the sum.
    let largest = f64::from(listed().fold(f32::NEG_INFINITY, f32::max));
    let distance = |value: f32| (f64::from(value) - largest) / temperature;
    let log_sum = listed().map(|value| distance(value).exp()).sum::<f64>().ln();
    values.iter().map(|&value| distance(value) - log_sum).collect()
}

/// Turns one query's scores into the gradients of its squared differences of margins.
fn margins(query: usize, factor: f64, targets: &[f32], scores: &mut [f32]) -> f64 {
    let [positive, own] = [scores[query], targets[query]].map(f64::from);
    let (mut loss, mut d_positive) = (0.0, 0.0);
    for (document, (score, &target)) in scores.iter_mut().zip(targets).enumerate() {
        if document == query || target.is_nan() {
            *score = 0.0;
            continue;
        }
        let far = (positive - f64::from(*score)) - (own - f64::from(target));
        loss += far * far;
        d_positive += 2.0 * far;
        *score = (-2.0 * far * factor) as f32;
    }
    scores[query] = (d_positive * factor) as f32;
    loss
}
