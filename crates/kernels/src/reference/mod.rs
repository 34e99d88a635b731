//! The slow, obvious version of every operator: the oracle of tests, in f32 or f64.
//!
//! Each file holds one concept as plain loops that follow the formula.
//! Nothing here is fused, blocked or threaded, and sums run in the order of their index.

mod activation;
mod adamw;
mod attention;
mod contrastive;
mod distill;
mod embedding;
mod erf;
mod float;
mod linear;
mod mixture;
mod norm;
mod normalize;
mod objectives;
mod operators;
mod pooling;
mod rows;
mod softmax;

use std::marker::PhantomData;

pub use erf::erf;
pub use float::Float;

/// The operator set in plain loops over `Vec<F>`, with `F` f32 or f64.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reference<F>(PhantomData<F>);

impl<F: Float> Reference<F> {
    /// The operators; there is no state.
    pub fn new() -> Self {
        Self(PhantomData)
    }
}
