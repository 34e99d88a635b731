//! What a training run is told: every number that shapes it.

use sbmoe_kernels::{Directions, DistillLoss};
use serde::{Deserialize, Serialize};

/// How the learning rate moves over the run; each starts with `warmup_steps` of linear growth from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// Stays.
    Constant,
    /// Falls linearly, to 0 behind the last step.
    Linear,
    /// Falls as half a cosine, to 0 behind the last step.
    Cosine,
}

/// Which queries share a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Batching {
    /// Any.
    Random,
    /// Those that lie near each other by the encoder as it came: their documents are harder negatives.
    Near,
}

/// Which state becomes the run's model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Keep {
    /// The best by validation nDCG@10.
    Best,
    /// The last.
    Last,
}

/// What is learned from a teacher besides the judgments.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Distill {
    /// How the student's scores are compared with the teacher's.
    pub loss: DistillLoss,
    /// Weight of that loss beside the contrastive one.
    pub weight: f64,
}

/// The numbers of a training run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainConfig {
    /// Passes over the training queries.
    pub epochs: usize,
    /// Epochs after which the run ends all the same: its rates move as if it went on to `epochs`; none where absent.
    #[serde(default)]
    pub stop_after: Option<usize>,
    /// Queries a step; the last batch of an epoch may be smaller.
    pub batch_size: usize,
    /// Scores are divided by this.
    pub temperature: f64,
    /// Whether only queries look for their documents, or these for their queries, too.
    #[serde(default)]
    pub directions: Directions,
    /// What is learned from a teacher, if anything.
    #[serde(default)]
    pub distill: Option<Distill>,
    /// Learning rate of the block.
    pub learning_rate: f64,
    /// Learning rate of the encoder.
    pub encoder_learning_rate: f64,
    /// Whether the encoder stays as it is.
    pub freeze_encoder: bool,
    /// Decoupled weight decay of both groups.
    pub weight_decay: f64,
    /// AdamW's decay of the first moment.
    pub beta1: f64,
    /// AdamW's decay of the second moment.
    pub beta2: f64,
    /// AdamW's ε.
    pub epsilon: f64,
    /// How the rates move.
    pub schedule: Schedule,
    /// Steps of linear growth at the start.
    pub warmup_steps: u64,
    /// The gradient's largest norm over all trained parameters; 0 for no clipping.
    pub clip: f64,
    /// Whether the encoder's dropout acts (with the rates of its `config.json`).
    pub dropout: bool,
    /// Whether a document that is judged positive for another query of the batch takes no part as its negative.
    pub mask_positives: bool,
    /// Explicit negatives a query, where the data has them.
    pub negatives: usize,
    /// Which queries share a batch; near ones need [`crate::Session::near`].
    pub batching: Batching,
    /// Pairs of the corpus with itself ([`crate::Examples::anchors`]) that join each batch; 0 for none.
    pub anchor: usize,
    /// Weight of the load-balance term; 0 for none.
    pub balance: f64,
    /// Tokens whose activations are held from the forward pass to the backward one; those of a larger batch's other tokens
    /// are computed twice, with the same gradients. Besides, each thread holds those of a part of at most 1 024 tokens, or
    /// of a longer text, while it is computed.
    pub chunk_tokens: usize,
    /// The seed of every random draw.
    pub seed: u64,
    /// Which state becomes the model.
    pub keep: Keep,
    /// Stop after this many validations in a row without a better nDCG@10; 0 for never.
    pub patience: usize,
    /// A checkpoint is written at least this often, in seconds, besides at the ends of epochs that take a second or more
    /// and at the run's end.
    pub checkpoint_seconds: f64,
}
