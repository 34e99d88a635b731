//! What a run tells its caller while it goes on, and how the caller breaks it off.

use std::fmt;
use std::ops::ControlFlow;

use anyhow::Result;
use sbmoe_train::{StepReport, ValidationReport};

use crate::hub::Transfer;

/// Something happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Progress {
    /// A fact about the run.
    Note(String),
    /// A likely mistake, with its remedy.
    Warning(String),
    /// Work of `total` units begins.
    Stage {
        /// What is done.
        name: String,
        /// Units in all.
        total: u64,
        /// Units done already.
        done: u64,
    },
    /// So many more units are done.
    Advanced(u64),
    /// The work that began is over.
    StageDone,
    /// A training step was taken: one unit of the stage.
    Step(StepReport),
    /// The validation queries were scored.
    Validated(ValidationReport),
    /// A checkpoint was written after so many steps.
    Saved(u64),
}

/// Is told what happens; breaking stops the run at the next place where nothing is lost.
pub type Observer<'a> = dyn FnMut(Progress) -> ControlFlow<()> + 'a;

/// The downloads of a model as stages of progress, one a file.
#[derive(Default)]
pub(crate) struct Downloads {
    file: String,
    done: u64,
}

impl Downloads {
    /// Tells the observer of one more piece.
    pub(crate) fn tell(&mut self, Transfer { file, done, total }: Transfer<'_>, observe: &mut Observer<'_>) {
        // What was downloaded so far stays, and a wish to stop is heard again when the model is there.
        let _ = if self.file == file {
            observe(Progress::Advanced(done.saturating_sub(self.done)))
        } else {
            file.clone_into(&mut self.file);
            observe(Progress::Stage { name: format!("downloading {file}"), total: total.unwrap_or(0), done })
        };
        self.done = done;
    }
}

/// The observer asked to stop before training began.
#[derive(Debug)]
pub(super) struct Stopped;

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("stopped before the first step")
    }
}

impl std::error::Error for Stopped {}

/// Tells the observer; its wish to stop becomes the error [`Stopped`].
pub(super) fn tell(observe: &mut Observer<'_>, progress: Progress) -> Result<()> {
    match observe(progress) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(Stopped.into()),
    }
}
