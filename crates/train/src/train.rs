//! The loop.

use std::ops::ControlFlow;
use std::time::Instant;

use sbmoe_kernels::{Key, Ops};
use sbmoe_model::architecture::Architecture;
use sbmoe_model::moe::TrainGate;
use sbmoe_model::parameters::Tensors;

use crate::batches::{Batches, Examples};
use crate::checkpoint::{Checkpoint, CheckpointError, Position};
use crate::config::{Batching, Keep, TrainConfig};
use crate::event::{Event, StepReport, Stop, ValidationReport, Warning};
use crate::gain::Gain;
use crate::groups::Groups;
use crate::inputs::Inputs;
use crate::optimizer::Optimizer;
use crate::step::{StepError, step};
use crate::teacher::Teacher;
use crate::validation::{ScoreError, Validated, Validation};

/// An expert that receives more than this share of an epoch's texts means that the gate collapsed.
const COLLAPSED: f64 = 0.95;

/// Everything that a run reads.
#[derive(Debug)]
pub struct Session<'a, O: Ops> {
    /// The device.
    pub ops: &'a O,
    /// What is trained.
    pub architecture: &'a Architecture,
    /// The texts.
    pub inputs: &'a Inputs,
    /// The judgments to learn from.
    pub examples: &'a Examples,
    /// For near batching, the encoder's vectors `[training queries, hidden]`, of length 1 for a model that is compared by
    /// cosine.
    pub near: Option<&'a [f32]>,
    /// The held-out queries, if any.
    pub validation: Option<Validation<'a>>,
    /// The numbers.
    pub config: &'a TrainConfig,
    /// Where the state is kept.
    pub checkpoint: Checkpoint,
    /// Hash of everything that shapes the run; a checkpoint with another one is refused.
    pub identity: String,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Outcome {
    /// All epochs are done, or patience ran out; the parameters are those that [`Keep`] asks for.
    Finished {
        /// The best validation score and the steps at which it was reached.
        best: Option<(f64, u64)>,
        /// What that state gains on the encoder as it came.
        gain: Option<Gain>,
        /// Steps taken.
        steps: u64,
    },
    /// The caller asked to stop; the state is saved, unless the caller abandoned the run.
    Interrupted {
        /// Steps taken.
        steps: u64,
    },
}

/// Why a run cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The state cannot be read or written.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// There is nothing to learn from.
    #[error("there are no training queries with a positive document; check the training judgments")]
    NoExamples,
    /// The held-out queries cannot be scored; the last checkpoint stands.
    #[error("the held-out queries cannot be scored after step {step}")]
    Validation {
        /// Steps taken.
        step: u64,
        /// Why.
        source: ScoreError,
    },
    /// Distillation without a teacher.
    #[error("there are no scores of a teacher to distil from; give some, or leave distillation out")]
    NoTeacher,
    /// A batch whose loss or gradient is not finite; the parameters are those of before.
    #[error(
        "{source} at step {step}: the rates are too high or the temperature too low; start again with `--overwrite` and a \
         lower `--lr` or `--encoder-lr` (block {learning_rate:e}), a higher `--temperature` or `--set clip=1`"
    )]
    NotFinite {
        /// The step, from 1.
        step: u64,
        /// The block's rate.
        learning_rate: f64,
        /// What is not finite.
        source: StepError,
    },
}

/// Trains `parameters`, from the saved state when `resume` is set and there is one.
///
/// `on_event` is told of every step and may break the run off after it, and of every validation, after which it may abandon
/// the run.
///
/// # Errors
/// No examples, a loss or a gradient that is not finite, a state that cannot be read or written.
pub fn train<O: Ops>(
    session: &Session<'_, O>,
    parameters: &mut Tensors<O::Buffer>,
    resume: bool,
    on_event: &mut dyn FnMut(Event) -> ControlFlow<Stop>,
) -> Result<Outcome, TrainError> {
    let Session { ops, architecture, config, checkpoint, .. } = session;
    if session.examples.queries.is_empty() {
        return Err(TrainError::NoExamples);
    }
    if config.distill.is_some() && matches!(session.examples.teacher, Teacher::None) {
        return Err(TrainError::NoTeacher);
    }
    let groups = Groups::new(architecture, config);
    let model = (*architecture, &groups);
    let mut optimizer = Optimizer::new(*ops, architecture, &groups);
    let mut position = Position::start(&session.identity);
    if resume && checkpoint.exists() {
        position = checkpoint.load(*ops, model, &session.identity, parameters, &mut optimizer)?;
    } else {
        checkpoint.clear()?;
        for warning in warnings_at_start(architecture, config) {
            let _ = on_event(Event::Warning(warning));
        }
    }
    let batches = Batches::new(session.examples, config);
    let steps = (config.epochs * batches.per_epoch()) as u64;
    let steps_key = Key::new(config.seed).purpose("steps");
    let mut own = Tensors::zeros_where(*ops, &architecture.layout, |id| groups.trains(id));
    let mut last_saved = Instant::now();

    while position.epoch < config.epochs && !position.finished {
        let epoch = match session.near {
            Some(vectors) if config.batching == Batching::Near => {
                batches.near_epoch(*ops, vectors, architecture.hidden(), position.epoch)
            }
            _ => batches.epoch(position.epoch),
        };
        let n_batches = epoch.len();
        for mut batch in epoch.into_iter().skip(position.step_in_epoch) {
            let start = Instant::now();
            batches.teach(*ops, &mut batch);
            let key = steps_key.with(position.steps);
            let rate_multiplier = config.rate_multiplier(position.steps, steps);
            let (result, gradient_norm) = step(
                *ops,
                architecture,
                (&groups, config),
                (session.inputs, &batch),
                (key, rate_multiplier),
                &mut own,
                &mut optimizer,
                parameters,
            );
            let gradient_norm = gradient_norm.map_err(|source| TrainError::NotFinite {
                step: position.steps + 1,
                learning_rate: config.learning_rate,
                source,
            })?;
            position.steps += 1;
            position.step_in_epoch += 1;
            let routed = count(&result.routed, architecture, &mut position.routed);
            let report = StepReport {
                step: position.steps,
                steps,
                epoch: position.epoch + 1,
                loss: result.loss,
                distill: result.distill,
                balance: result.balance,
                accuracy: result.correct as f64 / batch.queries.len() as f64,
                gradient_norm,
                rate_multiplier,
                tokens: result.tokens,
                seconds: start.elapsed().as_secs_f64(),
                routed,
            };
            if let ControlFlow::Break(stop) = on_event(Event::Step(report)) {
                if stop == Stop::Save {
                    checkpoint.save(*ops, model, parameters, &optimizer, &position)?;
                }
                return Ok(Outcome::Interrupted { steps: position.steps });
            }
            let epoch_goes_on = position.step_in_epoch < n_batches;
            if epoch_goes_on && last_saved.elapsed().as_secs_f64() > config.checkpoint_seconds {
                checkpoint.save(*ops, model, parameters, &optimizer, &position)?;
                let _ = on_event(Event::Saved { step: position.steps });
                last_saved = Instant::now();
            }
        }
        if end_epoch(session, &groups, parameters, &mut position, on_event)?.is_break() {
            return Ok(Outcome::Interrupted { steps: position.steps });
        }
        if config.checkpoint_seconds == 0.0 || position.finished || last_saved.elapsed().as_secs_f64() > 1.0 {
            checkpoint.save(*ops, model, parameters, &optimizer, &position)?;
            last_saved = Instant::now();
        }
    }
    if config.keep == Keep::Best && position.best.is_some() {
        checkpoint.load_best(*ops, model, parameters)?;
    }
    Ok(Outcome::Finished { best: position.best, gain: position.best_gain, steps: position.steps })
}

/// Looks at how the epoch's texts were routed, validates, and moves on to the next epoch; breaks where the caller abandons the
/// run.
fn end_epoch<O: Ops>(
    session: &Session<'_, O>,
    groups: &Groups,
    parameters: &Tensors<O::Buffer>,
    position: &mut Position,
    on_event: &mut dyn FnMut(Event) -> ControlFlow<Stop>,
) -> Result<ControlFlow<()>, TrainError> {
    let Session { ops, architecture, config, .. } = session;
    position.epoch += 1;
    position.step_in_epoch = 0;
    if let Some(warning) = collapse(position, architecture) {
        let _ = on_event(Event::Warning(warning));
    }
    position.routed.clear();
    if let Some(validation) = &session.validation {
        let step = position.steps;
        let Validated { loss, score, gain, values } = validation
            .run(*ops, architecture, parameters, session.inputs, config)
            .map_err(|source| TrainError::Validation { step, source })?;
        let best = position.best.is_none_or(|(best, _)| score > best);
        if best {
            (position.best, position.best_gain) = (Some((score, step)), Some(gain));
            session.checkpoint.save_best(*ops, (architecture, groups), parameters)?;
        }
        position.worse = if best { 0 } else { position.worse + 1 };
        let epoch = position.epoch;
        let report = ValidationReport { epoch, step, loss, score, gain, best, values };
        if on_event(Event::Validated(report)) == ControlFlow::Break(Stop::Abandon) {
            return Ok(ControlFlow::Break(()));
        }
    }
    let out_of_patience = config.patience > 0 && position.worse >= config.patience;
    let last = config.stop_after.map_or(config.epochs, |epochs| epochs.min(config.epochs));
    position.finished = out_of_patience || position.epoch >= last;
    Ok(ControlFlow::Continue(()))
}

fn warnings_at_start(architecture: &Architecture, config: &TrainConfig) -> Vec<Warning> {
    if config.balance != 0.0 {
        return Vec::new();
    }
    let silent = architecture.block.as_ref().is_some_and(|block| {
        let config = block.config();
        config.train_gate == TrainGate::NoisyTop1 && config.experts > 1 && !block.gate_learns()
    });
    if silent { vec![Warning::GateWithoutGradient] } else { Vec::new() }
}

/// Counts a batch's routed texts by expert and adds them to the epoch's.
fn count(routed: &[u32], architecture: &Architecture, epoch: &mut Vec<u64>) -> Vec<u32> {
    let Some(block) = architecture.block.as_ref().filter(|_| !routed.is_empty()) else { return Vec::new() };
    let mut counts = vec![0; block.config().experts];
    for &expert in routed {
        counts[expert as usize] += 1;
    }
    epoch.resize(counts.len(), 0);
    for (sum, &own) in epoch.iter_mut().zip(&counts) {
        *sum += u64::from(own);
    }
    counts
}

fn collapse(position: &Position, architecture: &Architecture) -> Option<Warning> {
    let block = architecture.block.as_ref().filter(|block| block.config().experts > 1)?;
    if block.config().train_gate == TrainGate::Random {
        return None;
    }
    let total: u64 = position.routed.iter().sum();
    let (expert, most) = position.routed.iter().enumerate().max_by_key(|(_, count)| **count)?;
    let share = *most as f64 / total as f64;
    (share > COLLAPSED).then_some(Warning::Collapsed { epoch: position.epoch, expert, share })
}
