//! An index folder as the application sees it: vectors joined with the documents they belong to.
//!
//! | file | what it holds |
//! |---|---|
//! | `index.json` | how the vectors were made, and size and checksum of every other file; written last |
//! | `vectors.npy` | f32 `[documents, dim]` |
//! | `vectors.int8.npy`, `vectors.bf16.npy` | i8 or the bits of bf16 `[documents, dim]`, a rounded copy that a search reads, if asked for |
//! | `vectors.int8.rows.npy`, `vectors.bf16.rows.npy` | f32 `[documents, 3]` beside it: each row's scale, the copy's error, the length |
//! | `pooled.npy` | f32 `[documents, hidden]`, the encoder's pooled vectors, if they were kept |
//! | `pooled.keys.npy` | u64 `[documents]`, the texts' keys beside the pooled vectors: the random gate reads them |
//! | `experts.npy` | u16 `[documents]`, the expert of each document, if the gate sends a document to one |
//! | `documents.jsonl` | id, title and the beginning of the text, one JSON object a line |
//! | `documents.ends.npy` | u64 `[documents]`, where each of these lines ends |
//! | `partial.json` | while the index is being made: what it will be, and how many documents are safely on the disk |
//!
//! The library `sbmoe-index` knows the vectors and leaves ids and texts to this module. Encoding and the command
//! line stand elsewhere.

mod builder;
mod documents;
mod index;
mod plan;

pub use builder::{Batch, IndexBuilder};
pub use documents::{DOCUMENTS_FILE, DocumentRow, Documents};
pub use index::{EXPERTS_FILE, Index, KEYS_FILE};
pub use plan::{IndexPlan, IndexState, PARTIAL_FILE};
