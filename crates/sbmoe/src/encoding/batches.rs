//! Filling ragged batches by a budget of tokens.

use sbmoe_model::parts::parts;

/// Tokens of a batch, which is what is written at once: several of the parts that the encoder computes side by side, so
/// that threads seldom wait for each other.
pub(super) const BATCH_TOKENS: usize = 8192;

/// Splits texts, in order, into runs of at most 8 192 tokens; a longer text is a batch of its own.
pub fn token_batches(texts: &[Vec<u32>]) -> impl Iterator<Item = &[Vec<u32>]> {
    parts(texts, BATCH_TOKENS).into_iter().map(|batch| &texts[batch])
}
