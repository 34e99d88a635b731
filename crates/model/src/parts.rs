//! Texts cut into parts by a budget of tokens.

use std::ops::Range;

/// Tokens of texts that go through the encoder together: enough for products at full speed, few enough that a layer's
/// activations stay in the last cache. Parts are computed side by side, so that threads seldom meet.
pub const PART: usize = 1024;

/// Splits texts, in order, into runs of at most `budget` tokens; a longer text is a part of its own.
pub fn parts<T: AsRef<[u32]>>(texts: &[T], budget: usize) -> Vec<Range<usize>> {
    runs(texts.iter().map(|text| text.as_ref().len()), budget)
}

/// As [`parts`], given the number of tokens of each text, or of whatever is to be split.
pub fn runs(tokens: impl IntoIterator<Item = usize>, budget: usize) -> Vec<Range<usize>> {
    let mut runs = Vec::new();
    let (mut start, mut end, mut held) = (0, 0, 0);
    for tokens in tokens {
        if end > start && held + tokens > budget {
            runs.push(start..end);
            (start, held) = (end, 0);
        }
        held += tokens;
        end += 1;
    }
    if start < end {
        runs.push(start..end);
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_keep_the_order_and_the_budget() {
        let texts = [1250, 798, 1, 2250, 2048].map(|tokens| vec![0; tokens]);
        assert_eq!(parts(&texts, 2048), [0..2, 2..3, 3..4, 4..5]);
        assert_eq!(parts(&texts, 1), [0..1, 1..2, 2..3, 3..4, 4..5]);
        assert_eq!(parts(&texts, 4300), [0..4, 4..5]);
        assert!(parts::<Vec<u32>>(&[], 2048).is_empty());
    }
}
