//! Every number that shapes a run, in one flat struct: the switches of `sbmoe train`, the keys of its `config.toml`.
//!
//! Keys are the switches' names with underscores. What a run was told and what followed from the model and the data is
//! written to its folder, so that the file alone repeats the run. Where values come from is in [`super::overrides`].

mod check;
mod defaults;
mod resolved;

use std::fmt;
use std::path::PathBuf;

use sbmoe_index::Similarity;
use sbmoe_kernels::{Directions, Precision};
use sbmoe_model::moe::{BlockKind, Combine, Gate, Sides, Start, TrainGate};
use sbmoe_train::{Batching, Keep, Schedule};
use serde::{Deserialize, Serialize};

/// Where validation queries come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ValidationFrom {
    /// The dev judgments where the collection has them, else the training queries.
    Auto,
    /// The dev judgments.
    Dev,
    /// A part of the training queries, which is then not trained on.
    Train,
}

impl fmt::Display for ValidationFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Dev => "dev",
            Self::Train => "train",
        })
    }
}

/// How queries are held out of the training ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HoldOut {
    /// So that no held-out query has a positive that is a training positive.
    Disjoint,
    /// Whatever their positives: a block that remembers documents looks better than it is.
    Random,
}

/// How the trained model's scores are compared with a teacher's ([`sbmoe_kernels::DistillLoss`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DistillBy {
    /// As distributions over each query's documents.
    Kl,
    /// By the margins between each query's positive and its other documents.
    MarginMse,
}

impl fmt::Display for DistillBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kl => "kl",
            Self::MarginMse => "margin-mse",
        })
    }
}

/// What `sbmoe train` does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub struct RunConfig {
    /// The collection's folder.
    pub data: Option<PathBuf>,
    /// A file of training pairs or triplets ([`sbmoe_ir::pairs`]), in place of a collection.
    pub pairs: Option<PathBuf>,
    /// A model folder, or a name on the hub.
    pub model: Option<String>,
    /// Branch, tag or commit of a model on the hub; its main branch when absent.
    pub revision: Option<String>,

    /// How vectors are compared, in training and by the trained model; when absent, as the model's folder says
    /// ([`sbmoe_model::folder::ModelFolder::meant_similarity`]).
    pub similarity: Option<Similarity>,

    /// What stands behind the encoder: experts, or a linear map without experts or a gate.
    #[serde(with = "by_name")]
    pub block: BlockKind,
    /// The rank of the linear map; full when absent.
    pub rank: Option<usize>,
    /// Which texts pass through the block.
    pub sides: Sides,
    /// Where the block starts: at the encoder, or as PyTorch's layers; when absent, at the encoder where the combination
    /// can (`sum`, or a linear map).
    pub start: Option<Start>,
    /// The length that the block's input has where vectors are compared by cosine; when absent, 4 where what the block adds
    /// has a length of its own (`combine` normalises), else 1.
    pub input_scale: Option<f64>,
    /// What the block's term is multiplied by in use.
    pub residual: f64,
    /// Experts; 0 fine-tunes the encoder without a block.
    pub experts: usize,
    /// Width of each expert's inner layer; `⌊h/2⌋` when absent.
    pub expert_width: Option<usize>,
    /// How experts are weighed in training.
    pub train_gate: TrainGate,
    /// How they are weighed in validation and in use; when absent, what the training gate is meant for.
    pub gate: Option<Gate>,
    /// How the weighed experts join `x`.
    pub combine: Combine,
    /// Scale of the gate's training noise, 0 for none; when absent, 1 for `noisy-top1` and 0 for the others.
    pub gate_noise: Option<f64>,
    /// Weight of the load-balance term, 0 for none.
    pub balance: f64,

    /// Tokens at which texts are cut, special ones included; when absent, the model's own length, else 256.
    pub max_length: Option<usize>,
    /// Whether texts are lower-cased before the tokenizer sees them; when absent, as the model says.
    pub lower_case: Option<bool>,
    /// The numbers that the encoder's products are computed in, forward and backward; parameters, optimiser, block and
    /// loss are always f32.
    #[serde(with = "by_name")]
    pub precision: Precision,

    /// The most passes over the training queries; when absent, by what is trained (`docs/defaults.md`).
    pub epochs: Option<usize>,
    /// Queries a step.
    pub batch_size: usize,
    /// Which queries share a batch.
    pub batching: Batching,
    /// Documents that join each batch, paired with their own titles or first words; 0 for none.
    pub anchor: usize,
    /// Scores are divided by this in the loss; when absent, .05 where vectors are compared by cosine and 1 else.
    pub temperature: Option<f64>,
    /// Learning rate of the block.
    pub lr: f64,
    /// Learning rate of the encoder.
    pub encoder_lr: f64,
    /// Whether the encoder stays as it is and the block is trained on stored vectors.
    pub freeze_encoder: bool,
    /// Decoupled weight decay of block and encoder.
    pub weight_decay: f64,
    /// AdamW's decay of the first moment.
    pub beta1: f64,
    /// AdamW's decay of the second moment.
    pub beta2: f64,
    /// AdamW's ε.
    pub epsilon: f64,
    /// How the rates move after the warm-up; when absent, constant with a frozen encoder and linear else.
    pub schedule: Option<Schedule>,
    /// Steps of linear growth of the rates at the start; when absent, none with a frozen encoder and a tenth of all else.
    pub warmup_steps: Option<u64>,
    /// The largest norm of the gradient, 0 for no clipping.
    pub clip: f64,
    /// Whether the encoder's dropout acts.
    pub dropout: bool,

    /// The smallest grade of a training positive.
    pub min_grade: i32,
    /// Whether a positive of another query of the batch is left out of its negatives.
    pub mask_positives: bool,
    /// Explicit negatives a query and step, where the collection has a `negatives.jsonl`.
    pub negatives: usize,
    /// The most training queries, drawn by the seed; 0 for all.
    pub train_queries: usize,

    /// Whether only queries look for their documents in the loss, or these for their queries, too.
    pub directions: Directions,
    /// A file of a teacher's scores ([`sbmoe_ir::scores`]), which are learned from besides the judgments.
    pub distill: Option<PathBuf>,
    /// A teacher in place of its scores: a model folder, or a name on the hub.
    pub teacher: Option<String>,
    /// How scores are compared with the teacher's; when absent, `kl`.
    pub distill_loss: Option<DistillBy>,
    /// The teacher's scores are divided by this where their distribution is taken; when absent, .05 for a teacher model that
    /// compares by cosine and 1 else.
    pub distill_temperature: Option<f64>,
    /// Weight of the distillation loss beside the contrastive one; when absent, 1.
    pub distill_weight: Option<f64>,

    /// The part of the training queries that is held out where there are no dev judgments; 0 for no validation at all; when
    /// absent, `folds` where they serve, else 200 queries or a fifth of all, whichever is fewer.
    pub validation: Option<f64>,
    /// Where validation queries come from.
    pub validation_from: ValidationFrom,
    /// How they are held out of the training queries.
    pub hold_out: HoldOut,
    /// Into how many parts the training queries are divided where there are no dev judgments, the encoder is frozen and the
    /// queries are fewer than 2 000: each part is held out once, the epoch that is best over all of them is chosen, and
    /// then all queries are trained on. 0 for never.
    pub folds: usize,
    /// Documents that validation queries are ranked over when the encoder is trained: all that are judged for them, and
    /// others drawn by the seed up to this number. When absent, the first hundred by the encoder as it came, and the chosen
    /// state is judged once more over all. With a frozen encoder it is every document.
    pub validation_documents: Option<usize>,
    /// Stop after this many validations in a row without a better nDCG@10, 0 for never; when absent, by what is trained.
    pub patience: Option<usize>,
    /// By how many standard errors the best state must exceed the encoder as it came to be kept.
    pub accept: f64,
    /// Whether, after the choice, a model is trained on training and dev judgments together for as many epochs.
    pub retrain: bool,
    /// Which state becomes the model: the best by validation, which may be the encoder as it came, or the last; without
    /// validation it is the last.
    pub keep: Keep,

    /// Tokens whose activations are held for the backward pass; those of a larger batch's other tokens are computed twice.
    pub chunk_tokens: usize,
    /// A checkpoint is written at least this often, in seconds, besides at the ends of epochs.
    pub checkpoint_seconds: f64,
    /// The seed of every random draw.
    pub seed: u64,
}

impl RunConfig {
    /// The names of all keys.
    pub fn keys() -> Vec<String> {
        let value = serde_json::to_value(Self::default()).unwrap_or_default();
        value.as_object().map(|object| object.keys().cloned().collect()).unwrap_or_default()
    }

    /// What the run's results depend on, for its identity: everything but where files lie and how often they are written.
    pub(super) fn shape(&self) -> Self {
        let (data, pairs, distill) = (None, None, None);
        let (model, revision, teacher) = (None, None, None);
        Self { data, pairs, distill, model, revision, teacher, checkpoint_seconds: 0.0, ..self.clone() }
    }
}

/// Values that are written as they are shown and read as they are parsed.
mod by_name {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::{Deserialize as _, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(value: &impl Display, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(super) fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::training::Preset;

    #[test]
    fn a_configuration_survives_its_file() {
        let config = RunConfig {
            lr: 3e-5,
            precision: Precision::Bf16,
            gate: Some(Gate::Random),
            similarity: Some(Similarity::Cos),
            max_length: Some(77),
            ..Preset::Paper.config()
        };
        let text = toml::to_string(&config).unwrap();
        assert_eq!(toml::from_str::<RunConfig>(&text).unwrap(), config);
    }
}
