//! A training run on the terminal: a progress bar where there is one, a line now and then where there is none.

use std::io::{self, IsTerminal as _};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use sbmoe_train::{StepReport, ValidationReport};

use super::super::console::{bar, note, warn};
use crate::interrupt::Interrupt;
use crate::training::{MEASURE, Progress};

/// Without a terminal, how far the work has come is said this often.
const BETWEEN_LINES: Duration = Duration::from_secs(30);

/// Shows what a run tells, and stops it on Ctrl-C.
#[derive(Debug)]
pub(in crate::cli) struct TrainingConsole {
    interrupt: Interrupt,
    bar: ProgressBar,
    is_terminal: bool,
    /// What is being done, since when, and how many units were done before.
    stage: String,
    began: Instant,
    before: u64,
    /// When a line was last written.
    written: Instant,
}

impl TrainingConsole {
    pub(in crate::cli) fn new(interrupt: Interrupt) -> Self {
        let now = Instant::now();
        let is_terminal = io::stderr().is_terminal();
        let bar = ProgressBar::hidden();
        Self { interrupt, bar, is_terminal, stage: String::new(), began: now, before: 0, written: now }
    }

    /// Shows one report; breaks when the user asked to stop.
    pub(in crate::cli) fn observe(&mut self, progress: Progress) -> ControlFlow<()> {
        match progress {
            Progress::Note(text) => self.bar.suspend(|| note(text)),
            Progress::Warning(text) => self.bar.suspend(|| warn(text)),
            Progress::Stage { name, total, done } => self.begin(name, total, done),
            Progress::Advanced(by) => {
                self.bar.inc(by);
                self.say_how_far("");
            }
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

    fn begin(&mut self, name: String, total: u64, done: u64) {
        self.finish();
        self.bar = bar(total, name.clone());
        self.bar.set_length(total);
        self.bar.set_position(done);
        self.bar.reset_eta();
        (self.stage, self.before) = (name, done);
        (self.began, self.written) = (Instant::now(), Instant::now());
    }

    fn step(&mut self, report: &StepReport) {
        let StepReport { step, epoch, loss, accuracy, .. } = report;
        let speed = report.tokens as f64 / report.seconds.max(1e-9);
        let distill = if report.distill == 0.0 {
            String::new()
        } else {
            format!(" distillation {:.3}", report.distill)
        };
        let numbers =
            format!("epoch {epoch} loss {loss:.3}{distill} accuracy {accuracy:.2} {speed:.0} tokens/s");
        self.bar.set_position(*step);
        self.say_how_far(&numbers);
        self.bar.set_message(numbers);
    }

    /// A line in place of a bar, where there is no terminal and it is time for one.
    fn say_how_far(&mut self, numbers: &str) {
        if self.is_terminal || self.written.elapsed() < BETWEEN_LINES {
            return;
        }
        let (done, total) = (self.bar.position(), self.bar.length().unwrap_or(0));
        let a_unit = self.began.elapsed().as_secs_f64() / done.saturating_sub(self.before).max(1) as f64;
        let left = a_unit * total.saturating_sub(done) as f64;
        let numbers = if numbers.is_empty() { String::new() } else { format!("{numbers}, ") };
        note(format!("{}: {done}/{total}, {numbers}{left:.0} s left", self.stage));
        self.written = Instant::now();
    }

    fn validated(&self, report: &ValidationReport) {
        let ValidationReport { epoch, step, loss, score, gain, best, .. } = report;
        let best = if *best { " (best so far)" } else { "" };
        let ([low, high], difference) = (gain.interval(), gain.difference);
        let text = format!(
            "epoch {epoch}, step {step}: validation loss {loss:.4}, {MEASURE} {score:.4}, {difference:+.4} [{low:+.4}, \
             {high:+.4}] against the encoder{best}"
        );
        self.bar.suspend(|| note(text));
    }
}
