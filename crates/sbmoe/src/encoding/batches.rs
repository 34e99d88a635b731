//! Filling ragged batches by a budget of tokens.

/// Tokens that one ragged batch of the encoder holds: large enough that products run at full speed, small enough that a
/// layer's activations stay in the caches' reach.
pub(super) const BATCH_TOKENS: usize = 8192;

/// Splits texts, in order, into runs of at most 8 192 tokens; a longer text is a batch of its own.
pub fn token_batches(texts: &[Vec<u32>]) -> impl Iterator<Item = &[Vec<u32>]> {
    let mut rest = texts;
    std::iter::from_fn(move || {
        let mut held = 0;
        let fits = rest.iter().take_while(|text| {
            held += text.len();
            held <= BATCH_TOKENS
        });
        let (batch, after) = rest.split_at(fits.count().max(1).min(rest.len()));
        rest = after;
        (!batch.is_empty()).then_some(batch)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_keep_the_order_and_the_budget() {
        let lengths = [5000, 3192, 1, 9000, 8192];
        let texts: Vec<Vec<u32>> = lengths.iter().map(|&n| vec![0; n]).collect();
        let batches: Vec<Vec<usize>> =
            token_batches(&texts).map(|batch| batch.iter().map(Vec::len).collect()).collect();
        assert_eq!(batches, [vec![5000, 3192], vec![1], vec![9000], vec![8192]]);
        assert_eq!(token_batches(&[]).count(), 0);
    }
}
