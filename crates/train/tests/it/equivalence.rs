//! What must not change the gradients: computing a batch in parts, and the number of threads.

use sbmoe_kernels::{Cpu, Key, Level, Ops, Precision, Reference};
use sbmoe_model::moe::TrainGate;
use sbmoe_model::parameters::Tensors;
use sbmoe_train::{Batches, TrainConfig, gradients};

use crate::small;

fn batch_gradients<O: Ops>(ops: &O, config: &TrainConfig) -> Vec<Vec<f32>> {
    gradients_in(Precision::F32, TrainGate::Soft, ops, config)
}

fn gradients_in<O: Ops>(
    precision: Precision,
    train_gate: TrainGate,
    ops: &O,
    config: &TrainConfig,
) -> Vec<Vec<f32>> {
    let mut architecture = small::architecture(train_gate, 0.5);
    architecture.bert.set_precision(precision);
    let (inputs, examples) = small::examples();
    let batch = &Batches::new(&examples, config).epoch(0)[0];
    let parameters = small::parameters(ops, &architecture);
    let mut own = Tensors::zeros(ops, &architecture.layout);
    gradients(ops, &architecture, &parameters, (&inputs, batch), config, Key::new(5), &mut own);
    own.download(ops)
}

/// The largest difference relative to the largest gradient.
fn difference(a: &[Vec<f32>], b: &[Vec<f32>]) -> f64 {
    let largest = a.concat().iter().fold(0.0f64, |most, value| most.max(f64::from(value.abs())));
    a.concat().iter().zip(b.concat()).fold(0.0f64, |most, (a, b)| most.max(f64::from((a - b).abs())))
        / largest
}

#[test]
fn a_batch_in_parts_has_the_gradients_of_the_whole_with_dropout() {
    let whole = TrainConfig { batch_size: 8, negatives: 1, dropout: true, ..small::config() };
    for chunk_tokens in [1, 20, 60] {
        let parts = TrainConfig { chunk_tokens, ..whole.clone() };
        let exact = Reference::<f64>::new();
        let far = difference(&batch_gradients(&exact, &whole), &batch_gradients(&exact, &parts));
        assert!(far < 1e-6, "parts of {chunk_tokens} tokens differ by {far:e} in f64");
        let cpu = Cpu::new(2);
        let far = difference(&batch_gradients(&cpu, &whole), &batch_gradients(&cpu, &parts));
        // The same sums in another order: what is left is f32's rounding.
        assert!(far < 1e-5, "parts of {chunk_tokens} tokens differ by {far:e} in f32");
    }
}

#[test]
fn dropout_changes_the_gradients() {
    let with = TrainConfig { dropout: true, ..small::config() };
    let exact = Reference::<f64>::new();
    assert!(difference(&batch_gradients(&exact, &with), &batch_gradients(&exact, &small::config())) > 1e-3);
}

#[test]
fn the_processor_s_gradients_are_those_of_the_reference() {
    let config =
        TrainConfig { batch_size: 8, negatives: 1, dropout: true, mask_positives: true, ..small::config() };
    let expected = batch_gradients(&Reference::<f64>::new(), &config);
    let actual = batch_gradients(&Cpu::new(1), &config);
    assert!(difference(&expected, &actual) < 1e-5);
}

#[test]
fn gradients_have_the_same_bytes_on_any_number_of_threads() {
    let config = TrainConfig { batch_size: 8, dropout: true, ..small::config() };
    let modes = [
        TrainGate::Soft,
        TrainGate::StraightThrough,
        TrainGate::NoisyTop1,
        TrainGate::Random,
        TrainGate::Uniform,
    ];
    for gate in modes {
        let with = |threads| gradients_in(Precision::F32, gate, &Cpu::new(threads), &config);
        let one = with(1);
        let far = difference(&gradients_in(Precision::F32, gate, &Reference::<f64>::new(), &config), &one);
        assert!(far < 1e-5, "{gate:?} is {far:e} from the reference");
        for threads in [2, 3] {
            assert_eq!(one, with(threads), "{gate:?}, {threads} threads");
        }
    }
}

#[test]
fn gradients_in_bf16_are_near_those_in_f32_at_every_level() {
    let config = TrainConfig { batch_size: 8, dropout: true, ..small::config() };
    let expected = batch_gradients(&Reference::<f64>::new(), &config);
    for level in Level::available() {
        let in_bf16 = |threads| {
            gradients_in(Precision::Bf16, TrainGate::Soft, &Cpu::with_level(threads, level), &config)
        };
        let one = in_bf16(1);
        let far = difference(&expected, &one);
        // Eight significant bits in every operand of two layers' products, forward and backward.
        assert!((1e-4..3e-2).contains(&far), "{level}: {far:e}");
        assert_eq!(one, in_bf16(3), "{level}: three threads");
    }
}
