//! Text to token numbers, by the tokenizer that a model folder brings.
//!
//! `tokenizer.json` is used where there is one; else BERT's WordPiece is built from `vocab.txt`
//! ([`word_piece`](self)). What the files beside it say has the last word, as in transformers ([`settings`](self)). A
//! file's own truncation and padding are disabled: texts are cut here, to a length that the caller chooses, and never
//! padded.
//! Words that were met before are looked up ([`words`](self)), long texts read a stretch at a time ([`stretches`](self)).
//! Encoding is single-threaded; a [`Tokenizer`] is shared by reference between threads.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use tokenizers::{NormalizerWrapper, Tokenizer as Pipeline};

pub use self::error::TokenizerError;
use self::stretches::{STRETCH, Stretches};
use self::words::Words;

mod added_tokens;
mod error;
mod files;
mod guard;
mod lower_case;
mod pipeline;
mod settings;
mod stretches;
mod word_piece;
mod words;

/// The numbers of tokens at which texts are cut, special tokens included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lengths {
    /// Texts of no particular kind; a saved model's `max_seq_length`.
    pub text: usize,
    /// Queries.
    pub query: usize,
    /// Documents.
    pub document: usize,
}

impl Lengths {
    /// One length for every text.
    pub fn all(length: usize) -> Self {
        Self { text: length, query: length, document: length }
    }

    /// Whether every text is cut at the same length.
    pub fn are_one(self) -> bool {
        self == Self::all(self.text)
    }
}

/// For people: `256`, or `8 (queries) and 24 (documents)`.
impl fmt::Display for Lengths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self { query, document, .. } if query == document => write!(f, "{query}"),
            Self { query, document, .. } => write!(f, "{query} (queries) and {document} (documents)"),
        }
    }
}

/// A tokenizer with the lengths and lower-casing that belong to a model.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    /// With lower-casing before its own normalizer, if the folder asks for it.
    pipeline: Pipeline,
    /// The normalizer without it.
    own_normalizer: Option<NormalizerWrapper>,
    /// The special tokens before a text (`[CLS]`) and after it (`[SEP]`).
    before: Vec<u32>,
    after: Vec<u32>,
    lower_case: bool,
    lengths: Lengths,
    vocabulary_size: usize,
    /// The rows of the encoder's table of words; `usize::MAX` where no encoder is known.
    rows: usize,
    /// How long texts are read, where the tokenizer is BERT's.
    stretches: Option<Stretches>,
    /// The words of texts, where their tokens do not depend on their neighbours; all clones share them.
    words: Option<Arc<Words>>,
}

impl Tokenizer {
    /// Opens the tokenizer of an encoder's folder.
    ///
    /// With `lower_case`, texts are lower-cased before the tokenizer sees them, but for special tokens; whether the
    /// tokenizer does so itself is its own affair. `max_length` counts the special tokens.
    ///
    /// # Errors
    /// Neither `tokenizer.json` nor `vocab.txt`, a file that cannot be read, or a length that leaves no room for text.
    pub fn open(dir: &Path, lower_case: bool, max_length: usize) -> Result<Self, TokenizerError> {
        let (path, mut pipeline) = pipeline::open(dir)?;
        let (before, after) = special_tokens(&path, &pipeline)?;
        let largest = pipeline.get_vocab(true).into_values().max();
        let vocabulary_size = largest.map_or(0, |largest| largest as usize + 1);
        let own_normalizer = pipeline.get_normalizer().cloned();
        if lower_case {
            lower_case::put_before(&mut pipeline);
        }
        let stretches = Stretches::of(&pipeline);
        if let Some(stretches) = &stretches {
            let read = guard::guarded(|| {
                Ok((
                    stretches.tokens(&pipeline, "a", 1)?,
                    pipeline.encode_fast("a", false)?.get_ids().to_vec(),
                ))
            });
            if read.is_ok_and(|(once, whole)| once != whole) {
                let reason = "its post-processor leaves out a text, or repeats it".to_owned();
                return Err(TokenizerError::Invalid { path, reason });
            }
        }
        let words = (stretches.is_some() && words::are_apart(&pipeline)).then(Arc::default);
        let lengths = Lengths::all(max_length);
        let tokenizer = Self {
            pipeline,
            own_normalizer,
            before,
            after,
            lower_case,
            lengths,
            vocabulary_size,
            rows: usize::MAX,
            stretches,
            words,
        };
        tokenizer.with_lengths(lengths)
    }

    /// The same tokenizer with other lengths.
    ///
    /// # Errors
    /// A length that leaves no room for text.
    pub fn with_lengths(self, lengths: Lengths) -> Result<Self, TokenizerError> {
        let least = self.before.len() + self.after.len() + 1;
        let shortest = lengths.text.min(lengths.query).min(lengths.document);
        if shortest < least {
            return Err(TokenizerError::TooShort { asked: shortest, least });
        }
        Ok(Self { lengths, ..self })
    }

    /// The same tokenizer before an encoder whose table of words has so many rows: a token beyond them is an error where it
    /// occurs in a text.
    ///
    /// # Errors
    /// A special token of every text that is beyond them.
    pub fn with_rows(self, rows: usize) -> Result<Self, TokenizerError> {
        let tokenizer = Self { rows, ..self };
        tokenizer.check(&tokenizer.before)?;
        tokenizer.check(&tokenizer.after)?;
        Ok(tokenizer)
    }

    /// The token numbers of a text with its special tokens, at most [`Tokenizer::max_length`] in all; what does not fit
    /// is cut from the text's end.
    ///
    /// # Errors
    /// A text that the tokenizer's model cannot express, which BERT's always can.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        self.encode_within(text, self.lengths.text)
    }

    /// As [`Tokenizer::encode`], cut at the length of queries.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn encode_query(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        self.encode_within(text, self.lengths.query)
    }

    /// As [`Tokenizer::encode`], cut at the length of documents.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn encode_document(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        self.encode_within(text, self.lengths.document)
    }

    fn encode_within(&self, text: &str, length: usize) -> Result<Vec<u32>, TokenizerError> {
        let room = length - self.before.len() - self.after.len();
        let tokens = match &self.words {
            Some(words) => words.tokens(text, room, |word, room| self.tokens(word, room))?,
            None => self.tokens(text, room)?,
        };
        let kept = &tokens[..tokens.len().min(room)];
        self.check(kept)?;
        Ok([self.before.as_slice(), kept, self.after.as_slice()].concat())
    }

    /// The first tokens of a text, without special tokens around them: at least `room` unless it has fewer.
    fn tokens(&self, text: &str, room: usize) -> Result<Vec<u32>, TokenizerError> {
        let tokens = guard::guarded(|| match &self.stretches {
            Some(stretches) if text.len() > STRETCH => stretches.tokens(&self.pipeline, text, room),
            _ => Ok(self.pipeline.encode_fast(text, false)?.get_ids().to_vec()),
        });
        tokens.map_err(|reason| TokenizerError::Encode { reason })
    }

    /// Refuses tokens for which the encoder has no row.
    fn check(&self, tokens: &[u32]) -> Result<(), TokenizerError> {
        match tokens.iter().find(|token| **token as usize >= self.rows) {
            None => Ok(()),
            Some(&number) => Err(TokenizerError::Vocabulary {
                token: self.pipeline.id_to_token(number).unwrap_or_default(),
                number,
                rows: self.rows,
            }),
        }
    }

    /// [`Tokenizer::encode`] of each text.
    ///
    /// # Errors
    /// The first error of any text.
    pub fn encode_batch(&self, texts: &[&str]) -> Result<Vec<Vec<u32>>, TokenizerError> {
        texts.iter().map(|text| self.encode(text)).collect()
    }

    /// The number of tokens at which texts of no particular kind are cut, special tokens included.
    pub fn max_length(&self) -> usize {
        self.lengths.text
    }

    /// The numbers of tokens at which texts are cut.
    pub fn lengths(&self) -> Lengths {
        self.lengths
    }

    /// Whether texts are lower-cased before the tokenizer sees them.
    pub fn lower_case(&self) -> bool {
        self.lower_case
    }

    /// One more than the largest token number.
    pub fn vocabulary_size(&self) -> usize {
        self.vocabulary_size
    }

    /// The number of a token, for example of `[PAD]`.
    pub fn token_id(&self, token: &str) -> Option<u32> {
        self.pipeline.token_to_id(token)
    }
}

/// The tokens that the pipeline puts before and after a text, told from a sample.
fn special_tokens(path: &Path, pipeline: &Pipeline) -> Result<(Vec<u32>, Vec<u32>), TokenizerError> {
    let invalid = |reason: String| TokenizerError::Invalid { path: path.to_owned(), reason };
    let encode = |special| guard::guarded(|| pipeline.encode_fast("a", special)).map_err(invalid);
    let (bare, full) = (encode(false)?, encode(true)?);
    let (ids, mask) = (full.get_ids(), full.get_special_tokens_mask());
    let before = mask.iter().take_while(|special| **special == 1).count();
    let Some(after) = ids[before..].strip_prefix(bare.get_ids()) else {
        return Err(invalid(
            "its post-processor does not leave a text as it is between special tokens".to_owned(),
        ));
    };
    if before == 0 && after.is_empty() {
        // An empty text would have no tokens at all.
        return Err(invalid("it adds no special tokens such as `[CLS]` and `[SEP]`".to_owned()));
    }
    Ok((ids[..before].to_vec(), after.to_vec()))
}
