//! A training run on the terminal: a progress bar where there is one, a line now and then where there is none.

use std::io::{self, IsTerminal as _};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use sbmoe_train::{StepReport, ValidationReport};

use super::super::console::{bar, note, warn};
use crate::interrupt::Interrupt;
use crate::training::{MEASURE, Progress};

/// Without a terminal, steps are reported this often.
const BETWEEN_LINES: Duration = Duration::from_secs(30);

/// Shows what a run tells, and stops it on Ctrl-C.
#[derive(Debug)]
pub(in crate::cli) struct TrainingConsole {
    interrupt: Interrupt,
    bar: ProgressBar,
    is_terminal: bool,
    /// When the stage began, when a line was last written, and the step at which the stage began.
    began: Instant,
    written: Instant,
    first_step: u64,
}

impl TrainingConsole {
    pub(in crate::cli) fn new(interrupt: Interrupt) -> Self {
        let now = Instant::now();
        let is_terminal = io::stderr().is_terminal();
        Self { interrupt, bar: ProgressBar::hidden(), is_terminal, began: now, written: now, first_step: 0 }
    }

    /// Shows one report; breaks when the user asked to stop.
    pub(in crate::cli) fn observe(&mut self, progress: Progress) -> ControlFlow<()> {
        match progress {
            Progress::Note(text) => self.bar.suspend(|| note(text)),
            Progress::Warning(text) => self.bar.suspend(|| warn(text)),
            Progress::Stage { name, total, done } => self.begin(name, total, done),
            Progress::Advanced(by) => self.bar.inc(by),
            Progress::StageDone => self.finish(),
            Progress::Step(step) => self.step(&step),
            Progress::Validated(validation) => self.validated(&validation),
            Progress::Saved(_) => {}
        }
        if self.interrupt.is_asked() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// Clears the bar.
    pub(in crate::cli) fn finish(&mut self) {
        self.bar.finish_and_clear();
        self.bar = ProgressBar::hidden();
    }

    fn begin(&mut self, name: &'static str, total: u64, done: u64) {
        self.finish();
        self.bar = bar(total, name);
        self.bar.set_position(done);
        self.bar.reset_eta();
        (self.began, self.written, self.first_step) = (Instant::now(), Instant::now(), done);
    }

    fn step(&mut self, report: &StepReport) {
        let StepReport { step, steps, epoch, loss, accuracy, .. } = report;
        let speed = report.tokens as f64 / report.seconds.max(1e-9);
        let numbers = format!("epoch {epoch} loss {loss:.3} accuracy {accuracy:.2} {speed:.0} tokens/s");
        self.bar.set_position(*step);
        if !self.is_terminal && self.written.elapsed() >= BETWEEN_LINES {
            let a_step = self.began.elapsed() / (step - self.first_step).max(1) as u32;
            let left = a_step * (steps - step) as u32;
            note(format!("step {step}/{steps} {numbers}, {} s left", left.as_secs()));
            self.written = Instant::now();
        }
        self.bar.set_message(numbers);
    }

    fn validated(&self, report: &ValidationReport) {
        let ValidationReport { epoch, step, loss, score, best } = report;
        let best = if *best { " (best so far)" } else { "" };
        let text = format!("epoch {epoch}, step {step}: validation loss {loss:.4}, {MEASURE} {score:.4}{best}");
        self.bar.suspend(|| note(text));
    }
}
