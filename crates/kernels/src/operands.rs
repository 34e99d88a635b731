//! What operators read, write and are told: buffers that belong together, sizes and settings.
//!
//! `B` is a device's buffer ([`Ops::Buffer`](crate::Ops::Buffer)).

use std::fmt::Debug;

use crate::{Dropout, Precision, Tokens};

/// Numbers in memory of any kind that stay as they are.
pub trait Numbers: Debug + Send + Sync {
    /// The numbers.
    fn numbers(&self) -> &[f32];
}

/// A weight and a bias: of a linear layer (`[outputs, inputs]`, `[outputs]`) or of a layer norm (`[hidden]`, `[hidden]`).
#[derive(Debug)]
pub struct Affine<'a, B> {
    /// The weight, or the norm's γ.
    pub weight: &'a B,
    /// The bias, or the norm's β.
    pub bias: &'a B,
}

impl<B> Clone for Affine<'_, B> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B> Copy for Affine<'_, B> {}

/// Where the gradients of an [`Affine`] are added.
#[derive(Debug)]
pub struct AffineGradient<'a, B> {
    /// Gradient of the weight.
    pub weight: &'a mut B,
    /// Gradient of the bias.
    pub bias: &'a mut B,
}

/// What a linear layer read, for its backward.
#[derive(Debug)]
pub enum LayerInput<'a, B> {
    /// The rows themselves, `[rows, inputs]`.
    Kept(&'a B),
    /// The output of a norm over `inputs` columns, to be made again to the byte: see
    /// [`Ops::norm_output`](crate::Ops::norm_output).
    Normed {
        /// γ and β.
        norm: Affine<'a, B>,
        /// `[rows, inputs]`: what the norm was taken of.
        sum: &'a B,
        /// `[rows, 2]`: see [`NormOutput::statistics`].
        statistics: &'a B,
    },
}

impl<B> Clone for LayerInput<'_, B> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B> Copy for LayerInput<'_, B> {}

impl<'a, B> From<&'a B> for LayerInput<'a, B> {
    fn from(x: &'a B) -> Self {
        Self::Kept(x)
    }
}

/// What a linear layer's backward reads besides its input, and where the gradients of its parameters are added.
#[derive(Debug)]
pub struct LinearBackward<'a, B> {
    /// `[outputs, inputs]`.
    pub weight: &'a B,
    /// `[rows, outputs]`: the gradient of the output.
    pub d_output: &'a B,
    /// Of the weight and the bias.
    pub gradient: AffineGradient<'a, B>,
}

/// What backward of two linear layers with an activation between them reads, and where the gradients of their parameters
/// are added.
#[derive(Debug)]
pub struct FeedForwardBackward<'a, B> {
    /// `[rows, inputs]`.
    pub x: LayerInput<'a, B>,
    /// What [`Ops::feed_forward`](crate::Ops::feed_forward) kept.
    pub before: &'a B,
    /// `[rows, inputs]`: the gradient of the second layer's output.
    pub d_output: &'a B,
    /// `[outputs, inputs]` and `[inputs, outputs]`.
    pub weights: [&'a B; 2],
    /// Of each layer's weight and bias.
    pub gradients: [AffineGradient<'a, B>; 2],
}

/// The three tables whose rows sum to a token's embedding; every token is of type 0.
#[derive(Debug)]
pub struct EmbeddingTables<'a, B> {
    /// `[vocabulary, hidden]`.
    pub word: &'a B,
    /// `[positions, hidden]`.
    pub position: &'a B,
    /// `[types, hidden]`; row 0 is used.
    pub token_type: &'a B,
    /// The layer norm that follows.
    pub norm: Affine<'a, B>,
}

/// Where the gradients of [`EmbeddingTables`] are added.
#[derive(Debug)]
pub struct EmbeddingGradient<'a, B> {
    /// Gradient of the word table; rows that no token used stay as they are.
    pub word: &'a mut B,
    /// Gradient of the position table.
    pub position: &'a mut B,
    /// Gradient of the type table; only row 0 receives one.
    pub token_type: &'a mut B,
    /// Gradient of the layer norm.
    pub norm: AffineGradient<'a, B>,
}

/// What a fused layer norm writes.
#[derive(Debug)]
pub struct NormOutput<'a, B> {
    /// `[tokens, hidden]`: what the norm was taken of; backward reads it. For a residual norm it comes in as the layer's
    /// output and leaves as `dropout(output) + residual`.
    pub sum: &'a mut B,
    /// `[tokens, 2]`: mean and 1/√(variance + ε) of each row.
    pub statistics: &'a mut B,
    /// `[tokens, hidden]`: the normalised rows.
    pub output: &'a mut B,
}

/// The size of a product `[rows, inputs] × [outputs, inputs]ᵀ`, and the numbers it is computed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinearSize {
    /// Rows of the input.
    pub rows: usize,
    /// Columns of the input.
    pub inputs: usize,
    /// Columns of the output.
    pub outputs: usize,
    /// What both operands are rounded to; an implementation may do better.
    pub precision: Precision,
}

impl LinearSize {
    /// Of a layer from this one's outputs to its inputs.
    #[must_use]
    pub fn back(self) -> Self {
        Self { inputs: self.outputs, outputs: self.inputs, ..self }
    }
}

/// The products that a weight is laid out for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passes {
    /// A layer's output.
    Forward,
    /// The gradient of its input, too.
    ForwardAndBackward,
}

/// The function after a linear layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// None.
    Identity,
    /// `max(0, x)`.
    Relu,
    /// `x · Φ(x)` with the exact normal distribution (erf).
    Gelu,
    /// The tanh approximation of GELU, `gelu_new` in checkpoints.
    GeluTanh,
}

/// What attention reads: `[tokens, hidden]` each in f32, below it as [`Ops::project`](crate::Ops::project) of its precision
/// keeps them; heads side by side, `hidden / heads` columns a head (any number).
#[derive(Debug)]
pub struct AttentionInputs<'a, B> {
    /// Queries.
    pub query: &'a B,
    /// Keys.
    pub key: &'a B,
    /// Values.
    pub value: &'a B,
    /// Which rows belong to which text.
    pub tokens: &'a Tokens,
    /// Number of heads.
    pub heads: usize,
    /// Columns of all heads together.
    pub hidden: usize,
    /// Dropout of the probabilities.
    pub dropout: Dropout,
    /// In which the products are computed: f32, or operands rounded to bf16 and sums in f32. Beside integers it may be
    /// either.
    pub precision: Precision,
}

impl<B> Clone for AttentionInputs<'_, B> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B> Copy for AttentionInputs<'_, B> {}

/// One AdamW step (Loshchilov & Hutter 2019, decoupled decay), with PyTorch's order of operations.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamwStep {
    /// Learning rate of this step.
    pub learning_rate: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the denominator.
    pub epsilon: f64,
    /// The parameter is multiplied by `1 − learning_rate · weight_decay` first.
    pub weight_decay: f64,
    /// The step's number, from 1, for the bias correction.
    pub step: u64,
    /// The gradient is multiplied by this as it is read (clipping).
    pub gradient_scale: f64,
}
