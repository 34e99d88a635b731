//! What must not change the gradients: computing a batch in parts, and the number of threads.

use sbmoe_kernels::{Cpu, Key, Level, Ops, Precision, Reference};
use sbmoe_model::moe::TrainGate;
use sbmoe_model::parameters::Tensors;
use sbmoe_train::{Batch, Batches, Inputs, TrainConfig, gradients};

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

/// Four parts of a batch, of which chunks hold one, two or all: sums are added part by part, so the bytes are the same.
#[test]
fn a_batch_of_several_parts_has_the_same_bytes_in_chunks_of_any_size_on_any_number_of_threads() {
    let pairs = 200;
    let text = |place: u64| (0..8 + place % 5).map(|i| 1 + (place * 31 + i * 7) as u32 % 39).collect();
    let texts = |family: u64| (0..pairs).map(|place| text(family + 3 * place)).collect::<Vec<Vec<u32>>>();
    let inputs = Inputs::Tokens { queries: texts(1), documents: texts(2) };
    let places: Vec<u32> = (0..pairs as u32).collect();
    let batch =
        Batch { queries: places.clone(), documents: places, excluded: Vec::new(), targets: Vec::new() };
    for precision in [Precision::F32, Precision::Bf16] {
        let run = |threads, chunk_tokens| {
            let cpu = Cpu::new(threads);
            let config = TrainConfig { dropout: true, chunk_tokens, ..small::config() };
            let mut architecture = small::architecture(TrainGate::Soft, 0.5);
            architecture.bert.set_precision(precision);
            let parameters = small::parameters(&cpu, &architecture);
            let mut own = Tensors::zeros(&cpu, &architecture.layout);
            let key = Key::new(5);
            let result =
                gradients(&cpu, &architecture, &parameters, (&inputs, &batch), &config, key, &mut own);
            assert!(result.tokens > 3 * 1024, "{} tokens are four parts", result.tokens);
            own.download(&cpu)
        };
        let expected = run(1, 1 << 20);
        for (threads, chunk_tokens) in [(2, 1 << 20), (3, 1 << 20), (2, 1024), (1, 2048), (3, 2048)] {
            assert_eq!(
                run(threads, chunk_tokens),
                expected,
                "{precision}, {threads} threads, {chunk_tokens}"
            );
        }
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
