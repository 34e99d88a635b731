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
mod held_out;
mod judgments;
mod pairs;
mod prepared;
mod provenance;
mod run_folder;
mod texts;

mod baseline;
mod encoder_pass;
mod inputs;
mod pooled_cache;
mod ranking;
mod teaching;
mod tokens;

mod crc32c;
mod journal;
mod tensorboard;

mod choice;
mod folds;
mod loop_run;

mod progress;
mod report;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result};
use sbmoe_train::{Batching, Event, Examples, Groups, Keep, Outcome, TrainConfig};

pub use config::{DistillBy, HoldOut, RunConfig, ValidationFrom};
pub use overrides::Overrides;
pub use prepared::unexpected_tensors;
pub use preset::Preset;
pub(crate) use progress::Downloads;
pub use progress::{Observer, Progress};
pub use ranking::MEASURE;
pub use report::{Kept, Part, TrainReport};
pub use run_folder::RunFolder;

use crate::folder_lock::FolderLock;
use baseline::Baseline;

use choice::Ended;
use examples::{anchored, examples, held_out};
use inputs::{encoder_vectors, inputs};
use journal::Journal;
use judgments::HeldOutFrom;
use loop_run::{Data, LoopRun};
use prepared::Prepared;
use progress::{Stopped, tell};
use teaching::taught;

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
    let mut report = TrainReport::begun(request);
    // What another process has begun is no run yet, and none of a stranger's: the lock is asked first.
    let _lock = FolderLock::inside(&request.out)?;
    match Prepared::new(request, observe).and_then(|prepared| work(prepared, &mut report, observe)) {
        Err(error) if !error.is::<Stopped>() => return Err(error),
        // The report says that the run is not finished.
        Ok(()) | Err(_) => {}
    }
    report.seconds = start.elapsed().as_secs_f64();
    Ok(report)
}

/// The run, from what is prepared to the saved model: vectors of the encoder as it came and what it scores; folds, where
/// they choose; the training; the choice.
fn work(mut run: Prepared, report: &mut TrainReport, observe: &mut Observer<'_>) -> Result<()> {
    run.collection.folder().clone_into(&mut report.data);
    report.steps = run.position.as_ref().map_or(0, |position| position.steps);
    let hidden = run.retriever.architecture.hidden();
    let anchored = anchored(&run.documents, run.config.seed);
    let first = run.queries.len() as u32;
    let anchors: Vec<(u32, u32)> =
        (first..).zip(&anchored).map(|(query, document)| (query, *document)).collect();
    let texts = (&run.queries, &run.documents.texts);
    let examples = examples(run.judgments.training.iter(), texts, anchors);
    let held_out = held_out(&run.judgments, &run.queries, &run.documents.texts, run.documents.ranked.clone());
    let steps = steps(&run, examples.queries.len());
    let config = run.config.train_config(run.by_cosine(), steps);
    let groups = Groups::new(&run.retriever.architecture, &config);
    for line in report::plan(&run, &examples, held_out.as_ref(), &groups) {
        tell(observe, Progress::Note(line))?;
    }
    if held_out.is_none() {
        let text = "nothing says whether this is better than the encoder; leave out `--validation 0`, and queries are held \
                    out";
        tell(observe, Progress::Warning(text.to_owned()))?;
    }
    let beginnings: Vec<String> =
        anchored.iter().map(|&place| run.documents.beginnings[place as usize].clone()).collect();
    let inputs = inputs(&run, &beginnings, observe)?;
    let near = config.batching == Batching::Near;
    let encoder = if near || held_out.is_some() {
        encoder_vectors(&run, &inputs, held_out.is_some(), observe)?
    } else {
        inputs::EncoderVectors::default()
    };
    let baseline = held_out.map(|held_out| Baseline::new(&run, held_out, &encoder)).transpose()?;
    let taught = taught(&mut run, &anchored, observe)?;
    let teacher = taught.of(run.judgments.training.iter(), (&run.queries, &run.documents.texts));
    let examples = Examples { teacher, ..examples };
    let encoder_queries = &encoder.queries;
    let data = Data { inputs: &inputs, examples: &examples, taught: &taught, encoder_queries, hidden };

    let mut journal = Journal::open(&run.folder, run.position.as_ref())?;
    if let Some(baseline) = &baseline {
        journal.encoder_scored(baseline.score, run.position.is_some())?;
        report.baseline = Some(baseline.score);
        tell(observe, Progress::Note(baseline.told()))?;
    }
    let from = run.judgments.held_out_from;
    let in_folds = baseline.as_ref().filter(|_| matches!(from, Some(HeldOutFrom::Folds(_))));
    let folds = in_folds
        .map(|baseline| folds::choose(&mut run, &data, baseline, &config, &mut journal, observe))
        .transpose()?;
    let stop_after = folds.as_ref().filter(|_| config.keep == Keep::Best).map(|folds| folds.epoch);
    let config = TrainConfig { stop_after, ..config };
    // The folds have judged already; what trains now is everything.
    let judging = baseline.as_ref().filter(|_| folds.is_none());
    let cpu = Arc::clone(&run.retriever.ops);
    let gate = run.config.gate();
    let validation = judging.map(|baseline| baseline.validation(gate, (&run.documents.texts, hidden, &cpu)));
    let main = LoopRun {
        name: "training".to_owned(),
        config: &config,
        validation,
        checkpoint: run.folder.checkpoint(),
        identity: &run.identity,
        resume: run.position.is_some(),
    };
    let outcome = main.train(&mut run.retriever, &data, observe, &mut |event| match event {
        Event::Step(step) => {
            (report.steps, report.loss) = (step.step, Some(step.loss));
            journal.step(step)
        }
        Event::Validated(validated) => {
            let groups = judging.map_or((None, None), |baseline| baseline.groups(&validated.values));
            journal.validation(validated, groups)
        }
        Event::Saved { .. } | Event::Warning(_) => Ok(()),
    })?;
    let ended = match outcome {
        Outcome::Interrupted { steps } => {
            report.steps = steps;
            return Ok(());
        }
        Outcome::Finished { best, gain, steps } => Ended { best, gain, steps, folds },
    };
    report.steps = ended.steps;
    choice::save(&mut run, &ended, (baseline.as_ref(), &data, &config), (&journal, &groups), report, observe)
        .context(
            "training is done, but its end cannot be computed; make room and run again with `--resume`",
        )?;
    // Only now: a run that is broken off while its end is computed has no model yet.
    report.finished = true;
    Ok(())
}

/// Steps of a whole training of so many queries, by which the rates move.
fn steps(run: &Prepared, n_queries: usize) -> u64 {
    (run.config.epochs() * n_queries.div_ceil(run.config.batch_size)) as u64
}
