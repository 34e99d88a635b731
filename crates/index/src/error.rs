//! What can go wrong with an index, each with the facts a person needs to put it right.

use std::io;
use std::path::PathBuf;

use crate::hit::DocOrdinal;

/// A failure to write, open, check or search vectors.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// The operating system refused; the message names the file.
    #[error(transparent)]
    Io(#[from] io::Error),

    /// The file does not begin as a `.npy` file does.
    #[error("`{path}` is not a `.npy` file: {reason}", path = path.display())]
    NotNpy {
        /// The file.
        path: PathBuf,
        /// What its header lacks.
        reason: String,
    },

    /// The numbers in the file are of another type.
    #[error("`{path}` holds numbers of type `{found}` where `{expected}` is needed", path = path.display())]
    ElementType {
        /// The file.
        path: PathBuf,
        /// NumPy's name of the type that was asked for.
        expected: &'static str,
        /// NumPy's name of the type in the file.
        found: String,
    },

    /// The array in the file has another number of dimensions or columns.
    #[error("`{path}` has the shape {found} where {expected} is needed", path = path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// The shape that was asked for.
        expected: String,
        /// The shape in the file.
        found: String,
    },

    /// The file has another size than its header or its manifest says.
    #[error(
        "`{path}` has {found} bytes where {expected} are expected, so it was cut short or changed: write it again",
        path = path.display()
    )]
    Size {
        /// The file.
        path: PathBuf,
        /// Bytes that should be there.
        expected: u64,
        /// Bytes that are there.
        found: u64,
    },

    /// More rows than an ordinal can number.
    #[error("`{path}` has {rows} rows and at most {limit} can be searched: split the collection", path = path.display())]
    TooManyRows {
        /// The file.
        path: PathBuf,
        /// Rows in the file.
        rows: u64,
        /// The most rows that an index holds.
        limit: u64,
    },

    /// Rows were handed over in a slice that is not a whole number of rows.
    #[error("{received} numbers are not a whole number of rows of {columns}")]
    RowLength {
        /// Numbers a row.
        columns: usize,
        /// Numbers handed over.
        received: usize,
    },

    /// A vector without numbers.
    #[error("vectors must have at least one number, and the dimension given is 0")]
    ZeroDimension,

    /// More documents than ordinals.
    #[error("{documents} documents are more than an index searches, {most}: divide them and merge the hits")]
    TooManyDocuments {
        /// Vectors handed over.
        documents: usize,
        /// Ordinals that there are.
        most: u64,
    },

    /// A document's vector holds NaN or an infinity.
    #[error(
        "the vector of document {row} has {value} at position {column}: its encoder or block has weights that are not finite"
    )]
    VectorNotFinite {
        /// The document's ordinal.
        row: u64,
        /// Position within the vector.
        column: usize,
        /// What stands there.
        value: f32,
    },

    /// A query's vector holds NaN or an infinity.
    #[error(
        "the vector of query {row} has {value} at position {column}: its encoder or block has weights that are not finite"
    )]
    QueryNotFinite {
        /// The query's row.
        row: usize,
        /// Position within the vector.
        column: usize,
        /// What stands there.
        value: f32,
    },

    /// The inner product of a query and a document is NaN or infinite.
    #[error(
        "the score of document {document} for query {query} is {score}: check the stored vectors with `sbmoe index check`, or encode the collection again"
    )]
    ScoreNotFinite {
        /// The query's row.
        query: usize,
        /// The document's ordinal.
        document: DocOrdinal,
        /// The inner product.
        score: f32,
    },

    /// Queries of another dimension than the documents.
    #[error(
        "{received} numbers are not a whole number of queries of {dim}, the dimension of the documents' vectors"
    )]
    QueryDimension {
        /// Dimension of the documents.
        dim: usize,
        /// Numbers handed over.
        received: usize,
    },

    /// A rounded copy of other vectors.
    #[error("the rounded copy has {found} rows and the vectors have {expected}: round the vectors again")]
    RoundedRows {
        /// Rows of the vectors.
        expected: usize,
        /// Rows of the copy.
        found: usize,
    },

    /// `index.json` is not what it should be.
    #[error("`{path}` cannot be read as an index manifest: {source}", path = path.display())]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// What the JSON reader found.
        source: serde_json::Error,
    },

    /// `index.json` was written by another version of the format.
    #[error(
        "`{path}` has format version {found} and this program reads version {supported}: encode the collection again, or use the program that wrote it",
        path = path.display()
    )]
    Version {
        /// The manifest.
        path: PathBuf,
        /// The version in the file, as it stands there.
        found: String,
        /// The version that this crate reads and writes.
        supported: u32,
    },

    /// The manifest says one thing and a file's header another.
    #[error("`{path}` has {found} {what} and the manifest says {expected}: encode the collection again", path = path.display())]
    Disagreement {
        /// The file.
        path: PathBuf,
        /// What is counted.
        what: &'static str,
        /// The manifest's number.
        expected: u64,
        /// The file's number.
        found: u64,
    },

    /// The manifest does not list a file.
    #[error("the manifest of `{folder}` lists no file `{name}`", folder = folder.display())]
    Unlisted {
        /// The index folder.
        folder: PathBuf,
        /// The file's name within it.
        name: String,
    },

    /// A file's bytes are not those that were written.
    #[error(
        "`{path}` has the SHA-256 {found} and the manifest says {expected}: the file was damaged or changed; put back \
         what was written, or encode the collection again",
        path = path.display()
    )]
    Checksum {
        /// The file.
        path: PathBuf,
        /// The manifest's checksum, in hexadecimal.
        expected: String,
        /// The file's checksum, in hexadecimal.
        found: String,
    },
}
