//! `train.jsonl`, `validation.jsonl` and TensorBoard's files: what happened, step by step.
//!
//! A line is one write, made before the checkpoint that contains its step, so that a resumed run finds the lines of all
//! steps that it does not repeat; those that it repeats are cut off first. TensorBoard's file is made anew from the lines.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use fs_err::{File, OpenOptions};
use sbmoe_ir::atomic_file::write_bytes;
use sbmoe_train::{Position, StepReport, ValidationReport};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::run_folder::RunFolder;
use super::tensorboard::EventFile;

/// A line of `train.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct StepLine {
    /// From 1.
    step: u64,
    /// From 1.
    epoch: usize,
    /// Mean cross-entropy of the batch, in nats.
    loss: f64,
    /// The distillation loss before its weight; 0 without a teacher.
    #[serde(default)]
    distill: f64,
    /// Share of queries whose positive scored highest in the batch.
    accuracy: f64,
    /// The load-balance term before its weight: 1 is even, 0 means no gate.
    balance: f64,
    /// Before clipping.
    gradient_norm: f64,
    /// What the learning rates were multiplied by.
    rate: f64,
    /// Tokens of the batch's texts; with a frozen encoder, the tokens that the stored vectors were made of.
    tokens: usize,
    /// `tokens` by `seconds`; with a frozen encoder no token is read again, so it says how fast the block learns.
    tokens_per_s: f64,
    seconds: f64,
    /// Texts that each expert received; empty where none is preferred.
    routed: Vec<u32>,
    /// Seconds since 1970.
    time: f64,
}

/// A line of `validation.jsonl`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct ValidationLine {
    validation: bool,
    /// Epochs done.
    epoch: usize,
    /// Steps done; 0 for the encoder alone, and for what folds find together.
    step: u64,
    /// In-batch loss, in nats; none for the encoder alone and for folds.
    loss: Option<f64>,
    #[serde(rename = "nDCG@10")]
    score: f64,
    /// What it gains on the encoder as it came, and the 95 % interval of that; none for the encoder.
    #[serde(default)]
    gain: Option<f64>,
    #[serde(default)]
    interval: Option<[f64; 2]>,
    /// The mean over queries whose answer was trained on, and over the others, where there are such.
    #[serde(default)]
    seen: Option<f64>,
    #[serde(default)]
    unseen: Option<f64>,
    /// Whether no earlier validation scored as high.
    best: bool,
    /// Whether this is the encoder as it came, before training.
    encoder_alone: bool,
    /// Seconds since 1970.
    time: f64,
}

/// The open files.
#[derive(Debug)]
pub(super) struct Journal {
    steps: File,
    validations: File,
    events: EventFile,
    last_score: Option<f64>,
    best: Option<Best>,
}

/// The best validation so far, as its line says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Best {
    pub(super) epoch: usize,
    pub(super) seen: Option<f64>,
    pub(super) unseen: Option<f64>,
}

impl Journal {
    /// Opens the files of a run that goes on from `position`, or begins.
    pub(super) fn open(folder: &RunFolder, position: Option<&Position>) -> io::Result<Self> {
        let (last_step, last_epoch) =
            position.map_or((0, None), |position| (position.steps, Some(position.epoch)));
        let steps: Vec<StepLine> = cut(&folder.steps(), |line: &StepLine| line.step <= last_step)?;
        // What folds found was written before the first checkpoint, for epochs beyond it too.
        let validations: Vec<ValidationLine> = cut(&folder.validations(), |line: &ValidationLine| {
            last_epoch.is_some_and(|last| line.epoch <= last || line.step == 0)
        })?;
        let mut events = EventFile::replace(&folder.tensorboard(), now())?;
        steps.iter().try_for_each(|line| line.show(&mut events))?;
        validations.iter().try_for_each(|line| line.show(&mut events))?;
        let best = validations.iter().rfind(|line| line.best).map(ValidationLine::as_best);
        let last_score = validations.iter().rfind(|line| !line.encoder_alone).map(|line| line.score);
        let append = |path: &Path| OpenOptions::new().create(true).append(true).open(path);
        Ok(Self {
            steps: append(&folder.steps())?,
            validations: append(&folder.validations())?,
            events,
            last_score,
            best,
        })
    }

    /// The best validation, of this session or one before it.
    pub(super) fn best(&self) -> Option<Best> {
        self.best
    }

    /// What the last validation scored, of this session or one before it.
    pub(super) fn last_score(&self) -> Option<f64> {
        self.last_score
    }

    pub(super) fn step(&mut self, report: &StepReport) -> io::Result<()> {
        let line = StepLine {
            step: report.step,
            epoch: report.epoch,
            loss: report.loss,
            distill: report.distill,
            accuracy: report.accuracy,
            balance: report.balance,
            gradient_norm: report.gradient_norm,
            rate: report.rate_multiplier,
            tokens: report.tokens,
            tokens_per_s: report.tokens as f64 / report.seconds.max(1e-9),
            seconds: report.seconds,
            routed: report.routed.clone(),
            time: now(),
        };
        append(&mut self.steps, &line)?;
        line.show(&mut self.events)
    }

    /// Notes a validation; `seen` and `unseen` are its means over those queries, where both kinds are there.
    pub(super) fn validation(
        &mut self,
        report: &ValidationReport,
        (seen, unseen): (Option<f64>, Option<f64>),
    ) -> io::Result<()> {
        let &ValidationReport { epoch, step, loss, score, gain, best, .. } = report;
        let line = ValidationLine {
            validation: true,
            epoch,
            step,
            loss: loss.is_finite().then_some(loss),
            score,
            gain: Some(gain.difference),
            interval: Some(gain.interval()),
            seen,
            unseen,
            best,
            encoder_alone: false,
            time: now(),
        };
        if best {
            self.best = Some(line.as_best());
        }
        self.last_score = Some(score);
        self.put(line)
    }

    /// Notes what the encoder as it came scores, unless an earlier session did.
    pub(super) fn encoder_scored(&mut self, score: f64, is_resumed: bool) -> io::Result<()> {
        if is_resumed {
            return Ok(());
        }
        self.put(ValidationLine {
            validation: true,
            epoch: 0,
            step: 0,
            loss: None,
            score,
            gain: None,
            interval: None,
            seen: None,
            unseen: None,
            best: false,
            encoder_alone: true,
            time: now(),
        })
    }

    fn put(&mut self, line: ValidationLine) -> io::Result<()> {
        append(&mut self.validations, &line)?;
        line.show(&mut self.events)
    }
}

impl StepLine {
    fn show(&self, events: &mut EventFile) -> io::Result<()> {
        let mut values = vec![
            ("train/loss", self.loss),
            ("train/accuracy", self.accuracy),
            ("train/balance", self.balance),
            ("train/gradient_norm", self.gradient_norm),
            ("train/rate", self.rate),
            ("train/tokens_per_s", self.tokens_per_s),
        ];
        if self.distill != 0.0 {
            values.push(("train/distill", self.distill));
        }
        events.scalars(self.time, self.step, &values)
    }
}

impl ValidationLine {
    fn as_best(&self) -> Best {
        Best { epoch: self.epoch, seen: self.seen, unseen: self.unseen }
    }

    fn show(&self, events: &mut EventFile) -> io::Result<()> {
        let mut values = vec![("validation/nDCG@10", self.score)];
        values.extend(self.loss.map(|loss| ("validation/loss", loss)));
        events.scalars(self.time, self.step, &values)
    }
}

/// Seconds since 1970.
pub(super) fn now() -> f64 {
    // A clock before 1970 is no reason to stop a run.
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

fn append(file: &mut File, line: &impl Serialize) -> io::Result<()> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    file.write_all(&text)
}

/// Cuts a file back to the lines that `keep` names, up to the first torn one, and returns them.
fn cut<T: DeserializeOwned>(path: &Path, keep: impl Fn(&T) -> bool) -> io::Result<Vec<T>> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let (mut lines, mut text) = (Vec::new(), Vec::new());
    for line in BufReader::new(File::open(path)?).split(b'\n') {
        let line = line?;
        let Ok(parsed) = serde_json::from_slice::<T>(&line) else { break };
        if keep(&parsed) {
            lines.push(parsed);
            text.extend_from_slice(&line);
            text.push(b'\n');
        }
    }
    write_bytes(path, &text)?;
    Ok(lines)
}
