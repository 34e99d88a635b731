//! Named sets of values for [`RunConfig`].

use clap::ValueEnum;
use sbmoe_index::Similarity;
use sbmoe_kernels::{Directions, Precision};
use sbmoe_model::moe::{BlockKind, Combine, Gate, Sides, Start, TrainGate};
use sbmoe_train::{Batching, Keep, Schedule};

use super::config::{HoldOut, RunConfig, ValidationFrom};

/// Values to start from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Preset {
    /// What serves a user best.
    #[default]
    Default,
    /// What the paper's code does (arXiv 2510.15683), its oddities included.
    Paper,
}

impl Preset {
    /// The preset's values.
    pub fn config(self) -> RunConfig {
        match self {
            Self::Default => RunConfig::default(),
            Self::Paper => paper(),
        }
    }
}

/// The published training: every value is written out, so that a change of the defaults does not reach it.
fn paper() -> RunConfig {
    RunConfig {
        data: None,
        pairs: None,
        model: None,
        revision: None,
        similarity: Some(Similarity::Dot),
        block: BlockKind::Experts,
        rank: None,
        sides: Sides::Both,
        start: Some(Start::Random),
        input_scale: Some(1.0),
        residual: 1.0,
        experts: 6,
        expert_width: None,
        train_gate: TrainGate::NoisyTop1,
        gate: Some(Gate::Top1),
        combine: Combine::NormalizeMixture,
        gate_noise: Some(1.0),
        balance: 0.0,
        // The code passes 256 but truncates at 512.
        max_length: Some(512),
        lower_case: Some(true),
        precision: Precision::F32,
        // Of TinyBERT; the other encoders had 20.
        epochs: Some(30),
        batch_size: 64,
        batching: Batching::Random,
        anchor: 0,
        // Of all encoders but Contriever, which had 0.05.
        temperature: Some(1.0),
        lr: 1e-4,
        encoder_lr: 1e-6,
        freeze_encoder: false,
        weight_decay: 0.01,
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        schedule: Some(Schedule::Constant),
        warmup_steps: Some(0),
        clip: 0.0,
        dropout: true,
        // Positives are drawn among all judged documents of a query, whatever their grade.
        min_grade: -127,
        mask_positives: false,
        negatives: 0,
        train_queries: 0,
        directions: Directions::OneWay,
        distill: None,
        teacher: None,
        distill_loss: None,
        distill_temperature: None,
        distill_weight: None,
        validation: Some(0.05),
        // The dev judgments play no part.
        validation_from: ValidationFrom::Train,
        hold_out: HoldOut::Random,
        folds: 0,
        validation_documents: Some(1000),
        patience: Some(0),
        accept: 0.0,
        retrain: false,
        // The last epoch is saved, not the best.
        keep: Keep::Last,
        chunk_tokens: 16384,
        checkpoint_seconds: 300.0,
        seed: 42,
    }
}
