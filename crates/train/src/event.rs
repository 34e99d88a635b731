//! What a training run tells its caller while it runs.

use std::fmt;

use crate::Gain;

/// How a caller breaks a run off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// The state is saved, so that the run goes on after the step that was told last.
    Save,
    /// Nothing is saved: what was told last could not be recorded, and a run that goes on does it again.
    Abandon,
}

/// Something happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A step was taken.
    Step(StepReport),
    /// The validation queries were scored.
    Validated(ValidationReport),
    /// A checkpoint was written within an epoch, after `step` steps.
    Saved {
        /// Steps taken.
        step: u64,
    },
    /// Something the user should look at; the run goes on.
    Warning(Warning),
}

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub struct StepReport {
    /// Its number, from 1.
    pub step: u64,
    /// Steps of the whole run.
    pub steps: u64,
    /// Its epoch, from 1.
    pub epoch: usize,
    /// Mean cross-entropy of the batch, in nats.
    pub loss: f64,
    /// The distillation loss before its weight; 0 where nothing is distilled.
    pub distill: f64,
    /// The load-balance term before its weight; 1 is even, 0 means no gate.
    pub balance: f64,
    /// Share of the batch's queries whose positive scored highest.
    pub accuracy: f64,
    /// The gradient's norm over all trained parameters, before clipping.
    pub gradient_norm: f64,
    /// The schedule's multiplier of the learning rates.
    pub rate_multiplier: f64,
    /// Tokens of the batch's texts; where vectors are stored, the tokens that they were made of.
    pub tokens: usize,
    /// Seconds that the step took.
    pub seconds: f64,
    /// How many texts of the batch each expert received; empty where none is preferred.
    pub routed: Vec<u32>,
}

/// One validation.
#[derive(Debug, Clone, PartialEq)]
pub struct ValidationReport {
    /// Epochs done; 0 is before training.
    pub epoch: usize,
    /// Steps taken.
    pub step: u64,
    /// In-batch loss of the validation queries, in nats.
    pub loss: f64,
    /// The mean of the caller's scores, nDCG@10, over the queries that choose.
    pub score: f64,
    /// Against the encoder as it came, over the same queries.
    pub gain: Gain,
    /// Whether no earlier validation scored as high.
    pub best: bool,
    /// Each held-out query's score.
    pub values: Vec<f64>,
}

/// A likely mistake, with its remedy.
#[derive(Debug, Clone, PartialEq)]
pub enum Warning {
    /// The training mode gives the gate no gradient.
    GateWithoutGradient,
    /// Nearly all texts of an epoch went to one expert.
    Collapsed {
        /// The epoch, from 1.
        epoch: usize,
        /// The expert, from 0.
        expert: usize,
        /// Its share of the texts.
        share: f64,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GateWithoutGradient => f.write_str(
                "the gate gets no gradient from the loss in this mode (`noisy-top1` with `normalize-mixture`, as in the \
                 paper's code): only weight decay moves it; choose `--train-gate soft` or `straight-through`, or \
                 `--combine normalize-experts`, for a gate that learns",
            ),
            Self::Collapsed { epoch, expert, share } => write!(
                f,
                "in epoch {epoch}, {:.0} % of the texts went to expert {expert}: the gate collapsed; try `--balance \
                 0.01`, `--gate-noise 1` or fewer experts",
                100.0 * share
            ),
        }
    }
}
