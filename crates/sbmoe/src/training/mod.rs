//! Training a retriever on a collection: `sbmoe train` without its terminal.
//!
//! [`run`] takes a [`TrainRequest`] and leaves a folder ([`RunFolder`] says which files). What happens is told to an
//! observer as [`Progress`], which can break the run off; nothing is printed here.
//! Reading order: [`RunConfig`] (what can be said), `prepared` (every check before the long work), `inputs`, and then the
//! loop itself, which is the training library's.

mod config;
mod overrides;
mod preset;

mod examples;
#[cfg_attr(not(test), expect(dead_code, reason = "wired in by the next commit"))]
mod held_out;
mod judgments;
mod prepared;
mod provenance;
mod run_folder;
mod texts;

mod encoder_pass;
mod inputs;
mod pooled_cache;
mod ranking;
mod tokens;

mod crc32c;
mod journal;
mod tensorboard;

mod progress;
mod report;

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context as _, Result};
use sbmoe_model::retriever::Retriever;
use sbmoe_train::{
    Batches, Event, Groups, Inputs, Keep, Optimizer, Outcome, Session, TrainConfig, TrainError, Validation,
    train,
};

pub use config::{RunConfig, ValidationFrom};
pub use overrides::Overrides;
pub use prepared::unexpected_tensors;
pub use preset::Preset;
pub(crate) use progress::Downloads;
pub use progress::{Observer, Progress};
pub use ranking::MEASURE;
pub use report::TrainReport;
pub use run_folder::RunFolder;

use examples::HeldOut;
use inputs::{held_out_vectors, inputs};
use journal::Journal;
use prepared::Prepared;
use progress::{Stopped, tell};
use ranking::Ranker;

/// A run to do.
#[derive(Debug, Clone)]
pub struct TrainRequest {
    /// Every value.
    pub config: RunConfig,
    /// The run's folder.
    pub out: PathBuf,
    /// Goes on from the folder's checkpoint, if it has one.
    pub resume: bool,
    /// Replaces a run that the folder holds.
    pub overwrite: bool,
    /// Threads, 0 for one a core; results do not depend on it.
    pub threads: usize,
}

/// Trains, and saves the model.
///
/// # Errors
/// Anything wrong with values, data, model or folder, before the long work begins; a loss that is not finite, a file that
/// cannot be written. What the folder held before stays; a later run with `resume` goes on from its last checkpoint.
pub fn run(request: &TrainRequest, observe: &mut Observer<'_>) -> Result<TrainReport> {
    let start = Instant::now();
    let mut report = TrainReport {
        run: request.out.clone(),
        data: request.config.data.clone().unwrap_or_default(),
        model: None,
        other: None,
        finished: false,
        steps: 0,
        encoder_alone: None,
        best: None,
        best_step: None,
        last: None,
        loss: None,
        seconds: 0.0,
    };
    match Prepared::new(request, observe).and_then(|prepared| work(prepared, &mut report, observe)) {
        Err(error) if !error.is::<Stopped>() => return Err(error),
        // The report says that the run is not finished.
        Ok(()) | Err(_) => {}
    }
    report.seconds = start.elapsed().as_secs_f64();
    Ok(report)
}

fn work(mut run: Prepared, report: &mut TrainReport, observe: &mut Observer<'_>) -> Result<()> {
    report.steps = run.position.as_ref().map_or(0, |position| position.steps);
    let train_config = run.config.train_config();
    let examples = examples::examples(&run.judgments, &run.queries, &run.documents);
    let held_out = examples::held_out(&run.judgments, &run.queries, &run.documents, run.ranked.clone());
    let groups = Groups::new(&run.retriever.architecture, &train_config);
    for line in report::plan(&run, &examples, held_out.as_ref(), &groups) {
        tell(observe, Progress::Note(line))?;
    }
    let inputs = inputs(&run, observe)?;
    let mut journal = Journal::open(&run.folder, run.position.as_ref())?;
    report.last = journal.last_score();
    let cpu = run.retriever.ops.clone();
    let hidden = run.retriever.architecture.hidden();
    let documents = std::mem::take(&mut run.documents);
    let ranker = held_out.as_ref().map(|held_out| Ranker::new(held_out, &documents, hidden, cpu.pool()));
    if let (Some(held_out), Some(ranker)) = (&held_out, &ranker) {
        report.encoder_alone = Some(score_encoder(&run, &inputs, (held_out, ranker), &mut journal, observe)?);
    }

    let validation = held_out.as_ref().zip(ranker.as_ref()).map(|(held_out, ranker)| Validation {
        queries: held_out.queries.clone(),
        documents: held_out.documents.clone(),
        positives: held_out.positives.clone(),
        gate: run.config.gate(),
        score: Box::new(|queries, documents| ranker.score(queries, documents)),
    });
    let total = (train_config.epochs * Batches::new(&examples, &train_config).per_epoch()) as u64;
    tell(observe, Progress::Stage { name: "training".to_owned(), total, done: report.steps })?;
    let Retriever { ops, architecture, parameters, .. } = &mut run.retriever;
    let session = Session {
        ops: &**ops,
        architecture: &*architecture,
        inputs: &inputs,
        examples: &examples,
        validation,
        config: &train_config,
        checkpoint: run.folder.checkpoint(),
        identity: run.identity.clone(),
    };
    let mut failure = None;
    let outcome = train(&session, parameters, run.position.is_some(), &mut |event| {
        let written = match &event {
            Event::Step(step) => {
                (report.steps, report.loss) = (step.step, Some(step.loss));
                journal.step(step)
            }
            Event::Validated(validation) => {
                report.last = Some(validation.score);
                journal.validation(validation)
            }
            Event::Saved { .. } | Event::Warning(_) => Ok(()),
        };
        if let Err(error) = written {
            failure.get_or_insert(error);
        }
        if failure.is_some() || ranker.as_ref().is_some_and(Ranker::has_failed) {
            return ControlFlow::Break(());
        }
        observe(match event {
            Event::Step(step) => Progress::Step(step),
            Event::Validated(validation) => Progress::Validated(validation),
            Event::Saved { step } => Progress::Saved(step),
            Event::Warning(warning) => Progress::Warning(warning.to_string()),
        })
    });
    drop(session);
    if let Some(error) = failure {
        return Err(error)
            .context("the run's journal cannot be written; make room and go on with `--resume`");
    }
    if let Some(error) = ranker.as_ref().and_then(Ranker::failure) {
        return Err(error);
    }
    let outcome = match outcome {
        // The same steps would lead to the same loss.
        Err(error @ TrainError::NonFiniteLoss { .. }) => return Err(error.into()),
        other => other.context("training stopped; the last checkpoint stays, `--resume` goes on from it")?,
    };
    let _ = observe(Progress::StageDone);
    match outcome {
        Outcome::Interrupted { steps } => report.steps = steps,
        Outcome::Finished { best, steps } => {
            (report.steps, report.finished) = (steps, true);
            report.best = best.map(|(score, _)| score);
            report.best_step = best.map(|(_, step)| step);
            save(&mut run, &train_config, &groups, report)?;
        }
    }
    Ok(())
}

/// nDCG@10 with the encoder alone: what the training has to beat.
fn score_encoder(
    run: &Prepared,
    inputs: &Inputs,
    (held_out, ranker): (&HeldOut, &Ranker<'_>),
    journal: &mut Journal,
    observe: &mut Observer<'_>,
) -> Result<f64> {
    if let Some(score) = journal.encoder_alone() {
        return Ok(score);
    }
    let (queries, documents) = held_out_vectors(run, inputs, held_out, observe)?;
    let score = ranker.score(&queries, &documents);
    if let Some(error) = ranker.failure() {
        return Err(error);
    }
    journal.encoder_alone_scored(score)?;
    tell(observe, Progress::Note(format!("encoder alone: {MEASURE} {score:.4} on the validation queries")))?;
    Ok(score)
}

/// Saves the model, and beside it the state that was not chosen, where that is another.
fn save(run: &mut Prepared, config: &TrainConfig, groups: &Groups, report: &mut TrainReport) -> Result<()> {
    let (score, other_score) = match config.keep {
        // Without validation the last state is the only one, and nobody scored it.
        Keep::Best => (report.best, report.last),
        Keep::Last => (report.last, report.best),
    };
    let why = "training is done, but the model cannot be saved; make room and run again with `--resume`";
    run.retriever.save(&run.folder.model(), &report::card(run, score)).context(why)?;
    report.model = Some(run.folder.model());
    let other = run.folder.other(config.keep);
    if report.best_step.is_none_or(|best| best == report.steps) {
        if other.is_dir() {
            fs_err::remove_dir_all(other)?;
        }
        return Ok(());
    }
    let checkpoint = run.folder.checkpoint();
    let Retriever { ops, architecture, parameters, .. } = &mut run.retriever;
    let model = (&*architecture, groups);
    match config.keep {
        Keep::Best => {
            let mut optimizer = Optimizer::new(&**ops, architecture, groups);
            checkpoint.load(&**ops, model, &run.identity, parameters, &mut optimizer).context(why)?;
        }
        Keep::Last => checkpoint.load_best(&**ops, model, parameters).context(why)?,
    }
    run.retriever.save(&other, &report::card(run, other_score)).context(why)?;
    report.other = Some(other);
    Ok(())
}
