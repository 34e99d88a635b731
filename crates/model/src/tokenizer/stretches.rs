//! Long texts in BERT's tokenizer, a stretch at a time: its memory does not grow with a text, and reading ends with the
//! tokens that are kept.
//!
//! The library takes about a hundred bytes for each byte of what it is given at once. A stretch ends where neither an added
//! token nor the order of combining marks reaches across; the word that goes on there is put together again. So the
//! tokens are those of the whole text.

use std::collections::BTreeSet;

use tokenizers::models::wordpiece::WordPiece;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::tokenizer::pre_tokenizer::PreTokenizedString;
use tokenizers::{
    Model as _, ModelWrapper, NormalizedString, Normalizer as _, NormalizerWrapper, OffsetReferential,
    OffsetType, PreTokenizer as _, PreTokenizerWrapper, Tokenizer as Pipeline,
};

/// Bytes of the shortest stretch; shorter texts are read at once.
pub(super) const STRETCH: usize = 4096;

/// Combining marks that stay where accents are stripped: Unicode orders the marks behind a letter by their classes, so
/// that no stretch may end between two of these. What the library's tables (Unicode 9) call a combining mark with a class
/// that is not non-spacing, and the letters that are made of one.
const STAYING: [(char, char); 27] = [
    ('\u{8d4}', '\u{8e1}'),
    ('\u{1715}', '\u{1715}'),
    ('\u{1734}', '\u{1734}'),
    ('\u{1b44}', '\u{1b44}'),
    ('\u{1baa}', '\u{1baa}'),
    ('\u{1bf2}', '\u{1bf3}'),
    ('\u{1dfb}', '\u{1dfb}'),
    ('\u{302e}', '\u{302f}'),
    ('\u{a953}', '\u{a953}'),
    ('\u{a9c0}', '\u{a9c0}'),
    ('\u{111c0}', '\u{111c0}'),
    ('\u{11235}', '\u{11235}'),
    ('\u{1134d}', '\u{1134d}'),
    ('\u{11442}', '\u{11442}'),
    ('\u{11446}', '\u{11446}'),
    ('\u{116b6}', '\u{116b6}'),
    ('\u{1193d}', '\u{1193d}'),
    ('\u{11c3f}', '\u{11c3f}'),
    ('\u{16ff0}', '\u{16ff1}'),
    ('\u{1d15e}', '\u{1d166}'),
    ('\u{1d16d}', '\u{1d172}'),
    ('\u{1d1bb}', '\u{1d1c0}'),
    ('\u{1e000}', '\u{1e006}'),
    ('\u{1e008}', '\u{1e018}'),
    ('\u{1e01b}', '\u{1e021}'),
    ('\u{1e023}', '\u{1e02a}'),
    ('\u{1e944}', '\u{1e94a}'),
];

/// BERT's tokenizer, read in stretches.
#[derive(Clone, Debug)]
pub(super) struct Stretches {
    /// The added tokens that are looked for in the text as it is.
    added: Vec<Box<[u8]>>,
    /// The characters of those that are looked for in what normalizing leaves.
    normalized: BTreeSet<char>,
    /// Whether one of these must be a word of its own.
    single_word: bool,
}

impl Stretches {
    /// `None` for a tokenizer that is not BERT's: its texts are read whole.
    pub(super) fn of(pipeline: &Pipeline) -> Option<Self> {
        let is_bert = pipeline.get_normalizer().is_none_or(is_bert_normalizer)
            && matches!(pipeline.get_pre_tokenizer(), Some(PreTokenizerWrapper::BertPreTokenizer(_)))
            && matches!(pipeline.get_model(), ModelWrapper::WordPiece(_));
        if !is_bert {
            return None;
        }
        let mut stretches = Self { added: Vec::new(), normalized: BTreeSet::new(), single_word: false };
        for token in pipeline.get_added_tokens_decoder().into_values() {
            if token.normalized {
                stretches.normalized.extend(token.content.chars());
                stretches.normalized.extend(normalize(pipeline, &token.content).chars());
                stretches.single_word |= token.single_word;
            } else {
                stretches.added.push(token.content.into_bytes().into());
            }
        }
        Some(stretches)
    }

    /// The first tokens of a text, at least `room` of them unless it has fewer.
    pub(super) fn tokens(
        &self,
        pipeline: &Pipeline,
        mut text: &str,
        room: usize,
    ) -> tokenizers::Result<Vec<u32>> {
        let ModelWrapper::WordPiece(model) = pipeline.get_model() else {
            unreachable!("`Stretches::of` takes no other model");
        };
        let mut word = Word { model, text: String::new(), last: None, tokens: Vec::new() };
        while !text.is_empty() && word.tokens.len() < room {
            let (stretch, rest) = text.split_at(self.end(pipeline, text));
            let parts =
                pipeline.get_added_vocabulary().extract_and_normalize(pipeline.get_normalizer(), stretch);
            for (part, _, added) in parts.get_splits(OffsetReferential::Original, OffsetType::None) {
                match added {
                    None => word.read(part)?,
                    Some(added) => {
                        word.end()?;
                        word.last = None;
                        word.tokens.extend(added.iter().map(|token| token.id));
                    }
                }
            }
            text = rest;
        }
        if text.is_empty() {
            word.end()?;
        }
        Ok(word.tokens)
    }

    /// Where the first stretch of a text ends.
    fn end(&self, pipeline: &Pipeline, text: &str) -> usize {
        let mut marks_stay = false;
        let mut before = None;
        for (place, next) in text.char_indices() {
            if place >= STRETCH
                && !marks_stay
                && !stays(next)
                && !self.is_crossed(pipeline, text, place, before)
            {
                return place;
            }
            // A mark that stays is moved as far as the next character that is none.
            marks_stay =
                stays(next) || marks_stay && normalize(pipeline, next.encode_utf8(&mut [0; 4])).is_empty();
            before = Some(next);
        }
        text.len()
    }

    /// Whether an added token may reach across `place`, or touch it.
    fn is_crossed(&self, pipeline: &Pipeline, text: &str, place: usize, before: Option<char>) -> bool {
        let bytes = text.as_bytes();
        let touches = |token: &[u8]| {
            let around = &bytes[place.saturating_sub(token.len())..bytes.len().min(place + token.len())];
            !token.is_empty() && around.windows(token.len()).any(|found| found == token)
        };
        if self.added.iter().any(|token| touches(token)) {
            return true;
        }
        if self.normalized.is_empty() {
            return false;
        }
        let left = before.map(|c| normalize(pipeline, c.encode_utf8(&mut [0; 4]))).unwrap_or_default();
        left.chars().next_back().is_none_or(|c| {
            self.normalized.contains(&c)
                || self.single_word && !c.is_whitespace() && !c.is_ascii_punctuation()
        })
    }
}

/// BERT's own, also behind the lower-casing that sentence-transformers puts before it.
fn is_bert_normalizer(normalizer: &NormalizerWrapper) -> bool {
    match normalizer {
        NormalizerWrapper::BertNormalizer(_) | NormalizerWrapper::Lowercase(_) => true,
        NormalizerWrapper::Sequence(sequence) => sequence.as_ref().iter().all(is_bert_normalizer),
        _ => false,
    }
}

fn stays(mark: char) -> bool {
    STAYING.iter().any(|(first, last)| (*first..=*last).contains(&mark))
}

fn normalize(pipeline: &Pipeline, text: &str) -> String {
    let mut normalized = NormalizedString::from(text);
    if let Some(normalizer) = pipeline.get_normalizer() {
        // BERT's refuses nothing.
        let _ = normalizer.normalize(&mut normalized);
    }
    normalized.get().to_owned()
}

/// The word at which reading stands, and the tokens of those before it.
struct Word<'a> {
    model: &'a WordPiece,
    text: String,
    /// The last normalized character that was read, unless an added token followed it.
    last: Option<char>,
    tokens: Vec<u32>,
}

impl Word<'_> {
    /// Reads normalized text that holds no added token.
    fn read(&mut self, part: &str) -> tokenizers::Result<()> {
        for (start, text) in words(part)? {
            let goes_on = start == 0 && self.last.zip(text.chars().next()).is_some_and(are_one_word);
            if !goes_on {
                self.end()?;
            }
            // A word of more characters than the model takes is unknown, however many more they are.
            let room = (self.model.max_input_chars_per_word.saturating_add(1))
                .saturating_sub(self.text.chars().count());
            self.text.extend(text.chars().take(room));
        }
        self.last = part.chars().next_back().or(self.last);
        Ok(())
    }

    fn end(&mut self) -> tokenizers::Result<()> {
        if !self.text.is_empty() {
            self.tokens.extend(self.model.tokenize(&self.text)?.iter().map(|token| token.id));
            self.text.clear();
        }
        Ok(())
    }
}

/// BERT's words of a normalized text, and the byte at which each begins.
fn words(text: &str) -> tokenizers::Result<Vec<(usize, String)>> {
    let mut words = PreTokenizedString::from(text);
    BertPreTokenizer.pre_tokenize(&mut words)?;
    let words = words.get_splits(OffsetReferential::Original, OffsetType::Byte);
    Ok(words.into_iter().map(|(word, (start, _), _)| (start, word.to_owned())).collect())
}

/// Whether two neighbours belong to the same word: neither is a space or punctuation.
fn are_one_word((left, right): (char, char)) -> bool {
    words(&String::from_iter([left, right]))
        .is_ok_and(|words| matches!(words.as_slice(), [(0, word)] if word.chars().count() == 2))
}
