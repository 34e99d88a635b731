//! Early stopping: a run ends after so many validations in a row without a better score, and the best state becomes the
//! model.

use std::cell::Cell;
use std::ops::ControlFlow;
use std::path::Path;

use sbmoe_kernels::Cpu;
use sbmoe_model::moe::{Gate, TrainGate};
use sbmoe_train::{
    Checkpoint, Event, Gain, Keep, Outcome, Session, Stop, TrainConfig, TrainError, Validation,
    ValidationReport, train,
};

use crate::small;

/// Ten queries in batches of four.
const STEPS_PER_EPOCH: u64 = 3;

fn config(patience: usize) -> TrainConfig {
    TrainConfig { epochs: 6, patience, keep: Keep::Best, ..small::config() }
}

/// How a run went.
struct Ran {
    outcome: Outcome,
    validations: Vec<ValidationReport>,
    steps_taken: usize,
    parameters: Vec<Vec<f32>>,
}

/// Trains in `folder` under validations that score as told, one after the other, up to step `stop` if there is one.
fn run(folder: &Path, config: &TrainConfig, scores: &[f64], resume: bool, stop: Option<u64>) -> Ran {
    attempt(folder, config, scores, resume, stop).expect("the run ends")
}

/// As [`run`], where it may fail.
fn attempt(
    folder: &Path,
    config: &TrainConfig,
    scores: &[f64],
    resume: bool,
    stop: Option<u64>,
) -> Result<Ran, TrainError> {
    let ops = Cpu::new(1);
    let architecture = small::architecture(TrainGate::Soft, 0.0);
    let (inputs, examples) = small::examples();
    let mut parameters = small::parameters(&ops, &architecture);
    let asked = Cell::new(0);
    let validation = Validation {
        queries: vec![0, 1],
        documents: vec![0, 1, 2],
        positives: vec![0, 1],
        gate: Gate::All,
        baseline: vec![0.0; 2],
        chooses: vec![true; 2],
        score: Box::new(|_, _| {
            let place = asked.replace(asked.get() + 1);
            let score =
                scores.get(place).expect("no validation is asked for after the run should have stopped");
            Ok(vec![*score; 2])
        }),
    };
    let session = Session {
        ops: &ops,
        architecture: &architecture,
        inputs: &inputs,
        examples: &examples,
        near: None,
        validation: Some(validation),
        config,
        checkpoint: Checkpoint::in_folder(folder),
        identity: "a run under patience".to_owned(),
    };
    let (mut validations, mut steps_taken) = (Vec::new(), 0);
    let mut on_event = |event: Event| match event {
        Event::Step(report) => {
            steps_taken += 1;
            if Some(report.step) == stop { ControlFlow::Break(Stop::Save) } else { ControlFlow::Continue(()) }
        }
        Event::Validated(report) => {
            validations.push(report);
            ControlFlow::Continue(())
        }
        Event::Saved { .. } | Event::Warning(_) => ControlFlow::Continue(()),
    };
    let outcome = train(&session, &mut parameters, resume, &mut on_event)?;
    Ok(Ran { outcome, validations, steps_taken, parameters: parameters.download(&ops) })
}

#[test]
fn a_run_stops_after_as_many_validations_without_a_better_score_as_patience_allows() {
    let check = |patience: usize, scores: [f64; 6], epochs: u64, best: usize| {
        let folder = tempfile::tempdir().expect("a folder");
        let ran = run(folder.path(), &config(patience), &scores[..epochs as usize], false, None);
        let expected = Outcome::Finished {
            best: Some((scores[best - 1], best as u64 * STEPS_PER_EPOCH)),
            gain: Some(Gain::of(&[scores[best - 1]; 2], &[0.0; 2])),
            steps: epochs * STEPS_PER_EPOCH,
        };
        assert_eq!(ran.outcome, expected, "patience {patience}, {scores:?}");
        assert_eq!(ran.validations.len() as u64, epochs);
        let last_best = ran.validations.iter().rev().find(|report| report.best);
        assert_eq!(last_best.map(|report| report.epoch), Some(best));
    };
    check(2, [0.3, 0.5, 0.4, 0.45, 0.9, 0.9], 4, 2);
    check(1, [0.3, 0.5, 0.4, 0.9, 0.9, 0.9], 3, 2);
    // As good is not better.
    check(2, [0.5, 0.5, 0.5, 0.9, 0.9, 0.9], 3, 1);
    // A better score starts the count anew, and all epochs are done.
    check(2, [0.3, 0.2, 0.4, 0.3, 0.5, 0.4], 6, 5);
    // Better than the last is not better than the best.
    check(3, [0.9, 0.1, 0.2, 0.3, 0.95, 0.95], 4, 1);
    // Without patience a run goes to its end.
    check(0, [0.9, 0.1, 0.1, 0.1, 0.1, 0.1], 6, 1);
}

#[test]
fn a_run_that_stopped_early_keeps_its_best_state_or_its_last_as_told() {
    let scores = [0.3, 0.5, 0.4, 0.45];
    let ends_as = |keep: Keep, epochs: usize| {
        let [early, short] = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
        let stopped = run(early.path(), &TrainConfig { keep, ..config(2) }, &scores, false, None);
        let whole = TrainConfig { epochs, keep: Keep::Last, ..config(0) };
        let whole = run(short.path(), &whole, &scores[..epochs], false, None);
        assert_eq!(stopped.validations.len(), 4);
        assert!(stopped.parameters == whole.parameters, "{keep:?} is not the state after epoch {epochs}");
    };
    ends_as(Keep::Best, 2);
    ends_as(Keep::Last, 4);
}

#[test]
fn patience_is_counted_across_an_interruption() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = config(3);
    let first = run(folder.path(), &config, &[0.5, 0.4, 0.3], false, Some(10));
    assert_eq!(first.outcome, Outcome::Interrupted { steps: 10 });
    let rest = run(folder.path(), &config, &[0.45], true, None);
    assert_eq!(
        rest.outcome,
        Outcome::Finished { best: Some((0.5, 3)), gain: Some(Gain::of(&[0.5; 2], &[0.0; 2])), steps: 12 }
    );
    assert_eq!(rest.steps_taken, 2);
}

#[test]
fn a_run_that_is_out_of_patience_is_over_when_it_is_resumed() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = config(1);
    let stopped = run(folder.path(), &config, &[0.5, 0.4], false, None);
    let again = run(folder.path(), &config, &[], true, None);
    assert_eq!((again.outcome, again.steps_taken), (stopped.outcome, 0));
    assert!(again.parameters == stopped.parameters, "the best state is found again");
}

/// Two finite values whose sum is none.
#[test]
fn a_mean_that_is_not_finite_stops_the_run_where_it_arises() {
    let folder = tempfile::tempdir().expect("a folder");
    let error = attempt(folder.path(), &config(1), &[1e308], false, None).err().expect("no score to compare");
    let TrainError::Validation { step: STEPS_PER_EPOCH, source } = error else { panic!("{error}") };
    assert_eq!(source.to_string(), "the mean of 2 held-out queries is inf");
}
