//! Pairs to model: the in-batch contrastive loss, distillation, the optimiser, the loop, its checkpoints.
//!
//! Read [`train()`] first: the loop is a page.
//! A training run sees ordinals and token ids or stored pooled vectors ([`Inputs`]), never ids, files of documents or a
//! terminal: what happens is told to the caller as [`Event`]s.

mod batches;
mod checkpoint;
mod config;
mod event;
mod gain;
mod gradients;
mod groups;
mod inputs;
mod near;
mod optimizer;
mod schedule;
mod step;
mod teacher;
mod train;
mod validation;

pub use batches::{Batch, Batches, Examples};
pub use checkpoint::{Checkpoint, CheckpointError, Position};
pub use config::{Batching, Distill, Keep, Schedule, TrainConfig};
pub use event::{Event, StepReport, Stop, ValidationReport, Warning};
pub use gain::Gain;
pub use gradients::{StepResult, gradients};
pub use groups::{Group, Groups};
pub use inputs::{Inputs, PooledTexts};
pub use optimizer::Optimizer;
pub use step::{StepError, step};
pub use teacher::Teacher;
pub use train::{Outcome, Session, TrainError, train};
pub use validation::{ScoreError, Validation};
