//! A training checkpoint of an older version still opens: every number of it is found, and a run goes on from it.
//!
//! `tests/samples/README.md` says how the sample was made. What a run computes may change in its last digits from one
//! version to the next; what a file holds may not, so that is what is compared.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use sbmoe_kernels::{Cpu, Ops, Pooling};
use sbmoe_model::architecture::Architecture;
use sbmoe_model::folder::BertConfig;
use sbmoe_model::moe::{BlockConfig, Combine, Gate, TrainGate};
use sbmoe_model::parameters::Tensors;
use sbmoe_train::{
    Checkpoint, Event, Examples, Gain, Groups, Inputs, Keep, Optimizer, Outcome, Session, Teacher,
    TrainConfig, Validation, train,
};
use serde_json::json;

use crate::small;

const IDENTITY: &str = "the run of the sample of version 1";

/// What the sample's two validations scored; the first is the best.
const SCORES: [f64; 2] = [0.75, 0.5];

fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples/checkpoint-version-1")
}

fn architecture() -> Architecture {
    architecture_of(4)
}

/// The sample's architecture, or one whose experts have another width.
fn architecture_of(expert_width: usize) -> Architecture {
    let bert: BertConfig = serde_json::from_value(json!({
        "vocab_size": 12, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
        "intermediate_size": 6, "max_position_embeddings": 8,
    }))
    .expect("a BERT configuration");
    let block = BlockConfig {
        hidden: 8,
        experts: 2,
        expert_width,
        gate: Gate::All,
        train_gate: TrainGate::Soft,
        combine: Combine::NormalizeMixture,
        gate_noise: 0.5,
        seed: 1,
        ..BlockConfig::new(1, 1)
    };
    Architecture::new(bert, Pooling::Mean, Some(block))
}

/// Three epochs of two steps; the sample was taken after step 5.
fn config() -> TrainConfig {
    TrainConfig { epochs: 3, batch_size: 2, keep: Keep::Best, ..small::config() }
}

fn examples() -> (Inputs, Examples) {
    let queries = vec![vec![1, 2, 3], vec![4, 5], vec![6, 7, 8], vec![9, 10, 11]];
    let documents = vec![vec![3, 2, 1], vec![5, 4, 4], vec![8, 7], vec![11, 10, 9, 1]];
    let examples = Examples {
        queries: (0..4).collect(),
        positives: (0..4).map(|i| vec![i]).collect(),
        negatives: vec![Vec::new(); 4],
        anchors: Vec::new(),
        teacher: Teacher::None,
    };
    (Inputs::Tokens { queries, documents }, examples)
}

/// Goes on in `folder` with a validation that scores `score`.
fn resume(folder: &Path, score: f64) -> (Outcome, Vec<u64>, Vec<Vec<f32>>) {
    let (ops, architecture, config) = (Cpu::new(1), architecture(), config());
    let (inputs, examples) = examples();
    let mut parameters = small::parameters(&ops, &architecture);
    let validation = Validation {
        queries: vec![0],
        documents: vec![0, 1],
        positives: vec![0],
        gate: Gate::All,
        baseline: vec![0.0; 1],
        chooses: vec![true; 1],
        score: Box::new(move |_, _| Ok(vec![score])),
    };
    let session = Session {
        ops: &ops,
        architecture: &architecture,
        inputs: &inputs,
        examples: &examples,
        near: None,
        validation: Some(validation),
        config: &config,
        checkpoint: Checkpoint::in_folder(folder),
        identity: IDENTITY.to_owned(),
    };
    let mut steps = Vec::new();
    let mut on_event = |event: Event| {
        if let Event::Step(report) = event {
            assert!(report.loss.is_finite());
            steps.push(report.step);
        }
        ControlFlow::Continue(())
    };
    let outcome = train(&session, &mut parameters, true, &mut on_event).expect("the run goes on");
    (outcome, steps, parameters.download(&ops))
}

/// A file's tensors as they are named there, read without the code under test.
fn stored(file: &str, name: &str) -> Vec<f32> {
    let bytes = fs_err::read(sample().join(file)).expect("the sample is in the repository");
    let file = SafeTensors::deserialize(&bytes).expect("a safetensors file");
    let view = file.tensor(name).unwrap_or_else(|error| panic!("`{name}`: {error}"));
    let number = |bytes: &[u8]| f32::from_le_bytes(bytes.try_into().expect("4 bytes"));
    view.data().chunks_exact(4).map(number).collect()
}

fn copy() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for file in ["state.safetensors", "best.safetensors"] {
        fs_err::copy(sample().join(file), folder.path().join(file)).expect("the sample is in the repository");
    }
    folder
}

#[test]
fn a_checkpoint_of_version_1_says_where_its_run_stands() {
    let position = Checkpoint::in_folder(&sample()).position().expect("version 1 is read");
    assert_eq!(position.identity, IDENTITY);
    assert_eq!((position.epoch, position.step_in_epoch, position.steps), (2, 1, 5));
    assert_eq!((position.best, position.worse, position.finished), (Some((SCORES[0], 2)), 1, false));
    assert_eq!(position.routed.iter().sum::<u64>(), 4, "two queries and two documents in this epoch");
}

#[test]
fn every_number_of_a_checkpoint_of_version_1_is_found() {
    let (ops, architecture) = (Cpu::new(1), architecture());
    let groups = Groups::new(&architecture, &config());
    let mut parameters = Tensors::zeros(&ops, &architecture.layout);
    let mut optimizer = Optimizer::new(&ops, &architecture, &groups);
    let checkpoint = Checkpoint::in_folder(&sample());
    let model = (&architecture, &groups);
    checkpoint.load(&ops, model, IDENTITY, &mut parameters, &mut optimizer).expect("the state is read");
    let mut moved = 0;
    for id in architecture.layout.ids() {
        let name = &architecture.layout.get(id).name;
        assert!(groups.trains(id), "`{name}` is in the sample");
        for (kind, tensors) in
            [("parameter", &parameters), ("first", &optimizer.first), ("second", &optimizer.second)]
        {
            let expected = stored("state.safetensors", &format!("{kind}/{name}"));
            assert!(ops.download(tensors.get(id)) == expected, "`{kind}/{name}`");
            moved += usize::from(expected.iter().any(|value| *value != 0.0));
        }
    }
    assert!(moved > 2 * architecture.layout.parameters().len(), "the sample holds numbers, not zeros");
}

#[test]
fn a_run_goes_on_from_a_checkpoint_of_version_1() {
    let folder = copy();
    let (outcome, steps, parameters) = resume(folder.path(), 0.5);
    assert_eq!(outcome, Outcome::Finished { best: Some((SCORES[0], 2)), gain: None, steps: 6 });
    assert_eq!(steps, [6]);
    let architecture = architecture();
    for (parameter, values) in architecture.layout.parameters().iter().zip(&parameters) {
        let name = &parameter.name;
        assert!(*values == stored("best.safetensors", name), "`{name}` is not that of the best validation");
    }
    // A better validation takes the best's place.
    let (outcome, _, parameters) = resume(copy().path(), 0.9);
    assert_eq!(
        outcome,
        Outcome::Finished { best: Some((0.9, 6)), gain: Some(Gain::of(&[0.9], &[0.0])), steps: 6 }
    );
    let first = &architecture.layout.parameters()[0].name;
    assert!(parameters[0] != stored("best.safetensors", first));
}

#[test]
fn a_state_of_other_shapes_is_refused_with_its_file_and_tensor() {
    let (ops, architecture) = (Cpu::new(1), architecture_of(5));
    let groups = Groups::new(&architecture, &config());
    let of = (&architecture, &groups);
    let mut parameters = small::parameters(&ops, &architecture);
    let mut optimizer = Optimizer::new(&ops, &architecture, &groups);
    let checkpoint = Checkpoint::in_folder(&sample());
    let state = checkpoint.load(&ops, of, IDENTITY, &mut parameters, &mut optimizer).map(drop);
    let best = checkpoint.load_best(&ops, of, &mut parameters);
    for (read, file) in [(state, "state.safetensors"), (best, "best.safetensors")] {
        let message = read.expect_err("its experts have 4 units").to_string();
        assert!(message.contains(file) && message.contains("[5") && message.contains("[4"), "{message}");
    }
}
