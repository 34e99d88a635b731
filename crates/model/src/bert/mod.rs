//! BERT (Devlin et al. 2019, post-norm): embeddings, then layers of self-attention and feed-forward, on ragged batches.
//!
//! Each part has a `forward` that returns what its `backward` needs, and a `backward` that adds the gradients of its
//! parameters and returns that of its input.
//! Pooling, heads for other tasks and padding are not here.

mod backward;
mod dropout;
mod embeddings;
mod encoder;
mod layer;

pub use backward::Returning;
pub use dropout::DropoutPlan;
pub use encoder::{Bert, Kept};
