//! Cross-validation for few queries: each fold is held out once, and what is best over all queries together is chosen.
//!
//! No fold's answers are trained on with it, since folds are made of whole components of queries that share positives.
//! `RUN/checkpoint/folds.json` holds what the folds that are done found; a run that goes on begins with the next one.

use std::path::Path;

use anyhow::Result;
use sbmoe_ir::atomic_file::write_bytes;
use sbmoe_train::{Checkpoint, Event, Gain, Outcome, TrainConfig, ValidationReport};
use serde::{Deserialize, Serialize};

use super::baseline::{Baseline, mean, validation};
use super::journal::Journal;
use super::judgments::HeldOutFrom;
use super::loop_run::{Data, LoopRun};
use super::prepared::Prepared;
use super::progress::{Observer, Progress, Stopped, tell};

/// The version of the file.
const FORMAT: u32 = 1;

/// What the folds chose.
#[derive(Debug, Clone)]
pub(super) struct Folds {
    /// The epoch that is best over all held-out queries, from 1.
    pub(super) epoch: usize,
    /// Its mean over the queries that choose.
    pub(super) score: f64,
    /// What it gains on the encoder as it came.
    pub(super) gain: Gain,
    /// Each held-out query's value at that epoch.
    pub(super) values: Vec<f64>,
}

/// `folds.json`.
#[derive(Debug, Serialize, Deserialize)]
struct Done {
    format: u32,
    /// The run's.
    identity: String,
    /// For each fold that is done and each epoch, the values of its held-out queries.
    values: Vec<Vec<Vec<f64>>>,
}

/// Runs the folds and chooses an epoch. The retriever ends as it began.
///
/// # Errors
/// A loop that fails, a file that cannot be written, or [`Stopped`].
pub(super) fn choose(
    run: &mut Prepared,
    data: &Data<'_>,
    baseline: &Baseline,
    config: &TrainConfig,
    journal: &mut Journal,
    observe: &mut Observer<'_>,
) -> Result<Folds> {
    let Some(HeldOutFrom::Folds(n_folds)) = run.judgments.held_out_from else {
        unreachable!("folds choose where queries were divided into folds")
    };
    let path = run.folder.folds();
    let mut done = Done::read(&path, &run.identity);
    let fold_of: Vec<Option<u8>> = baseline.everything.judged.iter().map(|query| query.fold).collect();
    // Every fold gives as many epochs, so that they can be compared: none stops early.
    let config = TrainConfig { patience: 0, keep: sbmoe_train::Keep::Last, ..config.clone() };
    for fold in done.values.len() as u8..n_folds {
        let values = run_fold(run, data, baseline, (fold, n_folds), &config, observe)?;
        done.values.push(values);
        if let Some(folder) = path.parent() {
            fs_err::create_dir_all(folder)?;
        }
        write_bytes(&path, &serde_json::to_vec(&done)?)?;
    }
    run.reset()?;
    let chosen = chosen(&done.values, &fold_of, baseline, config.epochs);
    if run.position.is_none() {
        for (epoch, (gain, values, score)) in (1..).zip(&chosen.epochs) {
            let best = epoch == chosen.best;
            let report = ValidationReport {
                epoch,
                step: 0,
                loss: f64::NAN,
                score: *score,
                gain: *gain,
                best,
                values: Vec::new(),
            };
            journal.validation(&report, baseline.groups(values))?;
        }
    }
    let (gain, values, score) = chosen.epochs.into_iter().nth(chosen.best - 1).expect("an epoch was chosen");
    let [low, high] = gain.interval();
    let text = format!(
        "{n_folds} folds: best after {} of {} epochs, {score:.4}, {:+.4} [{low:+.4}, {high:+.4}] against the encoder",
        chosen.best, config.epochs, gain.difference
    );
    tell(observe, Progress::Note(text))?;
    Ok(Folds { epoch: chosen.best, score, gain, values })
}

/// The epochs over all queries, and the best of them, from 1.
struct Chosen {
    epochs: Vec<(Gain, Vec<f64>, f64)>,
    best: usize,
}

fn chosen(done: &[Vec<Vec<f64>>], fold_of: &[Option<u8>], baseline: &Baseline, epochs: usize) -> Chosen {
    let of_epoch = |epoch: usize| {
        let mut next = vec![0; done.len()];
        let value = |fold: &Option<u8>| {
            let fold = usize::from(fold.unwrap_or_default());
            next[fold] += 1;
            done[fold][epoch][next[fold] - 1]
        };
        let values: Vec<f64> = fold_of.iter().map(value).collect();
        let score = mean(&values, |place| baseline.chooses[place]).unwrap_or_default();
        (baseline.gain(&values), values, score)
    };
    let epochs: Vec<_> = (0..epochs).map(of_epoch).collect();
    let mut best = 0;
    for (epoch, (_, _, score)) in epochs.iter().enumerate() {
        if *score > epochs[best].2 {
            best = epoch;
        }
    }
    Chosen { epochs, best: best + 1 }
}

/// Trains on the other folds and returns, for each epoch, the values of this one's queries.
fn run_fold(
    run: &mut Prepared,
    data: &Data<'_>,
    baseline: &Baseline,
    (fold, n_folds): (u8, u8),
    config: &TrainConfig,
    observe: &mut Observer<'_>,
) -> Result<Vec<Vec<f64>>> {
    run.reset()?;
    let training = run.judgments.training.iter().filter(|query| query.fold != Some(fold));
    let texts = (&run.queries, &run.documents.texts);
    let own = data.examples_of(training, texts);
    let judged = &baseline.held_out.judged;
    let held_out = baseline.held_out.only(|place| judged[place].fold == Some(fold));
    let of_fold = |place: &usize| judged[*place].fold == Some(fold);
    let places: Vec<usize> = (0..judged.len()).filter(of_fold).collect();
    let values = places.iter().map(|&place| baseline.values[place]).collect();
    // Which queries choose is decided over all folds together.
    let chooses = vec![true; places.len()];
    let cpu = std::sync::Arc::clone(&run.retriever.ops);
    let gate = run.config.gate();
    let documents = (&run.documents.texts, data.hidden, &*cpu);
    let folder = run.folder.side_checkpoint();
    let loop_run = LoopRun {
        name: format!("fold {} of {n_folds}", fold + 1),
        config,
        validation: Some(validation(&held_out, (values, chooses), gate, documents)),
        checkpoint: Checkpoint::in_folder(&folder),
        identity: &run.identity,
        resume: false,
    };
    let mut epochs = Vec::with_capacity(config.epochs);
    let data = Data { examples: &own, ..*data };
    let mut quiet = |progress| match progress {
        // An epoch of one fold says little; what all folds find together is told in the end.
        Progress::Validated(_) => observe(Progress::Advanced(0)),
        other => observe(other),
    };
    let outcome = loop_run.train(&mut run.retriever, &data, &mut quiet, &mut |event| {
        if let Event::Validated(report) = event {
            epochs.push(report.values.clone());
        }
        Ok(())
    })?;
    if folder.is_dir() {
        fs_err::remove_dir_all(&folder)?;
    }
    match outcome {
        Outcome::Interrupted { .. } => Err(Stopped.into()),
        Outcome::Finished { .. } => Ok(epochs),
    }
}

impl Done {
    /// What the file says of this run; nothing where there is none, or it is another run's.
    fn read(path: &Path, identity: &str) -> Self {
        let nothing = Self { format: FORMAT, identity: identity.to_owned(), values: Vec::new() };
        let read = fs_err::read(path).ok().and_then(|text| serde_json::from_slice::<Self>(&text).ok());
        read.filter(|done| (done.format, done.identity.as_str()) == (FORMAT, identity)).unwrap_or(nothing)
    }
}
