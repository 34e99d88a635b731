//! From a collection and a model to an index, and from queries to vectors.
//!
//! [`VectorMaker`] holds what decides a vector besides the text: model, gate, normalisation.
//! [`encode()`] streams a corpus through it into an index folder; [`reapply()`] makes an index from another one's pooled
//! vectors without running the encoder.

mod batches;
mod corpus;
mod maker;
mod reapply;
mod stream;

pub use batches::token_batches;
pub use corpus::{Corpus, Survey};
pub use maker::{Encoded, Normalize, VectorMaker, VectorOptions};
pub use reapply::reapply;
pub use stream::{EncodeOptions, EncodeOutcome, encode};
