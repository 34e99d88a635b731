//! Texts cut into parts by a budget of tokens.

use std::ops::Range;

/// Splits texts, in order, into runs of at most `budget` tokens; a longer text is a part of its own.
pub fn parts<T: AsRef<[u32]>>(texts: &[T], budget: usize) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    let (mut start, mut held) = (0, 0);
    for (place, text) in texts.iter().enumerate() {
        let tokens = text.as_ref().len();
        if place > start && held + tokens > budget {
            parts.push(start..place);
            (start, held) = (place, 0);
        }
        held += tokens;
    }
    if start < texts.len() {
        parts.push(start..texts.len());
    }
    parts
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
