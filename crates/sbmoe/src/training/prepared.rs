//! Everything that is looked at before the long work: values, folder, data, model, and whether there is a state to go on
//! from.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use sbmoe_ir::Collection;
use sbmoe_kernels::Cpu;
use sbmoe_model::folder;
use sbmoe_model::retriever::Retriever;
use sbmoe_train::Position;

use super::TrainRequest;
use super::config::RunConfig;
use super::judgments::Judgments;
use super::progress::{Downloads, Observer, Progress, tell};
use super::provenance::Provenance;
use super::run_folder::{RunFolder, write_atomically};
use super::texts::{Texts, read_documents, read_queries};
use crate::device;
use crate::model_source::{self, ModelSource};

/// Names of unexpected tensors that a warning lists.
const LISTED: usize = 20;

/// A run that can begin.
pub(super) struct Prepared {
    pub(super) config: RunConfig,
    pub(super) folder: RunFolder,
    pub(super) collection: Collection,
    pub(super) judgments: Judgments,
    pub(super) queries: Texts,
    pub(super) documents: Texts,
    /// Ordinals of the documents that validation queries are ranked over.
    pub(super) ranked: Vec<u32>,
    pub(super) retriever: Retriever<Cpu>,
    pub(super) fingerprint: String,
    pub(super) identity: String,
    /// Where the run goes on; `None` at its beginning.
    pub(super) position: Option<Position>,
}

impl Prepared {
    /// Checks everything, makes the folder and writes what the run is made of. An earlier run's files are touched only
    /// after every check has passed.
    pub(super) fn new(request: &TrainRequest, observe: &mut Observer<'_>) -> Result<Self> {
        let mut config = request.config.clone();
        config.check()?;
        let folder = RunFolder::new(&request.out);
        folder.refuse_occupied(request.resume, request.overwrite)?;
        let data = config.data.as_deref().context("no collection; name its folder with `--data DIR`")?;
        let collection = Collection::open(data)?;
        let judgments = Judgments::read(&collection, &config)?;
        for warning in &judgments.warnings {
            tell(observe, Progress::Warning(warning.clone()))?;
        }
        let (source, mut retriever) = open_model(&config, request.threads, observe)?;
        let fingerprint = folder::fingerprint(&source.dir)?;
        adapt(&mut retriever, &mut config, observe)?;
        let mut provenance =
            Provenance::new(&collection, &judgments, (&source, &fingerprint), &config, &retriever.ops)?;
        let identity = provenance.identity(&config);
        let position = if request.resume { folder.position(&identity)? } else { None };
        let queries = read_queries(&collection, &judgments, &config)?;
        let (documents, ranked) = read_documents(&collection, &judgments, &config)?;
        folder.create()?;

        if let Some(position) = &position {
            provenance.resumed_from(position.steps);
            let note = format!("resuming after step {} (epochs done: {})", position.steps, position.epoch);
            tell(observe, Progress::Note(note))?;
        } else {
            if request.resume {
                let note = format!("no checkpoint in `{}`: starting afresh", folder.path().display());
                tell(observe, Progress::Note(note))?;
            }
            folder.clear()?;
        }
        write_atomically(&folder.config(), toml::to_string(&config)?.as_bytes())?;
        write_atomically(&folder.environment(), &pretty(&provenance)?)?;
        Ok(Self {
            config,
            folder,
            collection,
            judgments,
            queries,
            documents,
            ranked,
            retriever,
            fingerprint,
            identity,
            position,
        })
    }
}

/// JSON for people, with a line break at its end.
fn pretty(value: &impl serde::Serialize) -> Result<Vec<u8>> {
    let mut text = serde_json::to_vec_pretty(value)?;
    text.push(b'\n');
    Ok(text)
}

fn open_model(
    config: &RunConfig,
    threads: usize,
    observe: &mut Observer<'_>,
) -> Result<(ModelSource, Retriever<Cpu>)> {
    let name = config
        .model
        .as_deref()
        .context("no encoder; name a model folder or a model on the hub with `--model`")?;
    let mut told = Downloads::default();
    let source = model_source::resolve(name, config.revision.as_deref(), &mut |transfer| {
        told.tell(transfer, observe);
    })?;
    tell(observe, Progress::StageDone)?;
    if let Some(note) = &source.note {
        tell(observe, Progress::Note(note.clone()))?;
    }
    let cpu = Arc::new(device::open(threads)?);
    let retriever = Retriever::open(&source.dir, cpu, config.max_length)
        .with_context(|| format!("the model `{name}` cannot be opened"))?;
    let tensors = unexpected_tensors(&source.dir, &retriever.unexpected);
    for warning in retriever.folder.warnings.iter().chain(&tensors) {
        tell(observe, Progress::Warning(warning.clone()))?;
    }
    Ok((source, retriever))
}

/// A warning that names tensors which a model has no place for; `None` without any.
pub fn unexpected_tensors(dir: &Path, names: &[String]) -> Option<String> {
    let (first, rest) = names.split_at(names.len().min(LISTED));
    let others = if rest.is_empty() { String::new() } else { format!(" and {} others", rest.len()) };
    (!first.is_empty()).then(|| {
        format!(
            "`{}` holds tensors that the encoder has no place for: `{}`{others}",
            dir.display(),
            first.join("`, `")
        )
    })
}

/// Gives the retriever what is asked for, and the configuration what followed from the model.
fn adapt(retriever: &mut Retriever<Cpu>, config: &mut RunConfig, observe: &mut Observer<'_>) -> Result<()> {
    let hidden = retriever.architecture.hidden();
    // Two lengths are the model's own, which a resumed run opens again.
    config.max_length = retriever.lengths().are_one().then(|| retriever.max_length());
    config.epochs = Some(config.epochs());
    config.gate_noise = Some(config.gate_noise());
    let lower_case = *config.lower_case.get_or_insert(retriever.folder.lower_case);
    if lower_case != retriever.folder.lower_case {
        retriever.set_lower_case(lower_case)?;
    }
    if retriever.folder.normalize {
        let note = "the model's `Normalize` module is left out: training compares vectors as they are";
        tell(observe, Progress::Note(note.to_owned()))?;
        retriever.folder.normalize = false;
    }
    if let Some(dim) = retriever.folder.truncate_dim.take() {
        let note = format!(
            "the folder's `truncate_dim` {dim} is left out: training compares vectors of all {hidden} numbers, and so does \
             the trained model"
        );
        tell(observe, Progress::Note(note))?;
    }
    if retriever.architecture.block.is_some() {
        let instead = if config.experts > 0 { "replaced by a fresh one" } else { "left out" };
        tell(observe, Progress::Warning(format!("the model's own mixture-of-experts block is {instead}")))?;
    }
    let block = config.block(hidden);
    if let Some(block) = &block {
        config.expert_width = Some(block.expert_width);
        config.gate = Some(block.gate);
    }
    if hidden < 2 && block.is_some() {
        bail!("an encoder of hidden size {hidden} is too narrow for a gate of width ⌊h/2⌋");
    }
    retriever.set_block(block, config.seed);
    retriever.architecture.bert.set_precision(config.precision);
    Ok(())
}
