//! What serves a user who says nothing: each value with its reason (`docs/defaults.md` has the measurements).

use sbmoe_kernels::{Directions, Precision};
use sbmoe_model::moe::{BlockKind, Combine, Sides, TrainGate};
use sbmoe_train::{Batching, Keep};

use super::{HoldOut, RunConfig, ValidationFrom};

impl Default for RunConfig {
    /// The defaults, each with its reason.
    fn default() -> Self {
        Self {
            data: None,
            pairs: None,
            model: None,
            revision: None,
            // What the encoder was made for.
            similarity: None,
            block: BlockKind::Experts,
            rank: None,
            sides: Sides::Both,
            start: None,
            input_scale: None,
            residual: 1.0,
            // The paper's default.
            experts: 6,
            expert_width: None,
            // The gate of the paper's code gets no gradient; of those that do, this one scores best on held-out queries.
            train_gate: TrainGate::Soft,
            gate: None,
            // The paper's: what the block adds has length 1 beside an input of length 4, however long it is trained
            // (docs/defaults.md).
            combine: Combine::NormalizeMixture,
            // Noise is there to spread a hard choice; the soft gate makes none.
            gate_noise: None,
            // The soft gate uses every expert without being told to.
            balance: 0.0,
            max_length: None,
            lower_case: None,
            // The numbers that everything was proven with.
            precision: Precision::F32,
            epochs: None,
            // The paper's: 63 in-batch negatives a query.
            batch_size: 64,
            batching: Batching::Near,
            anchor: 0,
            temperature: None,
            // Ten times the paper's (docs/defaults.md).
            lr: 1e-3,
            // The usual one for encoders that are compared by cosine; at the paper's 1e-6 they hardly move.
            encoder_lr: 2e-5,
            freeze_encoder: false,
            weight_decay: 0.01,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            schedule: None,
            warmup_steps: None,
            // Off: the contrastive gradient of one batch is bounded, and AdamW scales it.
            clip: 0.0,
            dropout: true,
            // Grade 0 says that a document does not answer the query.
            min_grade: 1,
            // A document known to answer a query is no negative of it.
            mask_positives: true,
            negatives: 1,
            train_queries: 0,
            // What is searched for in the end are documents.
            directions: Directions::OneWay,
            distill: None,
            teacher: None,
            distill_loss: None,
            distill_temperature: None,
            distill_weight: None,
            validation: None,
            validation_from: ValidationFrom::Auto,
            hold_out: HoldOut::Disjoint,
            folds: 5,
            validation_documents: None,
            patience: None,
            // Where the 95 % interval that is printed lies above 0: the best of many epochs is above it by luck now and then
            // (docs/defaults.md).
            accept: 2.0,
            retrain: false,
            keep: Keep::Best,
            // About 1.5 GB of activations for an encoder of MiniLM's size.
            chunk_tokens: 16384,
            // A killed run loses at most this much work.
            checkpoint_seconds: 300.0,
            seed: 42,
        }
    }
}
