//! Layer norm of one row and its backward, and dropout of a row of a text.

use super::Float;
use crate::{Dropout, Tokens};

/// `output = γ (x − mean)/√(variance + ε) + β`; returns the mean and 1/√(variance + ε). The variance is the biased one.
pub(super) fn forward<F: Float>(x: &[F], gamma: &[F], beta: &[F], epsilon: f64, output: &mut [F]) -> [F; 2] {
    let n = F::of(x.len() as f64);
    let mut mean = F::zero();
    for &x in x {
        mean += x / n;
    }
    let mut variance = F::zero();
    for &x in x {
        variance += (x - mean) * (x - mean) / n;
    }
    let inverse = (variance + F::of(epsilon)).map(|v| 1.0 / v.sqrt());
    scale(x, [mean, inverse], [gamma, beta], output);
    [mean, inverse]
}

/// `output = γ (x − mean) · inverse + β`.
pub(super) fn scale<F: Float>(x: &[F], [mean, inverse]: [F; 2], [gamma, beta]: [&[F]; 2], output: &mut [F]) {
    for column in 0..x.len() {
        output[column] = gamma[column] * (x[column] - mean) * inverse + beta[column];
    }
}

/// The gradient of one row's `x`; those of γ and β are added.
pub(super) fn backward<F: Float>(
    x: &[F],
    [mean, inverse]: [F; 2],
    gamma: &[F],
    d_output: &[F],
    d_gamma: &mut [F],
    d_beta: &mut [F],
) -> Vec<F> {
    let n = F::of(x.len() as f64);
    let mut mean_d = F::zero();
    let mut mean_d_hat = F::zero();
    for column in 0..x.len() {
        let hat = (x[column] - mean) * inverse;
        d_gamma[column] += d_output[column] * hat;
        d_beta[column] += d_output[column];
        mean_d += d_output[column] * gamma[column] / n;
        mean_d_hat += d_output[column] * gamma[column] * hat / n;
    }
    let mut dx = Vec::with_capacity(x.len());
    for column in 0..x.len() {
        let hat = (x[column] - mean) * inverse;
        dx.push(inverse * (d_output[column] * gamma[column] - mean_d - hat * mean_d_hat));
    }
    dx
}

/// Drops elements of a `[tokens, hidden]` buffer; row `r` of a text is keyed by the text's place and `r`.
pub(super) fn dropout<F: Float>(dropout: Dropout, tokens: &Tokens, hidden: usize, x: &mut [F]) {
    if !dropout.is_active() {
        return;
    }
    for (text, &place) in tokens.places().iter().enumerate() {
        for (row, token) in tokens.range(text).enumerate() {
            let key = dropout.row(place, 0, row);
            for column in 0..hidden {
                let x = &mut x[token * hidden + column];
                *x = if dropout.keeps(key, column) { *x * F::of(dropout.scale()) } else { F::zero() };
            }
        }
    }
}
