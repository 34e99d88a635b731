//! What can be wrong with a model folder.

use std::io;
use std::path::PathBuf;

use crate::checkpoint::CheckpointError;
use crate::tokenizer::TokenizerError;

/// Why a model folder could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// A file could not be read or written; the message names it.
    #[error(transparent)]
    Io(#[from] io::Error),

    /// A folder that holds no model.
    #[error("no model in `{}`: there is no `config.json`", dir.display())]
    NoModel {
        /// The folder.
        dir: PathBuf,
    },

    /// A file that is not the JSON it should be.
    #[error("`{}` cannot be read: {source}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// The line and what is wrong there.
        source: serde_json::Error,
    },

    /// Something that other programs support and this one does not.
    #[error("`{}`: {key} `{found}` is not supported; supported: {supported}", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What is not supported.
        key: String,
        /// The value found.
        found: String,
        /// The values that would do.
        supported: String,
    },

    /// Values that contradict one another.
    #[error("`{}`: {reason}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The contradiction.
        reason: String,
    },

    /// A folder that must not be replaced.
    #[error(
        "`{}` is not empty and holds no model of sbmoe, so it is not replaced; name another folder or empty it",
        dir.display()
    )]
    Occupied {
        /// The folder.
        dir: PathBuf,
    },

    /// The weights could not be read or written.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),

    /// The tokenizer could not be read or written.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
}
