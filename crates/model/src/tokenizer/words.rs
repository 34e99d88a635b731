//! The tokens of words that were met before: a collection has few words, many times over, and looking one up takes a
//! twentieth of the time that a tokenizer takes for it.

use std::collections::HashMap;
use std::mem;
use std::sync::{PoisonError, RwLock};

use tokenizers::Tokenizer as Pipeline;

/// Bytes of the longest word that is remembered.
const LONGEST: usize = 32;

/// Words that are remembered, some 100 bytes each; then all are forgotten, so that a text in another language finds room.
const MOST: usize = 1 << 15;

/// What a word may be cut from at its ends: punctuation that is a token of its own in BERT's tokenizer, a byte each.
const POINTS: [char; 8] = ['.', ',', ';', ':', '(', ')', '%', '"'];

const _: () = {
    let mut i = 0;
    while i < POINTS.len() {
        assert!(POINTS[i].is_ascii(), "a point is a byte");
        i += 1;
    }
};

/// Whether the tokens of a text are those of its [`pieces`], of a tokenizer that is BERT's: so it is unless somebody added a token with a
/// space or a point inside, or one that is looked for in what normalizing leaves, where they may come from elsewhere.
pub(super) fn are_apart(pipeline: &Pipeline) -> bool {
    pipeline.get_added_tokens_decoder().values().all(|token| {
        !token.normalized && !token.content.contains(|c: char| c.is_whitespace() || POINTS.contains(&c))
    })
}

/// A text's words, without the points around them, and those points.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split([' ', '\n', '\t', '\r']);
    let pieces = words.flat_map(|word| {
        let start = word.len() - word.trim_start_matches(POINTS).len();
        let end = word.trim_end_matches(POINTS).len().max(start);
        let point = |place| &word[place..=place];
        (0..start).map(point).chain([&word[start..end]]).chain((end..word.len()).map(point))
    });
    pieces.filter(|piece| !piece.is_empty())
}

/// Words and their tokens.
#[derive(Debug, Default)]
pub(super) struct Words {
    known: RwLock<HashMap<Box<str>, Box<[u32]>>>,
}

impl Words {
    /// The tokens of a text's first words, at least `room` of them unless the text has fewer: those that `tokenize` would
    /// find there in the whole text, as [`are_apart`] promises. It is asked for as many of a word as there is room for.
    pub(super) fn tokens<E>(
        &self,
        text: &str,
        room: usize,
        tokenize: impl Fn(&str, usize) -> Result<Vec<u32>, E>,
    ) -> Result<Vec<u32>, E> {
        let mut tokens = Vec::new();
        for word in pieces(text) {
            if tokens.len() >= room {
                break;
            }
            if !self.recall(word, &mut tokens) {
                let found = tokenize(word, room - tokens.len())?;
                tokens.extend_from_slice(&found);
                self.remember(word, found);
            }
        }
        Ok(tokens)
    }

    /// Appends the tokens of a word, if it is known.
    fn recall(&self, word: &str, tokens: &mut Vec<u32>) -> bool {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let found = known.get(word);
        tokens.extend(found.into_iter().flatten());
        found.is_some()
    }

    fn remember(&self, word: &str, tokens: Vec<u32>) {
        if word.len() > LONGEST {
            return;
        }
        let (word, tokens) = (word.into(), tokens.into());
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let forgotten = if known.len() >= MOST { mem::take(&mut *known) } else { HashMap::new() };
        known.insert(word, tokens);
        // Many words take a while to be freed: nobody waits for it.
        drop(known);
        drop(forgotten);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tokenizer of letters, which refuses digits.
    fn letters(word: &str, _: usize) -> Result<Vec<u32>, char> {
        word.chars()
            .map(|letter| if letter.is_ascii_digit() { Err(letter) } else { Ok(letter.into()) })
            .collect()
    }

    #[test]
    fn words_are_without_the_points_around_them() {
        let found: Vec<&str> = pieces("(a.b, ...\t%").collect();
        assert_eq!(found, ["(", "a.b", ",", ".", ".", ".", "%"]);
    }

    #[test]
    fn a_word_that_is_known_is_not_asked_for() {
        let words = Words::default();
        let (text, expected) = (" ab c\tab\n\nab ", letters("abcabab", 9).unwrap());
        assert_eq!(words.tokens(text, usize::MAX, letters), Ok(expected.clone()));
        assert_eq!(words.tokens(text, usize::MAX, |word, _| Err(word.to_owned())), Ok(expected));
        assert_eq!(words.tokens("ab d", 9, |word, _| Err(word.to_owned())), Err("d".to_owned()));
    }

    #[test]
    fn words_behind_the_last_token_are_not_read() {
        let words = Words::default();
        assert_eq!(words.tokens("ab c 1", 3, letters), Ok(letters("abc", 9).unwrap()));
        assert_eq!(words.tokens("ab c 1", 4, letters), Err('1'));
    }

    #[test]
    fn as_many_words_are_remembered_as_there_is_room_for() {
        let words = Words::default();
        let long = "x".repeat(LONGEST + 1);
        words.tokens(&long, 1, letters).unwrap();
        assert!(!words.recall(&long, &mut Vec::new()), "a long word is not remembered");
        for number in 0..MOST + 2 {
            words.tokens(&format!("w{number}"), 9, |_, _| Ok::<_, ()>(vec![number as u32])).unwrap();
        }
        let (mut tokens, last) = (Vec::new(), MOST + 1);
        assert!(!words.recall("w0", &mut tokens) && words.recall(&format!("w{last}"), &mut tokens));
        assert_eq!(tokens, [last as u32]);
    }
}
