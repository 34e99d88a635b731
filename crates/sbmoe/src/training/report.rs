//! What is said of a run: before it begins, in its model card, and when it is over.

use std::fmt;
use std::path::{Path, PathBuf};

use sbmoe_kernels::{Directions, DistillLoss};
use sbmoe_model::folder::ModelCard;
use sbmoe_model::moe::{Block, BlockConfig, BlockKind, Sides, Start};
use sbmoe_train::{Distill, Examples, Gain, Group, Groups};
use serde::Serialize;

use super::TrainRequest;
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
    /// nDCG@10 of the held-out queries with the encoder as it came, by its own similarity.
    pub baseline: Option<f64>,
    /// That of the best trained state.
    pub best: Option<f64>,
    /// What it gains on the encoder, over the held-out queries that choose.
    pub gain: Option<Gain>,
    /// The 95 % interval of that gain.
    pub interval: Option<[f64; 2]>,
    /// The step at which it was reached.
    pub best_step: Option<u64>,
    /// The epoch after which it was reached.
    pub best_epoch: Option<usize>,
    /// What became the model; `None` when the run was broken off.
    pub kept: Option<Kept>,
    /// Held-out queries whose answers are trained on, where there are such.
    pub seen: Option<Part>,
    /// The other held-out queries, where there are both kinds.
    pub unseen: Option<Part>,
    /// The last validation nDCG@10.
    pub last: Option<f64>,
    /// The loss of the last step of this session.
    pub loss: Option<f64>,
    /// Seconds of this session.
    pub seconds: f64,
}

/// What became a run's model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// The encoder as it came: no trained state was better beyond its noise.
    Encoder,
    /// The state after so many epochs.
    Epoch(usize),
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Encoder => f.write_str("encoder"),
            Self::Epoch(epoch) => write!(f, "epoch {epoch}"),
        }
    }
}

impl Serialize for Kept {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Scores of a part of the held-out queries.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Part {
    /// How many.
    pub queries: usize,
    /// With the encoder as it came.
    pub baseline: f64,
    /// With the best trained state.
    pub best: f64,
}

impl TrainReport {
    /// Of a run that has done nothing yet.
    pub(super) fn begun(request: &TrainRequest) -> Self {
        Self {
            run: request.out.clone(),
            data: request.config.data.clone().unwrap_or_default(),
            model: None,
            other: None,
            finished: false,
            steps: 0,
            baseline: None,
            best: None,
            gain: None,
            interval: None,
            best_step: None,
            best_epoch: None,
            kept: None,
            seen: None,
            unseen: None,
            last: None,
            loss: None,
            seconds: 0.0,
        }
    }
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
        run.documents.texts.len()
    )];
    lines.push(match (held_out, run.judgments.held_out_from) {
        (Some(held_out), Some(from)) => format!(
            "validation: {} queries of {from}, ranked over {} documents",
            held_out.queries.len(),
            held_out.documents.len()
        ),
        _ => "validation: none".to_owned(),
    });
    let by = if architecture.normalize { "cosine" } else { "dot product" };
    let temperature = run.config.temperature(architecture.normalize);
    let directions = match run.config.directions {
        Directions::OneWay => "",
        Directions::Both => ", in both directions",
    };
    lines.push(format!("compared by {by}, temperature {temperature}{directions}"));
    lines.extend(distillation(run));
    lines.push(match architecture.block.as_ref().map(Block::config) {
        None => "block: none, the encoder is fine-tuned".to_owned(),
        Some(block) => format!("block: {}", described(block, run.config.start())),
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

/// What is learned from a teacher; `None` without one.
fn distillation(run: &Prepared) -> Option<String> {
    let Distill { loss, weight } = run.config.distillation()?;
    let loss = match loss {
        DistillLoss::Kl { temperature } => format!("kl at the teacher's temperature {temperature}"),
        DistillLoss::MarginMse => "margin-mse".to_owned(),
    };
    let teacher = match (&run.teacher, &run.config.distill) {
        (Some(teacher), _) => {
            let by = if teacher.by_cosine() { "cosine" } else { "dot product" };
            format!("the vectors of `{}`, compared by {by}", teacher.source.dir.display())
        }
        (None, scores) => {
            let counts = run.judgments.training.iter().map(|query| query.scores.len()).filter(|n| *n > 0);
            let (pairs, queries) = (counts.clone().sum::<usize>(), counts.count());
            let file = scores.as_deref().unwrap_or(Path::new("")).display();
            format!("{pairs} scores of {queries} queries in `{file}`")
        }
    };
    Some(format!("distillation: {loss}, weight {weight}, from {teacher}"))
}

/// What the run learned from, by the name that a person gave it.
fn data_name(run: &Prepared) -> String {
    let data = run.config.pairs.as_deref().unwrap_or(run.collection.folder());
    data.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The card of a saved model. It names nothing that differs between two runs of the same settings.
pub(super) fn card(run: &Prepared, score: Option<f64>) -> ModelCard {
    let config = &run.config;
    let data = data_name(run);
    let title = run.folder.path().file_name().unwrap_or_default().to_string_lossy();
    let encoder = if config.freeze_encoder {
        "stayed as it is".to_owned()
    } else {
        format!("was fine-tuned at a learning rate of {:e}", config.encoder_lr)
    };
    let block = match run.retriever.architecture.block.as_ref().map(Block::config) {
        None => String::new(),
        Some(block) => {
            format!("Behind it stands {}, trained at {:e}.\n", described(block, config.start()), config.lr)
        }
    };
    let score = score.map_or(String::new(), |score| {
        format!(
            "{MEASURE} of the validation queries over {} documents: {score:.4}.\n",
            run.documents.ranked.len()
        )
    });
    let text = format!(
        "A dense retriever, trained by sbmoe {} on the collection {data}.\n\nThe encoder {encoder}.\n{block}Texts are cut \
         at {} tokens. Epochs: {}, batch size: {}, temperature: {}, seed: {}.\n{score}",
        env!("CARGO_PKG_VERSION"),
        run.retriever.lengths(),
        config.epochs(),
        config.batch_size,
        config.temperature(run.by_cosine()),
        config.seed
    );
    // A folder's path may look like a name on the hub.
    let base_model = config.model.clone().filter(|name| !Path::new(name).is_dir());
    ModelCard { title: title.into_owned(), base_model, text, results: Vec::new() }
}

/// The card of the encoder as it came, where no training made it better.
pub(super) fn encoder_card(run: &Prepared) -> ModelCard {
    let text = format!(
        "The encoder as it came: a training by sbmoe {} on the collection {} made it no better beyond the noise of the \
         held-out queries.",
        env!("CARGO_PKG_VERSION"),
        data_name(run)
    );
    ModelCard { text, ..card(run, None) }
}

/// A block in words.
fn described(block: &BlockConfig, start: Start) -> String {
    let what = match (block.kind, block.rank) {
        (BlockKind::Linear, None) => "a residual linear map".to_owned(),
        (BlockKind::Linear, Some(rank)) => format!("a residual linear map of rank {rank}"),
        (BlockKind::Experts, _) => format!(
            "{} experts of width {}, trained as `{}`, used as `{}`, combined by `{}`",
            block.experts, block.expert_width, block.train_gate, block.gate, block.combine
        ),
    };
    let sides = match block.sides {
        Sides::Both => "",
        Sides::Query => ", for queries alone",
        Sides::Document => ", for documents alone",
    };
    format!("{what}, started at {}{sides}", if start == Start::Zero { "the encoder" } else { "random" })
}
