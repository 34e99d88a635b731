//! A ragged batch of token ids: which texts there are, where each begins, and which place each has in the whole batch.

use std::ops::Range;

/// Token ids of several texts end to end, without padding.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tokens {
    ids: Vec<u32>,
    /// `texts + 1` entries; text `i` owns the tokens `offsets[i]..offsets[i + 1]`.
    offsets: Vec<usize>,
    /// The place of each text in the whole batch, which keys its random draws.
    places: Vec<u32>,
}

impl Tokens {
    /// Joins `texts`; the first has place `first_place` in the whole batch, the next the one after it.
    ///
    /// A batch that is computed in parts keeps its random draws when each part names its first place.
    ///
    /// # Panics
    /// When a text has no tokens: tokenizers always add the special ones.
    pub fn new<T: AsRef<[u32]>>(texts: &[T], first_place: u32) -> Self {
        let mut tokens = Self { ids: Vec::new(), offsets: vec![0], places: Vec::new() };
        for (place, text) in (first_place..).zip(texts) {
            assert!(!text.as_ref().is_empty(), "a text holds at least its special tokens");
            tokens.ids.extend_from_slice(text.as_ref());
            tokens.offsets.push(tokens.ids.len());
            tokens.places.push(place);
        }
        tokens
    }

    /// All token ids, end to end.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// The place of each text in the whole batch.
    pub fn places(&self) -> &[u32] {
        &self.places
    }

    /// Number of texts.
    pub fn n_texts(&self) -> usize {
        self.places.len()
    }

    /// Number of tokens of all texts together.
    pub fn n_tokens(&self) -> usize {
        self.ids.len()
    }

    /// The rows that text `text` owns in a `[tokens, …]` buffer.
    pub fn range(&self, text: usize) -> Range<usize> {
        self.offsets[text]..self.offsets[text + 1]
    }

    /// The longest text, in tokens; 0 when there is none.
    pub fn longest(&self) -> usize {
        self.offsets.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0)
    }
}
