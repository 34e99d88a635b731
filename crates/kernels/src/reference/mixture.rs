//! The block: gate noise, choosing and mixing experts.

use super::float::{Float, dot};

/// `softplus(x) = ln(1 + eˣ)`, without overflow.
fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

pub(super) fn add_noise<F: Float>(epsilon: &[F], raw: &[F], logits: &mut [F]) {
    for i in 0..logits.len() {
        logits[i] += epsilon[i] * raw[i].map(softplus);
    }
}

/// softplus' is the logistic function.
pub(super) fn add_noise_backward<F: Float>(epsilon: &[F], raw: &[F], d_logits: &[F], d_raw: &mut [F]) {
    for i in 0..d_raw.len() {
        d_raw[i] = d_logits[i] * epsilon[i] * raw[i].map(|x| 1.0 / (1.0 + (-x).exp()));
    }
}

pub(super) fn mix<F: Float>(columns: usize, weights: &[F], parts: &[Vec<F>], out: &mut [F]) {
    for (row, out) in out.chunks_exact_mut(columns).enumerate() {
        for (column, out) in out.iter_mut().enumerate() {
            *out = F::zero();
            for (i, part) in parts.iter().enumerate() {
                *out += weights[row * parts.len() + i] * part[row * columns + column];
            }
        }
    }
}

pub(super) fn mix_backward_weights<F: Float>(
    columns: usize,
    parts: &[Vec<F>],
    d_out: &[F],
    d_weights: &mut [F],
) {
    for (row, d_out) in d_out.chunks_exact(columns).enumerate() {
        for (i, part) in parts.iter().enumerate() {
            d_weights[row * parts.len() + i] = dot(d_out, &part[row * columns..(row + 1) * columns]);
        }
    }
}

pub(super) fn mix_backward_part<F: Float>(
    columns: usize,
    weights: &[F],
    part: usize,
    n_parts: usize,
    d_out: &[F],
    d_part: &mut [F],
) {
    for (i, d_part) in d_part.iter_mut().enumerate() {
        *d_part = weights[i / columns * n_parts + part] * d_out[i];
    }
}
