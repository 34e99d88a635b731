//! What follows from a configuration's values: those that were left out, and what the libraries are told.

use sbmoe_kernels::DistillLoss;
use sbmoe_model::moe::{BlockConfig, BlockKind, Combine, Gate, Start, TrainGate};
use sbmoe_train::{Distill, Schedule, TrainConfig};

use super::{DistillBy, RunConfig};

impl RunConfig {
    /// The gate in use: the one asked for, else what the training gate is meant for.
    pub fn gate(&self) -> Gate {
        if self.block == BlockKind::Linear {
            return Gate::Uniform;
        }
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

    /// The most passes over the training queries, resolved.
    pub fn epochs(&self) -> usize {
        self.epochs.unwrap_or(if self.freeze_encoder { 20 } else { 3 })
    }

    /// Validations without a better score before a run ends, resolved.
    pub fn patience(&self) -> usize {
        self.patience.unwrap_or(match (self.validation, self.freeze_encoder) {
            (Some(0.0), _) => 0,
            (_, true) => 5,
            (_, false) => 2,
        })
    }

    /// Where the block starts, resolved.
    pub fn start(&self) -> Start {
        let can_be_zero = self.block == BlockKind::Linear || self.combine == Combine::Sum;
        self.start.unwrap_or(if can_be_zero { Start::Zero } else { Start::Random })
    }

    /// The length of the block's input where vectors are compared by cosine, resolved.
    pub fn input_scale(&self, by_cosine: bool) -> f64 {
        let normalizes = self.block == BlockKind::Experts && self.combine != Combine::Sum;
        self.input_scale.unwrap_or(if by_cosine && normalizes { 4.0 } else { 1.0 })
    }

    /// The temperature for vectors that are compared by cosine, or as they are.
    pub fn temperature(&self, by_cosine: bool) -> f64 {
        self.temperature.unwrap_or(if by_cosine { 0.05 } else { 1.0 })
    }

    /// How the rates move, resolved.
    pub fn schedule(&self) -> Schedule {
        self.schedule.unwrap_or(if self.freeze_encoder { Schedule::Constant } else { Schedule::Linear })
    }

    /// Steps of warm-up of a run of `steps`.
    pub fn warmup_steps(&self, steps: u64) -> u64 {
        self.warmup_steps.unwrap_or(if self.freeze_encoder { 0 } else { steps.div_ceil(10) })
    }

    /// The block behind an encoder of hidden size `hidden` whose vectors are compared by cosine, or as they are; `None`
    /// without experts.
    pub fn block(&self, hidden: usize, by_cosine: bool) -> Option<BlockConfig> {
        let shared = BlockConfig {
            seed: self.seed,
            sides: self.sides,
            input_scale: self.input_scale(by_cosine),
            residual: self.residual,
            ..BlockConfig::linear(hidden, self.rank)
        };
        match self.block {
            BlockKind::Linear => Some(shared),
            BlockKind::Experts => (self.experts > 0).then(|| BlockConfig {
                kind: BlockKind::Experts,
                experts: self.experts,
                expert_width: self.expert_width.unwrap_or(hidden / 2).max(1),
                gate: self.gate(),
                train_gate: self.train_gate,
                combine: self.combine,
                gate_noise: self.gate_noise(),
                rank: None,
                ..shared
            }),
        }
    }

    /// How scores are compared with the teacher's, resolved.
    pub fn distill_loss(&self) -> DistillBy {
        self.distill_loss.unwrap_or(DistillBy::Kl)
    }

    /// The temperature of a teacher that compares by cosine, or otherwise.
    pub fn distill_temperature(&self, by_cosine: bool) -> f64 {
        self.distill_temperature.unwrap_or(if by_cosine { 0.05 } else { 1.0 })
    }

    /// What is learned from the teacher; `None` without one. The temperature of a teacher model is settled when
    /// it is opened.
    pub fn distillation(&self) -> Option<Distill> {
        let loss = match self.distill_loss() {
            DistillBy::Kl => DistillLoss::Kl { temperature: self.distill_temperature(false) },
            DistillBy::MarginMse => DistillLoss::MarginMse,
        };
        let has_teacher = self.distill.is_some() || self.teacher.is_some();
        has_teacher.then(|| Distill { loss, weight: self.distill_weight.unwrap_or(1.0) })
    }

    /// Writes down what follows from the teacher: whether it is a model that compares by cosine.
    pub(in crate::training) fn settle_distillation(&mut self, by_cosine: bool) {
        let Some(Distill { weight, .. }) = self.distillation() else { return };
        let loss = self.distill_loss();
        self.distill_temperature = (loss == DistillBy::Kl).then(|| self.distill_temperature(by_cosine));
        (self.distill_loss, self.distill_weight) = (Some(loss), Some(weight));
    }

    /// What the training library is told of a run of `steps` whose vectors are compared by cosine, or as they are.
    pub fn train_config(&self, by_cosine: bool, steps: u64) -> TrainConfig {
        TrainConfig {
            epochs: self.epochs(),
            stop_after: None,
            batch_size: self.batch_size,
            directions: self.directions,
            distill: self.distillation(),
            batching: self.batching,
            anchor: self.anchor,
            temperature: self.temperature(by_cosine),
            learning_rate: self.lr,
            encoder_learning_rate: self.encoder_lr,
            freeze_encoder: self.freeze_encoder,
            weight_decay: self.weight_decay,
            beta1: self.beta1,
            beta2: self.beta2,
            epsilon: self.epsilon,
            schedule: self.schedule(),
            warmup_steps: self.warmup_steps(steps),
            clip: self.clip,
            dropout: self.dropout,
            mask_positives: self.mask_positives,
            negatives: self.negatives,
            balance: self.balance,
            chunk_tokens: self.chunk_tokens,
            seed: self.seed,
            keep: self.keep,
            patience: self.patience(),
            checkpoint_seconds: self.checkpoint_seconds,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gate_in_use_follows_the_training_gate_unless_it_is_named() {
        let gate = |train_gate, gate| RunConfig { train_gate, gate, ..RunConfig::default() }.gate();
        assert_eq!(gate(TrainGate::StraightThrough, None), Gate::Top1);
        assert_eq!(gate(TrainGate::Soft, None), Gate::All);
        assert_eq!(gate(TrainGate::Soft, Some(Gate::Top1)), Gate::Top1);
    }

    #[test]
    fn a_block_starts_at_the_encoder_where_its_combination_can() {
        let start = |combine, start| RunConfig { start, combine, ..RunConfig::default() }.start();
        assert_eq!(start(Combine::Sum, None), Start::Zero);
        assert_eq!(start(Combine::NormalizeMixture, None), Start::Random);
        assert_eq!(start(Combine::Sum, Some(Start::Random)), Start::Random);
        let linear = RunConfig {
            block: BlockKind::Linear,
            combine: Combine::NormalizeMixture,
            ..RunConfig::default()
        };
        assert_eq!(linear.start(), Start::Zero);
    }
}
