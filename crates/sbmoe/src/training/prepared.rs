//! Everything that is looked at before the long work: values, folder, data, model, and whether there is a state to go on
//! from.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use sbmoe_index::Similarity;
use sbmoe_ir::Collection;
use sbmoe_ir::atomic_file::write_bytes;
use sbmoe_kernels::{Cpu, Ops as _};
use sbmoe_model::folder::{self, Fingerprints};
use sbmoe_model::moe::{BlockConfig, Side, Start};
use sbmoe_model::retriever::Retriever;
use sbmoe_train::Position;

use super::TrainRequest;
use super::config::RunConfig;
use super::judgments::Judgments;
use super::pairs;
use super::progress::{Downloads, Observer, Progress, tell};
use super::provenance::Provenance;
use super::run_folder::RunFolder;
use super::teaching::{self, TeacherModel};
use super::texts::{Documents, Texts, read_documents, read_queries};
use crate::device;
use crate::model_source::{self, ModelSource};
use crate::paths::refuse_inputs_inside;

/// Names of unexpected tensors that a warning lists.
const LISTED: usize = 20;

/// A run that can begin.
pub(super) struct Prepared {
    pub(super) config: RunConfig,
    pub(super) folder: RunFolder,
    pub(super) collection: Collection,
    pub(super) judgments: Judgments,
    pub(super) queries: Texts,
    pub(super) documents: Documents,
    pub(super) retriever: Retriever<Cpu>,
    /// The teacher, where it is a model, until its vectors are there.
    pub(super) teacher: Option<TeacherModel>,
    /// Of the encoder as it came.
    pub(super) fingerprints: Fingerprints,
    source: ModelSource,
    /// Whether document vectors of the encoder as it came are those of the trained model's encoder: it reads texts alike.
    reads_alike: bool,
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
        refuse_inputs_inside(
            &request.out,
            [
                ("--model", config.model.as_deref().map(Path::new)),
                ("--teacher", config.teacher.as_deref().map(Path::new)),
                ("--data", config.data.as_deref()),
                ("--pairs", config.pairs.as_deref()),
                ("--distill", config.distill.as_deref()),
            ],
        )?;
        let (data, made) = match (&config.data, &config.pairs) {
            (None, Some(source)) => pairs::collection(source, request, observe)?,
            (Some(data), _) => (data.clone(), pairs::MadePairs::default()),
            (None, None) => {
                bail!(
                    "no collection; name its folder with `--data DIR`, or a file of pairs with `--pairs FILE`"
                )
            }
        };
        let collection = Collection::open(&data)?;
        let mut judgments = Judgments::read(&collection, &config)?;
        if let Some(path) = &config.distill {
            teaching::join(path, &collection, &mut judgments)?;
        }
        for warning in &judgments.warnings {
            tell(observe, Progress::Warning(warning.clone()))?;
        }
        let (source, mut retriever) = open_model(&config, request.threads, observe)?;
        let fingerprints = folder::fingerprint(&source.dir)?;
        let own_reading = (retriever.folder.tokenizer(None, None)?.lengths(), retriever.folder.lower_case);
        adapt(&mut retriever, &mut config, observe)?;
        let teacher = config
            .teacher
            .as_deref()
            .map(|name| TeacherModel::open(name, &retriever.ops, config.precision, observe));
        let teacher = teacher.transpose()?;
        config.settle_distillation(teacher.as_ref().is_some_and(TeacherModel::by_cosine));
        let reads_alike = own_reading == (retriever.lengths(), retriever.folder.lower_case);
        let mut provenance = Provenance::new(
            &collection,
            &judgments,
            (&source, &fingerprints.model),
            &config,
            &retriever.ops,
        )?;
        provenance.taught(&config, teacher.as_ref())?;
        let identity = provenance.identity(&config);
        let position = if request.resume { folder.position(&identity)? } else { None };
        let queries = read_queries(&collection, &judgments, &config)?;
        let documents = read_documents(&collection, &judgments, &config)?;
        folder.create()?;
        made.stays()?;

        if let Some(position) = &position {
            provenance.resumed_from(position.steps);
            let note = format!("resuming after step {} (epochs done: {})", position.steps, position.epoch);
            tell(observe, Progress::Note(note))?;
        } else {
            if request.resume {
                let note = format!("no checkpoint in `{}`: starting afresh", folder.path().display());
                tell(observe, Progress::Note(note))?;
            }
            folder.clear(request.resume)?;
        }
        // The environment comes first: by it a run is known.
        write_bytes(&folder.environment(), &pretty(&provenance)?)?;
        write_bytes(&folder.config(), toml::to_string(&config)?.as_bytes())?;
        Ok(Self {
            config,
            folder,
            collection,
            judgments,
            queries,
            documents,
            retriever,
            teacher,
            fingerprints,
            source,
            reads_alike,
            identity,
            position,
        })
    }

    /// Whether the trained model compares by cosine.
    pub(super) fn by_cosine(&self) -> bool {
        self.retriever.architecture.normalize
    }

    /// Puts every parameter back to where training starts.
    pub(super) fn reset(&mut self) -> Result<()> {
        let Self { config, retriever, .. } = self;
        if !config.freeze_encoder {
            let mut fresh = Retriever::open(&self.source.dir, Arc::clone(&retriever.ops), config.max_length)?;
            fresh.set_lower_case(retriever.folder.lower_case)?;
            set_head(&mut fresh, config, retriever.architecture.normalize);
            self.retriever = fresh;
            return Ok(());
        }
        let Retriever { ops, architecture, parameters, .. } = retriever;
        if let Some(block) = &architecture.block {
            let values = block.initial_values(&architecture.layout, config.start(), config.seed);
            for (place, values) in block.places().zip(values) {
                let id = architecture.layout.ids().nth(place).expect("the block's places are the layout's");
                *parameters.get_mut(id) = ops.upload(&values);
            }
        }
        Ok(())
    }

    /// The encoder as it came, ready to be saved: compared as it is meant to be, without a block.
    pub(super) fn encoder_alone(&self) -> Result<Retriever<Cpu>> {
        let Self { config, retriever, .. } = self;
        let mut encoder = Retriever::open(&self.source.dir, Arc::clone(&retriever.ops), config.max_length)?;
        encoder.set_lower_case(retriever.folder.lower_case)?;
        let by_cosine = encoder.folder.meant_similarity() == folder::Similarity::Cosine;
        encoder.set_head(None, by_cosine, (Start::Zero, config.seed));
        Ok(encoder)
    }

    /// The fingerprint by which an index of the encoder's own vectors serves a model whose document vectors they are: one
    /// whose encoder `is_untrained`, and without a block for documents.
    pub(super) fn documents_of(&self, retriever: &Retriever<Cpu>, is_untrained: bool) -> Option<&str> {
        let same = self.reads_alike && is_untrained && !retriever.block_serves(Side::Document);
        same.then_some(self.fingerprints.documents.as_str())
    }
}

fn set_head(retriever: &mut Retriever<Cpu>, config: &RunConfig, by_cosine: bool) {
    let block = config.block(retriever.architecture.hidden(), by_cosine);
    retriever.set_head(block, by_cosine, (config.start(), config.seed));
    retriever.architecture.bert.set_precision(config.precision);
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
    let source = find_model(name, config.revision.as_deref(), observe)?;
    let cpu = Arc::new(device::open(threads)?);
    let retriever = open_retriever((name, &source), cpu, config.max_length, observe)?;
    Ok((source, retriever))
}

/// Where the model lies that a user names, downloaded if it must be.
pub(super) fn find_model(
    name: &str,
    revision: Option<&str>,
    observe: &mut Observer<'_>,
) -> Result<ModelSource> {
    let mut told = Downloads::default();
    let source = model_source::resolve(name, revision, &mut |transfer| told.tell(transfer, observe))?;
    tell(observe, Progress::StageDone)?;
    if let Some(note) = &source.note {
        tell(observe, Progress::Note(note.clone()))?;
    }
    Ok(source)
}

/// Opens it, and tells what is to be warned of.
pub(super) fn open_retriever(
    (name, source): (&str, &ModelSource),
    cpu: Arc<Cpu>,
    max_length: Option<usize>,
    observe: &mut Observer<'_>,
) -> Result<Retriever<Cpu>> {
    let retriever = Retriever::open(&source.dir, cpu, max_length)
        .with_context(|| format!("the model `{name}` cannot be opened"))?;
    let tensors = unexpected_tensors(&source.dir, &retriever.unexpected);
    for warning in retriever.folder.warnings.iter().chain(&tensors) {
        tell(observe, Progress::Warning(warning.clone()))?;
    }
    Ok(retriever)
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
    config.patience = Some(config.patience());
    config.schedule = Some(config.schedule());
    config.gate_noise = Some(config.gate_noise());
    config.start = Some(config.start());
    let lower_case = *config.lower_case.get_or_insert(retriever.folder.lower_case);
    if lower_case != retriever.folder.lower_case {
        retriever.set_lower_case(lower_case)?;
    }
    let meant = match retriever.folder.meant_similarity() {
        folder::Similarity::Cosine => Similarity::Cos,
        folder::Similarity::Dot => Similarity::Dot,
    };
    let by_cosine = *config.similarity.get_or_insert(meant) == Similarity::Cos;
    config.temperature = Some(config.temperature(by_cosine));
    if !by_cosine && meant == Similarity::Cos {
        let note = "the encoder was made to be compared by cosine; it is trained by dot product, as `--similarity dot` says";
        tell(observe, Progress::Note(note.to_owned()))?;
    }
    config.input_scale = Some(config.input_scale(by_cosine));
    if !by_cosine && config.input_scale != Some(1.0) {
        bail!(
            "`input_scale` is the length of the block's input where vectors are compared by cosine, but they are compared by \
             dot product; leave it out, or add `--similarity cos`"
        );
    }
    if let Some(dim) = retriever.folder.truncate_dim.take() {
        let note = format!(
            "the folder's `truncate_dim` {dim} is left out: training compares vectors of all {hidden} numbers, and so does \
             the trained model"
        );
        tell(observe, Progress::Note(note))?;
    }
    if retriever.architecture.block.is_some() {
        let instead =
            if config.block(hidden, by_cosine).is_some() { "replaced by a fresh one" } else { "left out" };
        tell(observe, Progress::Warning(format!("the model's own block is {instead}")))?;
    }
    if let Some(block) = config.block(hidden, by_cosine).filter(BlockConfig::has_gate) {
        config.expert_width = Some(block.expert_width);
        config.gate = Some(block.gate);
        if hidden < 2 {
            bail!("an encoder of hidden size {hidden} is too narrow for a gate of width ⌊h/2⌋");
        }
    }
    set_head(retriever, config, by_cosine);
    Ok(())
}
