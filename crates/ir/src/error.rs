//! What can be wrong with a file of this crate, with the facts needed to put it right.
//!
//! Errors of names of measures and of an evaluation stand with those ([`crate::measure`], [`crate::evaluate`](mod@crate::evaluate)).

use std::{io, path::PathBuf};

/// A file or a record that could not be read, written or accepted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be opened or written; the message names it.
    #[error(transparent)]
    Io(#[from] io::Error),

    /// Reading stopped inside a file, such as at the end of a truncated `.gz`.
    #[error("{}:{line}: reading failed ({source})", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The line being read, counted from 1.
        line: u64,
        /// What the reader said.
        source: io::Error,
    },

    /// A line does not say what its format asks for.
    #[error("{}:{line}: expected {expected}, found {found}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: u64,
        /// What should stand there.
        expected: String,
        /// What stands there.
        found: String,
    },

    /// A collection's path is not a folder.
    #[error("`{}` is not a folder: a collection is a folder with `corpus.jsonl`, `queries.jsonl` and `qrels/`", path.display())]
    NotAFolder {
        /// The path that was given.
        path: PathBuf,
    },

    /// A collection lacks a file.
    #[error("`{}` holds neither `{name}` nor `{name}.gz`", folder.display())]
    MissingFile {
        /// The collection's folder.
        folder: PathBuf,
        /// The file's name, relative to the folder.
        name: String,
    },

    /// A file that must hold records holds none.
    #[error("`{}` is empty: expected {expected}", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
    },

    /// A file of pairs whose name does not say how it is written.
    #[error(
        "`{}` is no file of pairs: expected a name that ends in `.jsonl`, `.ndjson`, `.json` or `.csv`, perhaps with `.gz` \
         behind it", path.display()
    )]
    UnknownPairsFormat {
        /// The path that was given.
        path: PathBuf,
    },

    /// A folder to be made holds something already.
    #[error("`{}` is not empty: name a folder that is not there yet", folder.display())]
    NotEmpty {
        /// The folder.
        folder: PathBuf,
    },

    /// A judgment names a query or a document that the collection does not have.
    #[error("{origin}: {kind} `{id}` is not in {searched}")]
    UnknownId {
        /// Where the judgment stands: file and line.
        origin: String,
        /// `query` or `document`.
        kind: &'static str,
        /// The identifier that points nowhere.
        id: String,
        /// Where it was looked for.
        searched: String,
    },

    /// The same pair was judged twice, differently.
    #[error(
        "document `{document}` of query `{query}` is judged both {first} and {second}: keep one of the two judgments"
    )]
    ConflictingGrades {
        /// The query.
        query: String,
        /// The document.
        document: String,
        /// The grade met first.
        first: i32,
        /// The grade met later.
        second: i32,
    },

    /// A grade outside the range that the standard program holds.
    #[error("grade {grade} of document `{document}` is outside -127…127")]
    GradeOutOfRange {
        /// The document.
        document: String,
        /// The grade.
        grade: i32,
    },

    /// A score that is not a number has no place in an order.
    #[error("the score of document `{document}` for query `{query}` is not a number")]
    NanScore {
        /// The query.
        query: String,
        /// The document.
        document: String,
    },

    /// A ranking holds a document twice.
    #[error("document `{document}` appears twice among the hits of query `{query}`")]
    RepeatedHit {
        /// The query.
        query: String,
        /// The document.
        document: String,
    },

    /// A run holds a query twice.
    #[error("query `{query}` appears twice in the run")]
    RepeatedQuery {
        /// The query.
        query: String,
    },

    /// An identifier cannot be written in a format whose fields it would break.
    #[error("{kind} `{id}` cannot be written to a {format} file: it must {rule}")]
    UnwritableId {
        /// `query id`, `document id` or `tag`.
        kind: &'static str,
        /// The identifier.
        id: String,
        /// The format's name.
        format: &'static str,
        /// What the format asks of its fields.
        rule: &'static str,
    },
}
