//! Text to vector: checkpoints, tokenizer, BERT, pooling, the mixture-of-experts block, the saved model.
//!
//! Read in this order: [`parameters`] (what is trained, by name), [`bert`] (the encoder), [`moe`] (the block, the paper's
//! contribution), [`retriever`] (both together with a tokenizer).
//! [`checkpoint`], [`tokenizer`] and [`folder`] read and write the formats of other programs.
//! This crate knows no collection, no optimiser and no command line.

pub mod architecture;
mod atomic;
pub mod bert;
pub mod checkpoint;
pub mod folder;
pub mod head;
pub mod moe;
pub mod parameters;
pub mod parts;
pub mod retriever;
pub mod tokenizer;
