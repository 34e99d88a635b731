//! A run that was stopped goes on to the same bytes; a run of other settings is refused.

use std::ops::ControlFlow;
use std::path::Path;

use sbmoe_kernels::{Cpu, Key};
use sbmoe_model::moe::{Gate, TrainGate};
use sbmoe_train::{
    Checkpoint, Event, Gain, Groups, Keep, Optimizer, Outcome, Position, Session, StepError, Stop,
    TrainConfig, TrainError, Validation, train,
};

use crate::small;

/// Trains in `folder`, stopping after `stop` steps when told to; returns the outcome and the parameters' bytes.
fn run(
    folder: &Path,
    config: &TrainConfig,
    threads: usize,
    resume: bool,
    stop: Option<(u64, Stop)>,
) -> Result<(Outcome, Vec<Vec<f32>>), TrainError> {
    run_as(&format!("{config:?}"), folder, config, threads, resume, stop)
}

/// As [`run`], under any name.
fn run_as(
    identity: &str,
    folder: &Path,
    config: &TrainConfig,
    threads: usize,
    resume: bool,
    stop: Option<(u64, Stop)>,
) -> Result<(Outcome, Vec<Vec<f32>>), TrainError> {
    let ops = Cpu::new(threads);
    let architecture = small::architecture(TrainGate::Soft, 0.5);
    let (inputs, examples) = small::examples();
    let mut parameters = small::parameters(&ops, &architecture);
    let validation = Validation {
        queries: vec![0, 1, 2],
        documents: (0..12).collect(),
        positives: vec![0, 1, 2],
        gate: Gate::All,
        baseline: vec![0.0; 3],
        chooses: vec![true; 3],
        score: Box::new(|queries, documents| Ok(vec![f64::from(queries[0] * documents[0]); 3])),
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
        identity: identity.to_owned(),
    };
    let mut on_event = |event: Event| match event {
        Event::Step(report) if stop.is_some_and(|(step, _)| step == report.step) => {
            stop.map_or(ControlFlow::Continue(()), |(_, how)| ControlFlow::Break(how))
        }
        _ => ControlFlow::Continue(()),
    };
    let outcome = train(&session, &mut parameters, resume, &mut on_event)?;
    Ok((outcome, parameters.download(&ops)))
}

#[test]
fn a_run_stopped_at_any_step_ends_with_the_bytes_of_an_uninterrupted_one() {
    for keep in [Keep::Last, Keep::Best] {
        let config = TrainConfig { dropout: true, keep, ..small::config() };
        let whole = tempfile::tempdir().expect("a folder");
        let (outcome, expected) = run(whole.path(), &config, 2, false, None).expect("the run ends");
        assert!(matches!(outcome, Outcome::Finished { steps: 6, .. }), "{outcome:?}");
        for stop in 1..6 {
            let folder = tempfile::tempdir().expect("a folder");
            let (outcome, _) =
                run(folder.path(), &config, 1, false, Some((stop, Stop::Save))).expect("the run stops");
            assert_eq!(outcome, Outcome::Interrupted { steps: stop });
            let (_, actual) = run(folder.path(), &config, 2, true, None).expect("the run goes on");
            assert_eq!(actual, expected, "stopped after step {stop}");
        }
    }
}

#[test]
fn a_step_that_could_not_be_recorded_is_taken_again() {
    let config = TrainConfig { checkpoint_seconds: 0.0, ..small::config() };
    let whole = tempfile::tempdir().expect("a folder");
    let (_, expected) = run(whole.path(), &config, 1, false, None).expect("the run ends");
    let folder = tempfile::tempdir().expect("a folder");
    run(folder.path(), &config, 1, false, Some((3, Stop::Abandon))).expect("the run stops");
    let position = Checkpoint::in_folder(folder.path()).position().expect("a checkpoint");
    assert_eq!(position.steps, 2, "the state is that of the last step that was recorded");
    let (_, actual) = run(folder.path(), &config, 1, true, None).expect("the run goes on");
    assert_eq!(actual, expected);
}

#[test]
fn the_number_of_threads_changes_no_byte() {
    let config = TrainConfig { dropout: true, ..small::config() };
    let bytes = |threads| run(tempfile::tempdir().expect("a folder").path(), &config, threads, false, None);
    assert_eq!(bytes(1).expect("the run ends").1, bytes(2).expect("the run ends").1);
}

#[test]
fn a_checkpoint_of_other_settings_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    run(folder.path(), &small::config(), 1, false, Some((2, Stop::Save))).expect("the run stops");
    let other = TrainConfig { temperature: 0.5, ..small::config() };
    let error = run(folder.path(), &other, 1, true, None).expect_err("other settings");
    assert!(error.to_string().contains("other settings"), "{error}");
}

#[test]
fn a_loss_that_is_not_finite_stops_the_run_and_names_the_remedy() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = TrainConfig { learning_rate: 1e30, encoder_learning_rate: 1e30, ..small::config() };
    let error = run(folder.path(), &config, 1, false, None).expect_err("the rates are absurd");
    assert!(matches!(error, TrainError::NotFinite { .. }), "{error}");
    assert!(error.to_string().contains("--lr"), "{error}");
}

/// The load-balance term is no part of the loss, and its gradient is infinite at such a weight.
#[test]
fn a_gradient_that_is_not_finite_stops_the_run_and_the_last_state_stays() {
    let sound = small::config();
    let whole = tempfile::tempdir().expect("a folder");
    let (_, expected) = run_as("same", whole.path(), &sound, 1, false, None).expect("the run ends");
    for clip in [0.0, 1.0] {
        let folder = tempfile::tempdir().expect("a folder");
        run_as("same", folder.path(), &sound, 1, false, Some((2, Stop::Save))).expect("the run stops");
        let overflowing = TrainConfig { balance: 1e39, clip, ..sound.clone() };
        let error = run_as("same", folder.path(), &overflowing, 1, true, None).expect_err("no step is taken");
        let TrainError::NotFinite { step: 3, source: StepError::Gradient { norm }, .. } = error else {
            panic!("{error}")
        };
        assert!(!norm.is_finite(), "{norm}");
        for fact in ["step 3", "gradient's norm is", "--lr", "clip=1"] {
            assert!(error.to_string().contains(fact), "{error}");
        }
        let (_, actual) = run_as("same", folder.path(), &sound, 1, true, None).expect("the run goes on");
        assert_eq!(actual, expected);
    }
}

#[test]
fn what_a_killed_run_was_writing_is_removed_by_the_next() {
    for resume in [true, false] {
        let folder = tempfile::tempdir().expect("a folder");
        run(folder.path(), &small::config(), 1, false, Some((2, Stop::Save))).expect("the run stops");
        for name in ["state.safetensors.partial", ".best.safetensors.partial", "other.partial"] {
            fs_err::write(folder.path().join(name), "half").expect("a file");
        }
        run(folder.path(), &small::config(), 1, resume, Some((3, Stop::Save))).expect("the run stops");
        let mut left: Vec<_> = fs_err::read_dir(folder.path())
            .expect("the folder is there")
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
            .collect();
        left.sort();
        left.retain(|name| name.ends_with(".partial"));
        assert_eq!(left, ["other.partial"]);
    }
}

/// Whole states, numbers of any finite bits in them.
#[test]
fn every_number_of_a_state_comes_back_to_the_bit() {
    let ops = Cpu::new(1);
    let architecture = small::architecture(TrainGate::Soft, 0.5);
    let groups = Groups::new(&architecture, &small::config());
    let mut place = 0;
    let mut draw = || {
        place += 1;
        Key::new(5).with(place).below(usize::MAX) as u64
    };
    let folder = tempfile::tempdir().expect("a folder");
    let checkpoint = Checkpoint::in_folder(folder.path());
    for round in 0..300 {
        let mut finite = || loop {
            let number = f64::from_bits(draw());
            if number.is_finite() {
                return number;
            }
        };
        let [score, difference, standard_error] = if round == 0 {
            [-0.0, f64::MIN_POSITIVE / 2.0, f64::MAX]
        } else {
            [finite(), finite(), finite()]
        };
        let mut position = Position::start("same");
        position.best = Some((score, u64::MAX));
        position.best_gain = Some(Gain { difference, standard_error });
        // Every file holds all parameters: a few of them show what many would.
        let mut parameters = small::parameters(&ops, &architecture);
        for (buffer, bits) in parameters.buffers_mut().zip(std::iter::repeat_with(&mut draw)) {
            let number = f32::from_bits(bits as u32);
            buffer[0] = if number.is_finite() { number } else { -0.0 };
        }
        let expected = parameters.download(&ops);
        let mut optimizer = Optimizer::new(&ops, &architecture, &groups);
        checkpoint
            .save(&ops, (&architecture, &groups), &parameters, &optimizer, &position)
            .expect("the state is written");
        let mut parameters = small::parameters(&ops, &architecture);
        let read = checkpoint
            .load(&ops, (&architecture, &groups), "same", &mut parameters, &mut optimizer)
            .expect("the state is read");
        let bits = |position: &Position| {
            let (best, gain) = (position.best.expect("a score"), position.best_gain.expect("a gain"));
            [best.0, gain.difference, gain.standard_error].map(f64::to_bits)
        };
        assert_eq!((bits(&read), read.best.map(|best| best.1)), (bits(&position), Some(u64::MAX)));
        let found = parameters.download(&ops);
        for id in architecture.layout.ids().filter(|id| groups.trains(*id)) {
            let [found, expected] = [&found, &expected].map(|all| all[id.index()][0].to_bits());
            assert_eq!(found, expected, "{}", architecture.layout.get(id).name);
        }
    }
}
