//! A frozen encoder's stored vectors stand for their texts: the same loss, the same tokens, the same experts.

use std::cell::RefCell;
use std::ops::ControlFlow;

use sbmoe_kernels::{Key, Ops, Reference, Tokens};
use sbmoe_model::architecture::Architecture;
use sbmoe_model::moe::{Gate, TrainGate, text_key};
use sbmoe_model::parameters::Tensors;
use sbmoe_train::{
    Batches, Checkpoint, Event, Inputs, PooledTexts, Session, TrainConfig, Validation, gradients, train,
};

use crate::small;

type Exact = Reference<f64>;

fn config() -> TrainConfig {
    TrainConfig { epochs: 1, negatives: 1, ..small::config() }
}

/// What the encoder makes of the texts, each on its own.
fn pooled(architecture: &Architecture, inputs: &Inputs) -> Inputs {
    let ops = &Exact::new();
    let Inputs::Tokens { queries, documents } = inputs else { panic!("the examples are token ids") };
    let parameters = small::parameters(ops, architecture);
    let side = |texts: &[Vec<u32>]| PooledTexts {
        vectors: texts
            .iter()
            .flat_map(|ids| {
                ops.download(&architecture.pooled(ops, &parameters, &Tokens::new(&[ids.as_slice()], 0)))
            })
            .collect(),
        keys: texts.iter().map(|ids| text_key(ids)).collect(),
        tokens: texts.iter().map(|ids| ids.len() as u32).collect(),
    };
    Inputs::Pooled { queries: side(queries), documents: side(documents) }
}

fn assert_close(left: &[f32], right: &[f32], what: &str) {
    assert_eq!(left.len(), right.len(), "{what}");
    for (left, right) in left.iter().zip(right) {
        assert!((left - right).abs() < 1e-5, "{what}: {left} and {right}");
    }
}

#[test]
fn a_step_has_the_loss_and_the_tokens_of_its_texts() {
    let (ops, config) = (Exact::new(), config());
    let architecture = small::architecture(TrainGate::Soft, 0.5);
    let (tokens, examples) = small::examples();
    let vectors = pooled(&architecture, &tokens);
    let batch = &Batches::new(&examples, &config).epoch(0)[0];
    let parameters = small::parameters(&ops, &architecture);
    let step = |inputs| {
        let mut own = Tensors::zeros(&ops, &architecture.layout);
        own.buffers_mut().for_each(|gradient| gradient.fill(f64::NAN));
        let batch = (inputs, batch);
        let result = gradients(&ops, &architecture, &parameters, batch, &config, Key::new(5), &mut own);
        (result, own.download(&ops))
    };
    let ((from_tokens, expected), (from_vectors, found)) = (step(&tokens), step(&vectors));
    let places = architecture.block.as_ref().expect("a block").places();
    for (place, (expected, found)) in expected.iter().zip(&found).enumerate() {
        if places.contains(&place) {
            assert_close(found, expected, &architecture.layout.parameters()[place].name);
        } else {
            assert!(found.iter().all(|x| x.is_nan()), "nothing is written for the encoder");
        }
    }
    assert!((from_tokens.loss - from_vectors.loss).abs() < 1e-6);
    assert_eq!(from_vectors.tokens, from_tokens.tokens);
    assert!(from_vectors.tokens > 3 * batch.documents.len(), "every text has at least three tokens");
}

/// The query and document vectors of the validation behind the first epoch, which trains nothing.
fn validated(inputs: &Inputs, gate: Gate) -> (Vec<f32>, Vec<f32>) {
    let ops = Exact::new();
    let architecture = small::architecture(TrainGate::Random, 0.0);
    let (_, examples) = small::examples();
    let folder = tempfile::tempdir().expect("a folder");
    let seen = RefCell::default();
    let validation = Validation {
        queries: vec![3, 0, 7],
        documents: (0..12).rev().collect(),
        positives: vec![8, 11, 4],
        gate,
        baseline: vec![0.0; 3],
        chooses: vec![true; 3],
        score: Box::new(|queries, documents| {
            seen.replace((queries.to_vec(), documents.to_vec()));
            Ok(vec![0.5; 3])
        }),
    };
    let freeze_encoder = matches!(inputs, Inputs::Pooled { .. });
    let (learning_rate, encoder_learning_rate) = (0.0, 0.0);
    let config = TrainConfig { freeze_encoder, learning_rate, encoder_learning_rate, ..config() };
    let session = Session {
        ops: &ops,
        architecture: &architecture,
        inputs,
        examples: &examples,
        near: None,
        validation: Some(validation),
        config: &config,
        checkpoint: Checkpoint::in_folder(folder.path()),
        identity: String::new(),
    };
    let mut parameters = small::parameters(&ops, &architecture);
    train(&session, &mut parameters, false, &mut |_: Event| ControlFlow::Continue(())).expect("the run ends");
    drop(session);
    seen.into_inner()
}

#[test]
fn a_validation_routes_a_text_alike_as_ids_and_as_a_vector() {
    let (tokens, _) = small::examples();
    let vectors = pooled(&small::architecture(TrainGate::Random, 0.0), &tokens);
    for gate in [Gate::Random, Gate::Top1, Gate::All, Gate::Uniform] {
        let (from_tokens, from_vectors) = (validated(&tokens, gate), validated(&vectors, gate));
        assert_close(&from_tokens.0, &from_vectors.0, &format!("queries, {gate}"));
        assert_close(&from_tokens.1, &from_vectors.1, &format!("documents, {gate}"));
    }
}
