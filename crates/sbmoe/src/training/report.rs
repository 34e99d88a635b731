//! What is said of a run: before it begins, in its model card, and when it is over.

use std::path::{Path, PathBuf};

use sbmoe_model::folder::ModelCard;
use sbmoe_model::moe::Block;
use sbmoe_train::{Examples, Group, Groups};
use serde::Serialize;

use super::examples::HeldOut;
use super::prepared::Prepared;
use super::ranking::MEASURE;

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TrainReport {
    /// The run's folder.
    pub run: PathBuf,
    /// The collection's folder.
    pub data: PathBuf,
    /// The saved model; `None` when the run was broken off.
    pub model: Option<PathBuf>,
    /// The state that `--keep` did not choose, as a model too; `None` where the best is the last, without validation, or
    /// when the run was broken off.
    pub other: Option<PathBuf>,
    /// Whether all epochs are done or patience ran out.
    pub finished: bool,
    /// Steps taken in all.
    pub steps: u64,
    /// nDCG@10 of the validation queries with the encoder alone.
    pub encoder_alone: Option<f64>,
    /// The best validation nDCG@10.
    pub best: Option<f64>,
    /// The step at which it was reached.
    pub best_step: Option<u64>,
    /// The last validation nDCG@10.
    pub last: Option<f64>,
    /// The loss of the last step of this session.
    pub loss: Option<f64>,
    /// Seconds of this session.
    pub seconds: f64,
}

/// What the run will do, one fact a line.
pub(super) fn plan(
    run: &Prepared,
    examples: &Examples,
    held_out: Option<&HeldOut>,
    groups: &Groups,
) -> Vec<String> {
    let Prepared { retriever, .. } = run;
    let architecture = &retriever.architecture;
    let positives: usize = examples.positives.iter().map(Vec::len).sum();
    let negatives: usize = examples.negatives.iter().map(Vec::len).sum();
    let negatives = if negatives > 0 { format!(", {negatives} negatives") } else { String::new() };
    let mut lines = vec![format!(
        "data: {} training queries, {positives} positives{negatives}, {} documents",
        examples.queries.len(),
        run.documents.len()
    )];
    lines.push(match (held_out, run.judgments.held_out_from) {
        (Some(held_out), Some(split)) => format!(
            "validation: {} queries of split `{split}`, ranked over {} documents",
            held_out.queries.len(),
            held_out.documents.len()
        ),
        _ => "validation: none".to_owned(),
    });
    lines.push(match architecture.block.as_ref().map(Block::config) {
        None => "block: none, the encoder is fine-tuned".to_owned(),
        Some(block) => format!(
            "block: {} experts of width {}, trained as `{}`, used as `{}`, combined by `{}`",
            block.experts, block.expert_width, block.train_gate, block.gate, block.combine
        ),
    });
    for (group, tensors, elements) in groups.counts(architecture) {
        let rate = groups.rate(group);
        lines.push(match group {
            Group::Encoder => {
                format!("encoder: {elements} parameters in {tensors} tensors, learning rate {rate:e}")
            }
            Group::Block => {
                format!("block: {elements} parameters in {tensors} tensors, learning rate {rate:e}")
            }
            Group::Untrained => format!("not trained: {elements} parameters in {tensors} tensors"),
        });
    }
    lines
}

/// The card of a saved model. It names nothing that differs between two runs of the same settings.
pub(super) fn card(run: &Prepared, score: Option<f64>) -> ModelCard {
    let config = &run.config;
    let data = run.collection.folder().file_name().unwrap_or_default().to_string_lossy();
    let title = run.folder.path().file_name().unwrap_or_default().to_string_lossy();
    let encoder = if config.freeze_encoder {
        "stayed as it is".to_owned()
    } else {
        format!("was fine-tuned at a learning rate of {:e}", config.encoder_lr)
    };
    let block = match run.retriever.architecture.block.as_ref().map(Block::config) {
        None => String::new(),
        Some(block) => format!(
            "Behind it stands a block of {} experts of width {}, trained as `{}` at {:e} and used as `{}`.\n",
            block.experts, block.expert_width, block.train_gate, config.lr, block.gate
        ),
    };
    let score = score.map_or(String::new(), |score| {
        format!("{MEASURE} of the validation queries over {} documents: {score:.4}.\n", run.ranked.len())
    });
    let text = format!(
        "A dense retriever, trained by sbmoe {} on the collection {data}.\n\nThe encoder {encoder}.\n{block}Texts are cut \
         at {} tokens. Epochs: {}, batch size: {}, temperature: {}, seed: {}.\n{score}",
        env!("CARGO_PKG_VERSION"),
        run.retriever.lengths(),
        config.epochs(),
        config.batch_size,
        config.temperature,
        config.seed
    );
    // A folder's path may look like a name on the hub.
    let base_model = config.model.clone().filter(|name| !Path::new(name).is_dir());
    ModelCard { title: title.into_owned(), base_model, text, results: Vec::new() }
}
