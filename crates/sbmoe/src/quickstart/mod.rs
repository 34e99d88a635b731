//! `sbmoe quickstart` without its terminal: from nothing to a trained retriever, its scores and its answers.
//!
//! [`run`] finds an encoder (`encoder`), writes the collection that the project ships (`shipped`), trains a block on the
//! frozen encoder, and compares the result with the encoder alone (`system`). Every step is one that a command of its
//! own does too; what an earlier run left in the work folder (`work_folder`) is taken up.

mod encoder;
mod wheel;

mod shipped;
mod work_folder;

mod answers;
mod report;
mod system;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use sbmoe_ir::Collection;
use sbmoe_model::folder::ModelFolder;

pub use answers::{Answer, AnswerHit, QUESTIONS};
pub use encoder::Encoder;
pub use report::{Comparison, MEASURES, QuickstartReport, SystemReport};
pub use work_folder::WorkFolder;

use crate::device;
use crate::encoding::Normalize;
use crate::folder_lock::FolderLock;
use crate::training::{self, MEASURE, Observer, Progress, RunConfig, RunFolder, TrainReport, TrainRequest};
use system::{System, TestSet};

/// What a quickstart is told.
#[derive(Debug, Clone)]
pub struct QuickstartRequest {
    /// The encoder, a folder or a name on the hub; found by itself when `None`.
    pub model: Option<String>,
    /// Where everything goes.
    pub work: PathBuf,
    /// Makes everything again but the encoder's own files.
    pub overwrite: bool,
    /// Threads, 0 for one a core; results do not depend on it.
    pub threads: usize,
}

/// Runs every step that the work folder does not have yet; `None` when the observer asked to stop.
///
/// # Errors
/// No encoder can be had; the work folder holds something else; whatever training, encoding and searching refuse. What
/// was finished stays and is reused by the next try.
pub fn run(request: &QuickstartRequest, observe: &mut Observer<'_>) -> Result<Option<QuickstartReport>> {
    match work(request, observe) {
        Ok(report) => Ok(Some(report)),
        Err(error) if error.is::<Stopped>() => Ok(None),
        Err(error) => Err(error),
    }
}

fn work(request: &QuickstartRequest, observe: &mut Observer<'_>) -> Result<QuickstartReport> {
    let start = Instant::now();
    let folder = WorkFolder::new(&request.work);
    let _lock = FolderLock::inside(&request.work)?;
    // The dev questions are too few to prove a gain of some hundredths; the test questions judge here what is shown.
    let (data, freeze_encoder, accept) = (Some(folder.collection()), true, 1.0);
    let config = RunConfig { data, freeze_encoder, accept, ..RunConfig::default() };
    let earlier = folder.earlier(request.overwrite)?;
    let encoder = encoder::find(
        request.model.as_deref(),
        earlier.as_ref().map(|state| &state.encoder),
        &folder,
        observe,
    )?;
    let model = ModelFolder::open(&encoder.dir)
        .with_context(|| format!("the encoder `{}` cannot be opened", encoder.dir.display()))?;
    ensure!(
        model.block_config()?.is_none(),
        "`{}` has a mixture-of-experts block already, and a quickstart shows what a block adds: name an encoder without one",
        encoder.name
    );
    folder.begin(earlier.as_ref(), &encoder, &config)?;
    shipped::write(&folder.collection(), request.overwrite)?;
    let collection = Collection::open(&folder.collection())?;

    let config = RunConfig { model: Some(encoder.dir.display().to_string()), ..config };
    let trained = train(&folder, config, request.threads, &model.warnings, observe)?;

    let test = TestSet::read(&collection)?;
    let cpu = Arc::new(device::open(request.threads)?);
    let mut judged = Vec::new();
    for normalize in [Normalize::Auto, Normalize::Off] {
        let (name, key) = match normalize {
            Normalize::Off => ("encoder alone, by dot product", "encoder-dot"),
            Normalize::Auto | Normalize::On => ("encoder alone", "encoder"),
        };
        let model_name = encoder.name.clone();
        let system = System { name, key, model: &encoder.dir, model_name, normalize, folder: &folder };
        judged.push(system.judge(&test, &cpu, observe)?);
        // What is not normalised is compared by dot product already.
        if !judged[0].report.normalized {
            break;
        }
    }
    let model_name = trained.display().to_string();
    let normalize = Normalize::Auto;
    // Where no trained state is better beyond its noise, training leaves the encoder as it came.
    let kept_encoder = ModelFolder::open(&trained)?.block.is_none();
    let system = System {
        name: if kept_encoder { "after training" } else { "with the block" },
        key: "sbmoe",
        model: &trained,
        model_name,
        normalize,
        folder: &folder,
    };
    let sbmoe = system.judge(&test, &cpu, observe)?;
    Ok(QuickstartReport {
        work: request.work.clone(),
        encoder,
        collection: folder.collection(),
        documents: sbmoe.index.documents().len(),
        queries: test.queries(),
        kept_encoder,
        comparisons: judged.iter().map(|other| sbmoe.compare(other)).collect(),
        answers: answers::answer(&sbmoe.maker, &sbmoe.index)?,
        systems: judged.into_iter().chain([sbmoe]).map(|judged| judged.report).collect(),
        seconds: start.elapsed().as_secs_f64(),
    })
}

/// The trained model's folder: the one that is there, else from a run that begins or goes on.
fn train(
    folder: &WorkFolder,
    config: RunConfig,
    threads: usize,
    warnings: &[String],
    observe: &mut Observer<'_>,
) -> Result<PathBuf> {
    let out = folder.training();
    let model = RunFolder::new(&out).model();
    if model.is_dir() {
        let text = format!("training: finished already; `{}` is reused", model.display());
        note(observe, text)?;
        // Training would have told them.
        warnings.iter().try_for_each(|warning| tell(observe, Progress::Warning(warning.clone())))?;
        return Ok(model);
    }
    let request = TrainRequest { config, resume: out.is_dir(), out, overwrite: false, threads };
    let report = training::run(&request, observe)?;
    tell(observe, Progress::StageDone)?;
    if !report.finished {
        return Err(Stopped.into());
    }
    note(observe, trained(&report))?;
    report.model.context("training has finished, so there is a model")
}

fn trained(report: &TrainReport) -> String {
    let score = match (report.best, report.baseline) {
        (Some(best), Some(before)) => format!(", {MEASURE} of the dev queries {before:.4} → {best:.4}"),
        _ => String::new(),
    };
    let kept = report.kept.map_or_else(String::new, |kept| format!("; kept: {kept}"));
    format!("training: {} steps in {:.0} s{score}{kept}", report.steps, report.seconds)
}

/// The observer asked to stop.
#[derive(Debug)]
struct Stopped;

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("stopped on request")
    }
}

impl std::error::Error for Stopped {}

/// Tells the observer; its wish to stop becomes the error [`Stopped`].
fn tell(observe: &mut Observer<'_>, progress: Progress) -> Result<()> {
    if observe(progress).is_break() { Err(Stopped.into()) } else { Ok(()) }
}

/// Tells the observer a fact.
fn note(observe: &mut Observer<'_>, text: impl Into<String>) -> Result<()> {
    tell(observe, Progress::Note(text.into()))
}
