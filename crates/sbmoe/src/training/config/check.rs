//! The refusal of numbers that no run can have, and of values that contradict each other.

use anyhow::{Result, bail, ensure};
use sbmoe_kernels::Precision;
use sbmoe_model::moe::{BlockConfig, BlockKind, Combine, Gate, Sides, Start};

use super::{DistillBy, RunConfig};

impl RunConfig {
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
            ("residual", self.residual),
            ("accept", self.accept),
        ];
        for (key, value) in at_least_zero {
            ensure!(
                value >= 0.0 && value.is_finite(),
                "`{key}` is {value}; it must be a number of at least 0"
            );
        }
        let temperature = self.temperature.unwrap_or(1.0);
        let above_zero = [
            ("temperature", temperature),
            ("epsilon", self.epsilon),
            ("input_scale", self.input_scale.unwrap_or(1.0)),
            ("distill_temperature", self.distill_temperature.unwrap_or(1.0)),
            ("distill_weight", self.distill_weight.unwrap_or(1.0)),
        ];
        for (key, value) in above_zero {
            ensure!(value > 0.0 && value.is_finite(), "`{key}` is {value}; it must be a number above 0");
        }
        for (key, value) in
            [("beta1", self.beta1), ("beta2", self.beta2), ("validation", self.validation.unwrap_or(0.0))]
        {
            ensure!((0.0..1.0).contains(&value), "`{key}` is {value}; it must be at least 0 and below 1");
        }
        ensure!(i64::try_from(self.seed).is_ok(), "`seed` is {}; it must be at most {}", self.seed, i64::MAX);
        if let (Some(data), Some(pairs)) = (&self.data, &self.pairs) {
            let (data, pairs) = (data.display(), pairs.display());
            bail!(
                "`pairs` `{pairs}` stands in place of a collection, but `data` is `{data}`; leave one of them out, or make a \
                 collection of the pairs with `sbmoe data pairs {pairs} DIR` and join its files to the other's"
            );
        }
        self.check_block()?;
        self.check_validation()?;
        self.check_distillation()
    }

    fn check_distillation(&self) -> Result<()> {
        if self.distillation().is_none() {
            let said = [
                ("distill_loss", self.distill_loss.is_some()),
                ("distill_temperature", self.distill_temperature.is_some()),
                ("distill_weight", self.distill_weight.is_some()),
            ];
            if let Some((key, _)) = said.iter().find(|(_, said)| *said) {
                bail!(
                    "`{key}` belongs to distillation, but there is no teacher; name a file of its scores with `--distill`, or a \
                     model with `--teacher`, or leave it out"
                );
            }
        }
        ensure!(
            self.distill.is_none() || self.teacher.is_none(),
            "`distill` names a teacher's scores and `teacher` another teacher; leave one of them out"
        );
        ensure!(
            self.distill.is_none() || self.negatives > 0,
            "`negatives` is 0, but `distill` brings the scored documents into batches as negatives; choose at least 1"
        );
        if self.distill_loss() == DistillBy::MarginMse && self.distill_temperature.is_some() {
            bail!(
                "`distill_temperature` has no meaning for `distill_loss` margin-mse, which compares scores as they are; leave \
                 it out"
            );
        }
        Ok(())
    }

    fn check_block(&self) -> Result<()> {
        let is_linear = self.block == BlockKind::Linear;
        if self.freeze_encoder && self.experts == 0 && !is_linear {
            bail!("`freeze_encoder` with `experts` 0 leaves nothing to train; leave one of them out");
        }
        let most = BlockConfig::MOST_EXPERTS;
        ensure!(self.experts <= most, "`experts` is {}; there may be at most {most}", self.experts);
        ensure!(self.rank != Some(0), "`rank` is 0; it must be at least 1");
        if let (false, Some(rank)) = (is_linear, self.rank) {
            bail!("`rank` {rank} belongs to a linear map; add `--block linear`, or leave it out");
        }
        if self.start() == Start::Zero && !is_linear && self.combine != Combine::Sum {
            bail!(
                "`start` is zero, where `combine` {} has no gradient (a sum of length 0 has no direction); choose `--combine \
                 sum`, or `--start random`",
                self.combine
            );
        }
        if is_linear {
            let default = Self::default();
            let said = [
                ("experts", self.experts != default.experts),
                ("expert_width", self.expert_width.is_some()),
                ("train_gate", self.train_gate != default.train_gate),
                ("gate", self.gate.is_some_and(|gate| gate != Gate::Uniform)),
                ("combine", self.combine != default.combine),
                ("gate_noise", self.gate_noise.is_some_and(|noise| noise != 0.0)),
                ("balance", self.balance != 0.0),
                ("start", self.start() == Start::Random),
            ];
            if let Some((key, _)) = said.iter().find(|(_, said)| *said) {
                bail!(
                    "`{key}` has no meaning for `block` linear, which has no experts and no gate; leave it out"
                );
            }
        }
        let has_block = is_linear || self.experts > 0;
        ensure!(
            has_block || self.sides == Sides::Both,
            "`sides` is {}, but without a block both sides are the encoder's; leave it out",
            self.sides
        );
        Ok(())
    }

    fn check_validation(&self) -> Result<()> {
        let without = self.validation == Some(0.0);
        if without && self.patience.is_some_and(|patience| patience > 0) {
            bail!("`patience` needs a validation, but `validation` is 0; leave one of them out");
        }
        if without && self.retrain {
            bail!(
                "`retrain` trains once more after a choice by validation, but `validation` is 0; leave one of them out"
            );
        }
        ensure!(
            self.folds != 1,
            "`folds` is 1, which leaves nothing to train on; choose 0 for none, or at least 2"
        );
        Ok(())
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
        check("temperature", RunConfig { temperature: Some(0.0), ..default() });
        check("validation", RunConfig { validation: Some(1.0), ..default() });
        check("precision", RunConfig { precision: Precision::Int8, ..default() });
        check("seed", RunConfig { seed: u64::MAX, ..default() });
        let linear = || RunConfig { block: BlockKind::Linear, ..default() };
        check("rank", RunConfig { rank: Some(4), ..default() });
        check("rank", RunConfig { rank: Some(0), ..linear() });
        check("experts", RunConfig { experts: 3, ..linear() });
        check("experts", RunConfig { experts: 65_536, ..default() });
        check("gate", RunConfig { gate: Some(Gate::Top1), ..linear() });
        check("start", RunConfig { start: Some(Start::Random), ..linear() });
        let combine = Combine::NormalizeMixture;
        check("start", RunConfig { start: Some(Start::Zero), combine, ..default() });
        check("sides", RunConfig { sides: Sides::Query, experts: 0, ..default() });
        check("folds", RunConfig { folds: 1, ..default() });
        check("freeze_encoder", RunConfig { freeze_encoder: true, experts: 0, ..default() });
        check("patience", RunConfig { patience: Some(2), validation: Some(0.0), ..default() });
        check("pairs", RunConfig { data: Some("a".into()), pairs: Some("b".into()), ..default() });
        check("distill_loss", RunConfig { distill_loss: Some(DistillBy::Kl), ..default() });
        check("distill_temperature", RunConfig { distill_temperature: Some(1.0), ..default() });
        check("distill_weight", RunConfig { distill_weight: Some(1.0), ..default() });
        let taught = || RunConfig { distill: Some("scores.tsv".into()), ..default() };
        taught().check().unwrap();
        check("distill_weight", RunConfig { distill_weight: Some(0.0), ..taught() });
        check("negatives", RunConfig { negatives: 0, ..taught() });
        check("distill", RunConfig { teacher: Some("model".into()), ..taught() });
        let (distill_loss, distill_temperature) = (Some(DistillBy::MarginMse), Some(1.0));
        check("distill_temperature", RunConfig { distill_loss, distill_temperature, ..taught() });
    }
}
