//! The operators that cost time, forward and backward, on ragged batches.
//!
//! A ragged batch holds the tokens of all its texts end to end, without padding ([`Tokens`]).
//! [`Ops`] is the whole set of operators that an encoder, a mixture-of-experts block and their training need; a model is
//! written once against it.
//! [`Cpu`] is the fast implementation, in f32, an encoder's products also in bf16 and, for encoding, in integers;
//! [`Reference`] is the slow, obvious one, generic over f32 and f64, which tests compare with.
//! This crate knows no checkpoint, no tokenizer and no layer order.

mod compose;
mod cpu;
mod key;
mod objectives;
mod operands;
mod ops;
mod pooling;
mod precision;
pub mod reference;
mod tokens;

pub use cpu::{Buffer, Cpu, Level, LevelKind};
pub use key::{Dropout, Key};
pub use objectives::{Agreement, ContrastiveInputs, Directions, DistillInputs, DistillLoss, Objectives};
pub use operands::{
    Activation, AdamwStep, Affine, AffineGradient, AttentionInputs, EmbeddingGradient, EmbeddingTables,
    FeedForwardBackward, LayerInput, LinearBackward, LinearSize, NormOutput, Numbers, Passes,
};
pub use ops::Ops;
pub use pooling::Pooling;
pub use precision::Precision;
pub use reference::Reference;
pub use tokens::Tokens;
