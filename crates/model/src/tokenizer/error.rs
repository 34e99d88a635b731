//! What can be wrong with a tokenizer or with what is asked of it.

use std::io;
use std::path::PathBuf;

/// Why a tokenizer could not be opened or used.
#[derive(Debug, thiserror::Error)]
pub enum TokenizerError {
    /// A file could not be read; the message names it.
    #[error(transparent)]
    Io(#[from] io::Error),

    /// A folder without a tokenizer.
    #[error(
        "no tokenizer in `{}`: looked for `tokenizer.json` and `vocab.txt`; fetch one of them from where the model \
         comes from",
        dir.display()
    )]
    Missing {
        /// The folder.
        dir: PathBuf,
    },

    /// A file that is no tokenizer.
    #[error("`{}` is not a valid tokenizer: {reason}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },

    /// A token for which the encoder has no row.
    #[error(
        "the tokenizer's token `{token}` has the number {number}, but the encoder's `vocab_size` is {rows}; the two do \
         not belong together, or the text must not hold this token"
    )]
    Vocabulary {
        /// The token.
        token: String,
        /// Its number.
        number: u32,
        /// The rows of the encoder's table of words.
        rows: usize,
    },

    /// A length that leaves no room for text.
    #[error("a maximum length of {asked} tokens leaves no room for text; ask for at least {least}")]
    TooShort {
        /// The length asked for.
        asked: usize,
        /// The least that is possible.
        least: usize,
    },

    /// A length for which the encoder has no positions.
    #[error(
        "a maximum length of {asked} tokens is beyond the encoder's `max_position_embeddings`; ask for at most {limit}"
    )]
    TooLong {
        /// The length asked for.
        asked: usize,
        /// The encoder's limit.
        limit: usize,
    },

    /// A text that cannot be expressed.
    #[error("the tokenizer cannot encode a text: {reason}")]
    Encode {
        /// The tokenizer's own words.
        reason: String,
    },
}
