//! Token vectors of a text to one vector.

use super::Float;
use super::rows::exceeds;
use crate::{Pooling, Tokens};

pub(super) fn forward<F: Float>(pooling: Pooling, tokens: &Tokens, hidden: usize, x: &[F], output: &mut [F]) {
    for text in 0..tokens.n_texts() {
        for column in 0..hidden {
            let range = tokens.range(text);
            let at = |token: usize| x[token * hidden + column];
            output[text * hidden + column] = match pooling {
                Pooling::Cls => at(range.start),
                Pooling::Max => at(largest(tokens, text, at)),
                Pooling::Mean => {
                    let mut sum = F::zero();
                    for token in range.clone() {
                        sum += at(token);
                    }
                    sum / F::of(range.len() as f64)
                }
            };
        }
    }
}

pub(super) fn backward<F: Float>(
    pooling: Pooling,
    tokens: &Tokens,
    hidden: usize,
    x: &[F],
    d_output: &[F],
    dx: &mut [F],
) {
    dx.fill(F::zero());
    for text in 0..tokens.n_texts() {
        for column in 0..hidden {
            let range = tokens.range(text);
            let d = d_output[text * hidden + column];
            match pooling {
                Pooling::Cls => dx[range.start * hidden + column] = d,
                Pooling::Max => {
                    dx[largest(tokens, text, |token| x[token * hidden + column]) * hidden + column] = d;
                }
                Pooling::Mean => {
                    for token in range.clone() {
                        dx[token * hidden + column] = d / F::of(range.len() as f64);
                    }
                }
            }
        }
    }
}

/// The first token of the text whose value is the largest.
fn largest<F: Float>(tokens: &Tokens, text: usize, at: impl Fn(usize) -> F) -> usize {
    let mut best = tokens.range(text).start;
    for token in tokens.range(text) {
        if exceeds(at(token), at(best)) {
            best = token;
        }
    }
    best
}
