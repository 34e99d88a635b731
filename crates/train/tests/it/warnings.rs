//! What a run warns of: a gate that the loss does not reach, and a gate that sends everything to one expert; and that it
//! stays silent otherwise.

use std::ops::ControlFlow;

use sbmoe_kernels::{Cpu, Ops};
use sbmoe_model::architecture::Architecture;
use sbmoe_model::moe::{BlockConfig, Combine, TrainGate};
use sbmoe_train::{Checkpoint, Event, Outcome, Session, Stop, TrainConfig, Warning, train};

use crate::small;

/// The small model with another block.
fn architecture(change: impl FnOnce(BlockConfig) -> BlockConfig) -> Architecture {
    let small = small::architecture(TrainGate::Soft, 0.0);
    let block = small.block.expect("the small model has a block").config().clone();
    Architecture::new(small.config, small.pooling, Some(change(block)))
}

/// How a run went: each warning with the steps that were taken before it, and whether the gate moved.
struct Ran {
    warnings: Vec<(u64, Warning)>,
    gate_moved: bool,
}

/// Trains without weight decay, with `bias` as the gate's output bias if it is given; interrupted after step 1 and
/// resumed.
fn run(architecture: &Architecture, config: &TrainConfig, bias: Option<[f32; 3]>) -> Ran {
    let ops = Cpu::new(1);
    let folder = tempfile::tempdir().expect("a folder");
    let (inputs, examples) = small::examples();
    let config = TrainConfig { weight_decay: 0.0, ..config.clone() };
    let mut parameters = small::parameters(&ops, architecture);
    let gate = architecture.block.as_ref().expect("there is a block").gate_ids();
    if let Some(bias) = bias {
        let id = gate.iter().copied().find(|id| architecture.layout.get(*id).name == "gate.output.bias");
        *parameters.get_mut(id.expect("a gate has an output bias")) = ops.upload(&bias);
    }
    let session = Session {
        ops: &ops,
        architecture,
        inputs: &inputs,
        examples: &examples,
        near: None,
        validation: None,
        config: &config,
        checkpoint: Checkpoint::in_folder(folder.path()),
        identity: String::new(),
    };
    let (mut warnings, mut steps) = (Vec::new(), 0);
    let mut on_event = |event: Event| {
        match event {
            Event::Step(report) => steps = report.step,
            Event::Warning(warning) => warnings.push((steps, warning)),
            Event::Validated(_) | Event::Saved { .. } => (),
        }
        if steps == 1 { ControlFlow::Break(Stop::Save) } else { ControlFlow::Continue(()) }
    };
    let before = parameters.download(&ops);
    let outcome = train(&session, &mut parameters, false, &mut on_event).expect("the run stops");
    assert_eq!(outcome, Outcome::Interrupted { steps: 1 });
    let outcome = train(&session, &mut parameters, true, &mut on_event).expect("the run ends");
    assert!(matches!(outcome, Outcome::Finished { steps: 6, .. }), "{outcome:?}");
    let after = parameters.download(&ops);
    Ran { warnings, gate_moved: gate.iter().any(|id| before[id.index()] != after[id.index()]) }
}

#[test]
fn a_gate_that_the_loss_does_not_reach_is_told_once_before_the_first_step() {
    let check = |train_gate: TrainGate, combine: Combine, balance: f64, warned: bool| {
        let architecture =
            architecture(|block| BlockConfig { train_gate, combine, gate_noise: 1000.0, ..block });
        let ran = run(&architecture, &TrainConfig { balance, ..small::config() }, None);
        let expected = if warned { vec![(0, Warning::GateWithoutGradient)] } else { Vec::new() };
        assert_eq!(ran.warnings, expected, "{train_gate} with {combine} and balance {balance}");
        // The warning is true, and so is its absence.
        assert_eq!(ran.gate_moved, !warned, "{train_gate} with {combine} and balance {balance}");
    };
    check(TrainGate::NoisyTop1, Combine::NormalizeMixture, 0.0, true);
    check(TrainGate::NoisyTop1, Combine::NormalizeMixture, 0.1, false);
    check(TrainGate::NoisyTop1, Combine::NormalizeExperts, 0.0, false);
    check(TrainGate::NoisyTop1, Combine::Sum, 0.0, false);
    check(TrainGate::StraightThrough, Combine::NormalizeMixture, 0.0, false);
    check(TrainGate::Soft, Combine::NormalizeMixture, 0.0, false);
}

#[test]
fn a_single_expert_needs_no_gate_and_no_warning() {
    let architecture =
        architecture(|block| BlockConfig { experts: 1, train_gate: TrainGate::NoisyTop1, ..block });
    assert_eq!(run(&architecture, &small::config(), None).warnings, []);
}

#[test]
fn a_gate_that_sends_everything_to_one_expert_is_told_after_every_epoch() {
    let collapsed = |epoch: usize| {
        let warning = Warning::Collapsed { epoch, expert: 1, share: 1.0 };
        // Three steps an epoch.
        (3 * epoch as u64, warning)
    };
    for train_gate in [TrainGate::Soft, TrainGate::StraightThrough, TrainGate::NoisyTop1] {
        let architecture =
            architecture(|block| BlockConfig { train_gate, combine: Combine::NormalizeExperts, ..block });
        let ran = run(&architecture, &small::config(), Some([0.0, 50.0, 0.0]));
        assert_eq!(ran.warnings, [collapsed(1), collapsed(2)], "{train_gate}");
    }
}

#[test]
fn a_gate_that_divides_the_texts_and_one_that_draws_are_not_called_collapsed() {
    // The noise is far above the logits and the draws are even: neither follows the bias.
    for (train_gate, gate_noise) in
        [(TrainGate::StraightThrough, 1000.0), (TrainGate::Random, 0.0), (TrainGate::Uniform, 0.0)]
    {
        let architecture = architecture(|block| BlockConfig { train_gate, gate_noise, ..block });
        let ran = run(&architecture, &small::config(), Some([0.0, 50.0, 0.0]));
        assert_eq!(ran.warnings, [], "{train_gate}");
    }
}

#[test]
fn warnings_name_their_remedies() {
    let text = Warning::GateWithoutGradient.to_string();
    for remedy in ["`--train-gate soft`", "`straight-through`", "`--combine normalize-experts`"] {
        assert!(text.contains(remedy), "{text}");
    }
    let text = Warning::Collapsed { epoch: 3, expert: 1, share: 0.973 }.to_string();
    for fact in ["epoch 3", "97 %", "expert 1", "`--balance 0.01`", "`--gate-noise 1`"] {
        assert!(text.contains(fact), "{text}");
    }
}
