//! Word + position + type 0 of every token.

use super::Float;
use super::rows::add;
use crate::{EmbeddingTables, Tokens};

/// `sum = word[id] + position[row in its text] + type[0]`.
pub(super) fn forward<F: Float>(
    tables: &EmbeddingTables<'_, Vec<F>>,
    tokens: &Tokens,
    hidden: usize,
    sum: &mut [F],
) {
    for text in 0..tokens.n_texts() {
        for (row, token) in tokens.range(text).enumerate() {
            let word = tokens.ids()[token] as usize;
            for column in 0..hidden {
                sum[token * hidden + column] = tables.word[word * hidden + column]
                    + tables.position[row * hidden + column]
                    + tables.token_type[column];
            }
        }
    }
}

/// Adds each token's gradient to the rows that it is the sum of.
pub(super) fn backward<F: Float>(
    tokens: &Tokens,
    hidden: usize,
    d_sum: &[F],
    word: &mut [F],
    position: &mut [F],
    token_type: &mut [F],
) {
    for text in 0..tokens.n_texts() {
        for (row, token) in tokens.range(text).enumerate() {
            let d = &d_sum[token * hidden..(token + 1) * hidden];
            let id = tokens.ids()[token] as usize;
            add(d, &mut word[id * hidden..(id + 1) * hidden]);
            add(d, &mut position[row * hidden..(row + 1) * hidden]);
            add(d, &mut token_type[..hidden]);
        }
    }
}
