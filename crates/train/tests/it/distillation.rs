//! Learning from a teacher: its scores, its gradients beside the contrastive ones, and what must not change them.

use std::ops::ControlFlow;

use sbmoe_kernels::{Cpu, Directions, DistillLoss, Key, Ops, Reference};
use sbmoe_model::moe::TrainGate;
use sbmoe_model::parameters::Tensors;
use sbmoe_train::{
    Batches, Checkpoint, Distill, Event, Examples, Inputs, Session, StepError, StepReport, StepResult,
    Teacher, TrainConfig, TrainError, gradients, train,
};

use crate::small;

const LOSSES: [DistillLoss; 2] = [DistillLoss::Kl { temperature: 0.5 }, DistillLoss::MarginMse];

/// For each training query the scores of its first positive and of every other document but one in three.
fn scores() -> Teacher {
    let score =
        |query: u32, document: u32| Key::new(2).with(query.into()).with(document.into()).normal() as f32;
    let listed = |query: u32| {
        (0..12).filter(move |document| *document == query || !(query + document).is_multiple_of(3))
    };
    Teacher::Scores((0..10).map(|query| listed(query).map(|d| (d, score(query, d))).collect()).collect())
}

/// Vectors of five numbers.
fn vectors() -> Teacher {
    let side = |family: u64, n: u64| {
        (0..5 * n).map(|i| Key::new(3).with(family).with(i).normal() as f32).collect::<Vec<f32>>()
    };
    Teacher::Vectors { hidden: 5, queries: side(1, 10), documents: side(2, 12).into() }
}

fn examples(teacher: Teacher) -> (Inputs, Examples) {
    let (inputs, examples) = small::examples();
    (inputs, Examples { teacher, ..examples })
}

fn config(loss: DistillLoss, weight: f64) -> TrainConfig {
    let distill = Some(Distill { loss, weight });
    TrainConfig { batch_size: 8, negatives: 1, dropout: true, distill, ..small::config() }
}

/// What the first batch gives, and its gradients.
fn first_step<O: Ops>(ops: &O, teacher: Teacher, config: &TrainConfig) -> (StepResult, Vec<f32>) {
    let architecture = small::architecture(TrainGate::Soft, 0.5);
    let (inputs, examples) = examples(teacher);
    let batches = Batches::new(&examples, config);
    let mut batch = batches.epoch(0).swap_remove(0);
    batches.teach(ops, &mut batch);
    let parameters = small::parameters(ops, &architecture);
    let mut own = Tensors::zeros(ops, &architecture.layout);
    let key = Key::new(5);
    let result = gradients(ops, &architecture, &parameters, (&inputs, &batch), config, key, &mut own);
    (result, own.download(ops).concat())
}

/// The largest difference relative to the largest gradient.
fn difference(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let largest = a.iter().fold(0.0_f64, |most, value| most.max(f64::from(value.abs())));
    a.iter().zip(b).fold(0.0_f64, |most, (a, b)| most.max(f64::from((a - b).abs()))) / largest
}

#[test]
fn the_gradients_are_the_contrastive_ones_and_the_weighted_ones_of_distillation() {
    let exact = Reference::<f64>::new();
    for loss in LOSSES {
        let (alone, none) = first_step(&exact, scores(), &TrainConfig { distill: None, ..config(loss, 0.0) });
        let (result, single) = first_step(&exact, scores(), &config(loss, 1.0));
        let (_, tripled) = first_step(&exact, scores(), &config(loss, 3.0));
        assert!(alone.distill == 0.0 && result.distill > 0.01, "{loss:?}: {}", result.distill);
        assert!((alone.loss - result.loss).abs() < 1e-12, "the loss is the contrastive one");
        assert!(difference(&none, &single) > 1e-3, "{loss:?}");
        let expected: Vec<f32> =
            none.iter().zip(&single).map(|(none, one)| none + 3.0 * (one - none)).collect();
        let far = difference(&tripled, &expected);
        assert!(far < 1e-6, "{loss:?}: {far:e}");
    }
}

#[test]
fn a_batch_in_parts_has_the_gradients_of_the_whole_with_distillation() {
    for loss in LOSSES {
        let whole = TrainConfig { directions: Directions::Both, ..config(loss, 0.7) };
        let exact = Reference::<f64>::new();
        let (_, expected) = first_step(&exact, scores(), &whole);
        for chunk_tokens in [1, 20, 60] {
            let parts = TrainConfig { chunk_tokens, ..whole.clone() };
            let far = difference(&expected, &first_step(&exact, scores(), &parts).1);
            assert!(far < 1e-6, "{loss:?}: parts of {chunk_tokens} tokens differ by {far:e}");
        }
    }
}

#[test]
fn distillation_has_the_same_bytes_on_any_number_of_threads_and_those_of_the_reference_nearly() {
    for loss in LOSSES {
        for teacher in [scores(), vectors()] {
            let config = TrainConfig { directions: Directions::Both, ..config(loss, 0.7) };
            let one = first_step(&Cpu::new(1), teacher.clone(), &config);
            for threads in [2, 3] {
                let found = first_step(&Cpu::new(threads), teacher.clone(), &config);
                assert_eq!(found, one, "{loss:?}, {threads} threads");
            }
            let (exact, expected) = first_step(&Reference::<f64>::new(), teacher, &config);
            let far = difference(&expected, &one.1);
            assert!(far < 1e-5, "{loss:?}: {far:e}");
            assert!((exact.distill - one.0.distill).abs() < 1e-5 * exact.distill, "{loss:?}");
        }
    }
}

#[test]
fn a_teacher_that_scored_nothing_of_a_batch_changes_no_byte() {
    let cpu = Cpu::new(2);
    for loss in LOSSES {
        let taught = config(loss, 0.7);
        let (result, found) = first_step(&cpu, Teacher::Scores(vec![Vec::new(); 10]), &taught);
        assert_eq!(result.distill.to_bits(), 0.0_f64.to_bits());
        let (_, expected) = first_step(&cpu, Teacher::None, &TrainConfig { distill: None, ..taught });
        assert_eq!(found, expected, "{loss:?}");
    }
}

#[test]
fn targets_are_listed_scores_or_inner_products() {
    fn check<O: Ops>(ops: &O) {
        let (queries, documents) = ([7, 0, 3], [3, 11, 7, 0]);
        let Teacher::Scores(listed) = scores() else { panic!("these are scores") };
        let found = scores().targets(ops, &queries, &documents);
        let mut scored = 0;
        for (pair, found) in found.iter().enumerate() {
            let (query, document) = (queries[pair / 4], documents[pair % 4]);
            let expected = listed[query as usize].iter().find(|(listed, _)| *listed == document);
            assert_eq!(found.is_nan(), expected.is_none(), "{query}, {document}");
            assert!(expected.is_none_or(|(_, score)| score.to_bits() == found.to_bits()));
            scored += usize::from(expected.is_some());
        }
        assert!((4..12).contains(&scored), "{scored} of 12");

        let Teacher::Vectors { hidden, queries: q, documents: d } = vectors() else {
            panic!("these are vectors")
        };
        for (pair, found) in vectors().targets(ops, &queries, &documents).iter().enumerate() {
            let [query, document] =
                [queries[pair / 4], documents[pair % 4]].map(|place| place as usize * hidden);
            let expected: f32 = (0..hidden).map(|i| q[query + i] * d[document + i]).sum();
            assert!((found - expected).abs() < 1e-5, "{found}, {expected}");
        }
        assert!(Teacher::None.targets(ops, &queries, &documents).is_empty());
    }
    check(&Reference::<f64>::new());
    check(&Cpu::new(2));
}

#[test]
fn a_batch_is_taught_by_its_queries_and_documents() {
    let (_, mut examples) = examples(scores());
    // Training queries need not stand in the order of the inputs' queries.
    examples.queries.reverse();
    let (ops, config) = (Cpu::new(1), config(DistillLoss::MarginMse, 1.0));
    let batches = Batches::new(&examples, &config);
    for mut batch in batches.epoch(1) {
        assert!(batch.targets.is_empty());
        batches.teach(&ops, &mut batch);
        let places: Vec<u32> = batch.queries.iter().map(|query| 9 - query).collect();
        let expected = examples.teacher.targets(&ops, &places, &batch.documents);
        let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<u32>>();
        assert_eq!(bits(&batch.targets), bits(&expected));
        assert!(expected.iter().any(|target| !target.is_nan()));
    }
    let untaught = TrainConfig { distill: None, ..config };
    let batches = Batches::new(&examples, &untaught);
    let mut batch = batches.epoch(1).swap_remove(0);
    batches.teach(&ops, &mut batch);
    assert!(batch.targets.is_empty());
}

/// A run of some epochs with all ten queries a step; what its steps reported, and its parameters.
fn run(
    teacher: Teacher,
    config: &TrainConfig,
    threads: usize,
) -> Result<(Vec<StepReport>, Vec<Vec<f32>>), TrainError> {
    let ops = Cpu::new(threads);
    let architecture = small::architecture(TrainGate::Soft, 0.0);
    let (inputs, examples) = examples(teacher);
    let mut parameters = small::parameters(&ops, &architecture);
    let folder = tempfile::tempdir().expect("a folder");
    let session = Session {
        ops: &ops,
        architecture: &architecture,
        inputs: &inputs,
        examples: &examples,
        near: None,
        validation: None,
        config,
        checkpoint: Checkpoint::in_folder(folder.path()),
        identity: String::new(),
    };
    let mut reports = Vec::new();
    let mut on_event = |event: Event| {
        if let Event::Step(report) = event {
            reports.push(report);
        }
        ControlFlow::Continue(())
    };
    train(&session, &mut parameters, false, &mut on_event)?;
    Ok((reports, parameters.download(&ops)))
}

#[test]
fn a_run_comes_nearer_to_its_teacher() {
    for loss in LOSSES {
        for teacher in [scores(), vectors()] {
            let config = TrainConfig { epochs: 30, batch_size: 10, dropout: false, ..config(loss, 5.0) };
            let last = |reports: &[StepReport]| reports.last().expect("a step").distill;
            let (reports, parameters) = run(teacher.clone(), &config, 1).expect("the run ends");
            let untaught = TrainConfig { distill: Some(Distill { loss, weight: 0.0 }), ..config.clone() };
            let (untaught, _) = run(teacher.clone(), &untaught, 1).expect("the run ends");
            let [taught, untaught] = [&reports, &untaught].map(|reports| last(reports));
            assert!(taught < 0.9 * untaught, "{loss:?}: {taught}, untaught {untaught}");
            assert_eq!(run(teacher, &config, 2).expect("the run ends").1, parameters, "{loss:?}");
        }
    }
}

#[test]
fn distillation_without_a_teacher_is_refused() {
    let error = run(Teacher::None, &config(DistillLoss::MarginMse, 1.0), 1).expect_err("there is no teacher");
    assert!(matches!(error, TrainError::NoTeacher), "{error}");
}

#[test]
fn a_distillation_loss_that_is_not_finite_stops_the_run() {
    let infinite = Teacher::Scores(vec![(0..12).map(|document| (document, f32::INFINITY)).collect(); 10]);
    let error = run(infinite, &config(DistillLoss::MarginMse, 1.0), 1).expect_err("the targets are infinite");
    let TrainError::NotFinite { step: 1, source: StepError::Loss { .. }, .. } = error else {
        panic!("{error}")
    };
}

#[test]
fn the_settings_read_back_from_their_names() {
    let distill = Distill { loss: DistillLoss::Kl { temperature: 0.5 }, weight: 2.0 };
    let json = serde_json::json!({"loss": {"kl": {"temperature": 0.5}}, "weight": 2.0});
    assert_eq!(serde_json::to_value(distill).expect("it is written"), json);
    let of_margins = serde_json::json!({"loss": "margin-mse", "weight": 1.0});
    let distill: Distill = serde_json::from_value(of_margins).expect("it is read");
    assert_eq!(distill, Distill { loss: DistillLoss::MarginMse, weight: 1.0 });
    let mut before = serde_json::to_value(small::config()).expect("it is written");
    let settings = before.as_object_mut().expect("an object");
    assert_eq!(settings.remove("directions"), Some("one-way".into()));
    assert!(settings.remove("distill").is_some_and(|distill| distill.is_null()));
    let read: TrainConfig = serde_json::from_value(before).expect("settings of before are read");
    assert_eq!(read, small::config());
}
