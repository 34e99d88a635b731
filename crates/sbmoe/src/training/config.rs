//! Every number that shapes a run, in one flat struct: the switches of `sbmoe train`, the keys of its `config.toml`.
//!
//! Keys are the switches' names with underscores. What a run was told and what followed from the model and the data is
//! written to its folder, so that the file alone repeats the run. Where values come from is in [`super::overrides`].

use std::fmt;
use std::path::PathBuf;

use anyhow::{Result, bail, ensure};
use sbmoe_kernels::{Directions, Precision};
use sbmoe_model::moe::{BlockConfig, Combine, Gate, TrainGate};
use sbmoe_train::{Keep, Schedule, TrainConfig};
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

/// What `sbmoe train` does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// The collection's folder.
    pub data: Option<PathBuf>,
    /// A model folder, or a name on the hub.
    pub model: Option<String>,
    /// Branch, tag or commit of a model on the hub; its main branch when absent.
    pub revision: Option<String>,

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

    /// Passes over the training queries; when absent, 30 with a frozen encoder and 10 else (`docs/defaults.md`).
    pub epochs: Option<usize>,
    /// Queries a step.
    pub batch_size: usize,
    /// Scores are divided by this in the loss.
    pub temperature: f64,
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
    /// How the rates move after the warm-up.
    pub schedule: Schedule,
    /// Steps of linear growth of the rates at the start.
    pub warmup_steps: u64,
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

    /// The part of the training queries that is held out where there are no dev judgments; 0 for no validation at all.
    pub validation: f64,
    /// Where validation queries come from.
    pub validation_from: ValidationFrom,
    /// Documents that validation queries are ranked over when the encoder is trained: all that are judged for them, and
    /// others drawn by the seed up to this number. With a frozen encoder it is every document.
    pub validation_documents: usize,
    /// Stop after this many validations in a row without a better nDCG@10, 0 for never.
    pub patience: usize,
    /// Which state becomes the model; without validation it is the last.
    pub keep: Keep,

    /// Tokens whose activations are held for the backward pass; those of a larger batch's other tokens are computed twice.
    pub chunk_tokens: usize,
    /// A checkpoint is written at least this often, in seconds, besides at the ends of epochs.
    pub checkpoint_seconds: f64,
    /// The seed of every random draw.
    pub seed: u64,
}

impl Default for RunConfig {
    /// The defaults, each with its reason.
    fn default() -> Self {
        Self {
            data: None,
            model: None,
            revision: None,
            // The paper's default.
            experts: 6,
            expert_width: None,
            // The gate of the paper's code gets no gradient; of those that do, this one scores best on held-out queries.
            train_gate: TrainGate::Soft,
            gate: None,
            // The paper's: what the block adds always has length 1, whatever the experts' scale.
            combine: Combine::NormalizeMixture,
            // Noise is there to spread a hard choice; the soft gate makes none.
            gate_noise: None,
            // The soft gate uses every expert without being told to.
            balance: 0.0,
            max_length: None,
            lower_case: None,
            // The numbers that everything was proven with.
            precision: Precision::F32,
            // An epoch of a frozen encoder's block takes seconds and the best one is kept; see `RunConfig::epochs`.
            epochs: None,
            // The paper's: 63 in-batch negatives a query.
            batch_size: 64,
            // The paper's for all encoders but Contriever: vectors are compared as they are, not normalised.
            temperature: 1.0,
            // Ten times the paper's: nDCG@10 of held-out queries .75 instead of .68 (docs/defaults.md).
            lr: 1e-3,
            // A hundred times the paper's rate, at which the encoder hardly moves (docs/defaults.md).
            encoder_lr: 1e-4,
            freeze_encoder: false,
            weight_decay: 0.01,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            schedule: Schedule::Constant,
            warmup_steps: 0,
            // Off: the contrastive gradient of one batch is bounded, and AdamW scales it.
            clip: 0.0,
            dropout: true,
            // Grade 0 says that a document does not answer the query.
            min_grade: 1,
            // A document known to answer a query is no negative of it.
            mask_positives: true,
            negatives: 1,
            train_queries: 0,
            validation: 0.05,
            validation_from: ValidationFrom::Auto,
            // Ranks among a thousand documents tell better models from worse ones at the cost of a few steps.
            validation_documents: 1000,
            patience: 0,
            keep: Keep::Best,
            // About 1.5 GB of activations for an encoder of MiniLM's size.
            chunk_tokens: 16384,
            // A killed run loses at most this much work.
            checkpoint_seconds: 300.0,
            seed: 42,
        }
    }
}

impl RunConfig {
    /// The names of all keys.
    pub fn keys() -> Vec<String> {
        let value = serde_json::to_value(Self::default()).unwrap_or_default();
        value.as_object().map(|object| object.keys().cloned().collect()).unwrap_or_default()
    }

    /// The gate in use: the one asked for, else what the training gate is meant for.
    pub fn gate(&self) -> Gate {
        self.gate.unwrap_or(match self.train_gate {
            TrainGate::NoisyTop1 | TrainGate::StraightThrough => Gate::Top1,
            TrainGate::Soft => Gate::All,
            TrainGate::Random => Gate::Random,
            TrainGate::Uniform => Gate::Uniform,
        })
    }

    /// The scale of the gate's training noise, resolved.
    pub fn gate_noise(&self) -> f64 {
        self.gate_noise.unwrap_or(if self.train_gate == TrainGate::NoisyTop1 { 1.0 } else { 0.0 })
    }

    /// Passes over the training queries, resolved.
    pub fn epochs(&self) -> usize {
        self.epochs.unwrap_or(if self.freeze_encoder { 30 } else { 10 })
    }

    /// The block behind an encoder of hidden size `hidden`; `None` without experts.
    pub fn block(&self, hidden: usize) -> Option<BlockConfig> {
        (self.experts > 0).then(|| BlockConfig {
            hidden,
            experts: self.experts,
            expert_width: self.expert_width.unwrap_or(hidden / 2).max(1),
            gate: self.gate(),
            train_gate: self.train_gate,
            combine: self.combine,
            gate_noise: self.gate_noise(),
            seed: self.seed,
        })
    }

    /// What the training library is told.
    pub fn train_config(&self) -> TrainConfig {
        TrainConfig {
            epochs: self.epochs(),
            batch_size: self.batch_size,
            temperature: self.temperature,
            directions: Directions::OneWay,
            distill: None,
            learning_rate: self.lr,
            encoder_learning_rate: self.encoder_lr,
            freeze_encoder: self.freeze_encoder,
            weight_decay: self.weight_decay,
            beta1: self.beta1,
            beta2: self.beta2,
            epsilon: self.epsilon,
            schedule: self.schedule,
            warmup_steps: self.warmup_steps,
            clip: self.clip,
            dropout: self.dropout,
            mask_positives: self.mask_positives,
            negatives: self.negatives,
            balance: self.balance,
            chunk_tokens: self.chunk_tokens,
            seed: self.seed,
            keep: self.keep,
            patience: self.patience,
            checkpoint_seconds: self.checkpoint_seconds,
        }
    }

    /// Refuses numbers that no run can have.
    ///
    /// # Errors
    /// The first such number, by its key, with what it must be.
    pub fn check(&self) -> Result<()> {
        let counts =
            [("epochs", self.epochs()), ("batch_size", self.batch_size), ("chunk_tokens", self.chunk_tokens)];
        for (key, value) in counts {
            ensure!(value > 0, "`{key}` is 0; it must be at least 1");
        }
        ensure!(
            self.precision != Precision::Int8,
            "`precision` is int8, which has no gradients; choose f32 or bf16 (a trained model encodes in any)"
        );
        ensure!(self.expert_width != Some(0), "`expert_width` is 0; it must be at least 1");
        let at_least_zero = [
            ("lr", self.lr),
            ("encoder_lr", self.encoder_lr),
            ("weight_decay", self.weight_decay),
            ("gate_noise", self.gate_noise()),
            ("balance", self.balance),
            ("clip", self.clip),
            ("checkpoint_seconds", self.checkpoint_seconds),
        ];
        for (key, value) in at_least_zero {
            ensure!(
                value >= 0.0 && value.is_finite(),
                "`{key}` is {value}; it must be a number of at least 0"
            );
        }
        for (key, value) in [("temperature", self.temperature), ("epsilon", self.epsilon)] {
            ensure!(value > 0.0 && value.is_finite(), "`{key}` is {value}; it must be a number above 0");
        }
        for (key, value) in [("beta1", self.beta1), ("beta2", self.beta2), ("validation", self.validation)] {
            ensure!((0.0..1.0).contains(&value), "`{key}` is {value}; it must be at least 0 and below 1");
        }
        ensure!(i64::try_from(self.seed).is_ok(), "`seed` is {}; it must be at most {}", self.seed, i64::MAX);
        if self.freeze_encoder && self.experts == 0 {
            bail!("`freeze_encoder` with `experts` 0 leaves nothing to train; leave one of them out");
        }
        if self.patience > 0 && self.validation == 0.0 {
            bail!("`patience` needs a validation, but `validation` is 0; leave one of them out");
        }
        Ok(())
    }

    /// What the run's results depend on, for its identity: everything but where files lie and how often they are written.
    pub(super) fn shape(&self) -> Self {
        Self { data: None, model: None, revision: None, checkpoint_seconds: 0.0, ..self.clone() }
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
    fn presets_pass_their_own_check() {
        for preset in [Preset::Default, Preset::Paper] {
            preset.config().check().unwrap();
        }
    }

    #[test]
    fn numbers_that_no_run_can_have_are_refused_by_key() {
        let check = |key: &str, config: RunConfig| {
            let message = config.check().unwrap_err().to_string();
            assert!(message.starts_with(&format!("`{key}` ")), "{message}");
        };
        let default = RunConfig::default;
        check("epochs", RunConfig { epochs: Some(0), ..default() });
        check("batch_size", RunConfig { batch_size: 0, ..default() });
        check("expert_width", RunConfig { expert_width: Some(0), ..default() });
        check("lr", RunConfig { lr: f64::NAN, ..default() });
        check("temperature", RunConfig { temperature: 0.0, ..default() });
        check("validation", RunConfig { validation: 1.0, ..default() });
        check("precision", RunConfig { precision: Precision::Int8, ..default() });
        check("seed", RunConfig { seed: u64::MAX, ..default() });
        check("freeze_encoder", RunConfig { freeze_encoder: true, experts: 0, ..default() });
        check("patience", RunConfig { patience: 2, validation: 0.0, ..default() });
    }

    #[test]
    fn a_configuration_survives_its_file() {
        let config = RunConfig {
            lr: 3e-5,
            precision: Precision::Bf16,
            gate: Some(Gate::Random),
            max_length: Some(77),
            ..Preset::Paper.config()
        };
        let text = toml::to_string(&config).unwrap();
        assert_eq!(toml::from_str::<RunConfig>(&text).unwrap(), config);
    }

    #[test]
    fn the_gate_in_use_follows_the_training_gate_unless_it_is_named() {
        let gate = |train_gate, gate| RunConfig { train_gate, gate, ..RunConfig::default() }.gate();
        assert_eq!(gate(TrainGate::StraightThrough, None), Gate::Top1);
        assert_eq!(gate(TrainGate::Soft, None), Gate::All);
        assert_eq!(gate(TrainGate::Soft, Some(Gate::Top1)), Gate::Top1);
    }
}
