//! `sbmoe import`: the authors' own checkpoints as saved models of ours.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use sbmoe_model::checkpoint::{Checkpoint, Wanted};
use sbmoe_model::folder::ModelCard;
use sbmoe_model::moe::{BlockConfig, Combine, Gate, Start, TrainGate, authors};
use sbmoe_model::parameters::Tensors;

use super::model_arguments::ModelArguments;
use super::{Verdict, console};
use crate::folder_lock::FolderLock;
use crate::paths::refuse_inputs_inside;

/// Turn a state dictionary of the paper's code (`.pt`) into a model folder.
///
/// The number of experts and their width are read from the file; the tokenizer and the sizes come from the base model.
/// The result is used like any model: `sbmoe encode --model OUT`.
#[derive(Debug, Args)]
pub(super) struct Import {
    /// The authors' file: keys `doc_model.*`, `specializer.*`, `cls_1.*`, `cls_3.*`, `noise_linear.*`.
    #[arg(long, value_name = "FILE.pt")]
    checkpoint: PathBuf,
    #[command(flatten)]
    model: ModelArguments,
    /// Where the model folder goes.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// How the block is used unless a command says otherwise.
    #[arg(long, value_name = "GATE", default_value = "top1")]
    gate: Gate,
    /// The most tokens of a text, special ones included.
    #[arg(long, value_name = "TOKENS")]
    max_length: Option<usize>,
}

impl Import {
    pub(super) fn run(self) -> Result<Verdict> {
        let model = Path::new(&self.model.model);
        refuse_inputs_inside(
            &self.out,
            [("--checkpoint", Some(&*self.checkpoint)), ("--model", Some(model))],
        )?;
        let _lock = FolderLock::beside(&self.out)?;
        let file = Checkpoint::open_file(&self.checkpoint)?.rename(authors::canonical)?;
        let config = self.block(&file)?;
        let mut retriever = self.model.open(self.max_length)?;
        if retriever.architecture.hidden() != config.hidden {
            bail!(
                "`{}` has vectors of {} numbers and the base model {}: name the base model that it was trained from",
                self.checkpoint.display(),
                config.hidden,
                retriever.architecture.hidden()
            );
        }
        let n_experts = config.experts;
        retriever.set_head(Some(config), false, (Start::Random, 0));
        if let Some(dim) = retriever.folder.truncate_dim.take() {
            console::note(format!(
                "the base model's `truncate_dim` {dim} is left out: the paper's code knows none"
            ));
        }
        // The paper's code lower-cases every text that it trains on.
        retriever.set_lower_case(true)?;
        let parameters = retriever.architecture.layout.parameters();
        let wanted: Vec<Wanted> =
            parameters.iter().map(|p| Wanted { name: p.name.clone(), shape: p.shape.clone() }).collect();
        let selection = file.select(&wanted)?;
        for name in &selection.unexpected {
            console::warn(format!("`{name}` in `{}` has no place in the model", self.checkpoint.display()));
        }
        let values: Vec<Vec<f32>> =
            selection.tensors().map(|tensor| Ok(tensor?.values.into_vec())).collect::<Result<_>>()?;
        retriever.parameters = Tensors::upload(&*retriever.ops, &values);
        let card = ModelCard {
            title: name(&self.out),
            base_model: Some(self.model.model.clone()),
            text: format!("Imported from `{}` ({n_experts} experts).", name(&self.checkpoint)),
            results: Vec::new(),
        };
        retriever
            .save(&self.out, &card, None)
            .with_context(|| format!("writing `{}`", self.out.display()))?;
        console::print(format!("{} experts → `{}`", n_experts, self.out.display()))?;
        Ok(Verdict::Good)
    }

    /// The block's sizes as the file shows them.
    fn block(&self, file: &Checkpoint) -> Result<BlockConfig> {
        let experts = authors::n_experts(file.names());
        let Some([expert_width, hidden]) = file.shape("experts.0.down.weight") else {
            bail!(
                "`{}` holds no expert (`specializer.0.query_embedding_changer_1.weight`): it is not a checkpoint of the \
                 paper's block",
                self.checkpoint.display()
            );
        };
        Ok(BlockConfig {
            hidden: *hidden,
            experts,
            expert_width: *expert_width,
            gate: self.gate,
            train_gate: TrainGate::NoisyTop1,
            combine: Combine::NormalizeMixture,
            gate_noise: 1.0,
            seed: 42,
            ..BlockConfig::new(1, 1)
        })
    }
}

fn name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
