//! Which dropout each site of the encoder has at one step.

use sbmoe_kernels::{Dropout, Key};

/// The dropout rates of an encoder and the key of one step.
#[derive(Debug, Clone, Copy)]
pub struct DropoutPlan {
    hidden: f64,
    attention: f64,
    key: Key,
}

/// Where dropout acts within a layer; layer 0's `Output` is distinct from the embeddings' by its own number.
#[derive(Debug, Clone, Copy)]
pub(super) enum Site {
    Embeddings,
    Probabilities(usize),
    AttentionOutput(usize),
    Output(usize),
}

impl DropoutPlan {
    /// Nothing is dropped: inference, and comparisons with other programs.
    pub fn off() -> Self {
        Self { hidden: 0.0, attention: 0.0, key: Key::new(0) }
    }

    /// The rates of hidden states and of attention probabilities; `key` names the run and the step.
    pub fn new(hidden: f64, attention: f64, key: Key) -> Self {
        Self { hidden, attention, key }
    }

    pub(super) fn at(&self, site: Site) -> Dropout {
        let (rate, number) = match site {
            Site::Embeddings => (self.hidden, 0),
            Site::Probabilities(layer) => (self.attention, 3 * layer + 1),
            Site::AttentionOutput(layer) => (self.hidden, 3 * layer + 2),
            Site::Output(layer) => (self.hidden, 3 * layer + 3),
        };
        if rate == 0.0 { Dropout::NONE } else { Dropout::new(rate, self.key.with(number as u64)) }
    }
}
