//! A text's vector does not depend on what stands beside it: encoded alone, in a batch, or in another order, it is the
//! same to 1e-6 on [`Cpu`], at every level, before the block and behind it.

use sbmoe_kernels::{Cpu, Key, Level, Ops, Pooling, Tokens};
use sbmoe_model::architecture::Architecture;
use sbmoe_model::folder::BertConfig;
use sbmoe_model::moe::{BlockConfig, Combine, Draws, Gate, TrainGate, text_key};
use sbmoe_model::parameters::Tensors;
use serde_json::json;

/// Tokens of each text, special ones included.
const LENGTHS: [usize; 9] = [5, 128, 1, 17, 64, 2, 33, 90, 5];

const VOCABULARY: usize = 50;

/// Two layers of TinyBERT's shape, and a block of three experts.
fn architecture(pooling: Pooling) -> Architecture {
    let bert: BertConfig = serde_json::from_value(json!({
        "vocab_size": VOCABULARY, "hidden_size": 312, "num_hidden_layers": 2, "num_attention_heads": 12,
        "intermediate_size": 1200, "max_position_embeddings": 128,
    }))
    .expect("a BERT configuration");
    let block = BlockConfig {
        hidden: 312,
        experts: 3,
        expert_width: 156,
        gate: Gate::Top1,
        train_gate: TrainGate::Soft,
        combine: Combine::NormalizeMixture,
        gate_noise: 0.0,
        seed: 9,
        ..BlockConfig::new(1, 1)
    };
    Architecture::new(bert, pooling, Some(block))
}

/// Normal values as wide as a trained encoder's; layer-norm scales around 1.
fn values(architecture: &Architecture) -> Vec<Vec<f32>> {
    let of = |(place, parameter): (usize, &sbmoe_model::parameters::Parameter)| {
        let middle = if parameter.name.ends_with("LayerNorm.weight") { 1.0 } else { 0.0 };
        let key = Key::new(7).with(place as u64);
        (0..parameter.len() as u64).map(|i| (middle + 0.06 * key.with(i).normal()) as f32).collect()
    };
    architecture.layout.parameters().iter().enumerate().map(of).collect()
}

fn texts() -> Vec<Vec<u32>> {
    let text = |(place, length): (usize, &usize)| {
        let key = Key::new(11).with(place as u64);
        (0..*length as u64).map(|i| key.with(i).below(VOCABULARY) as u32).collect()
    };
    LENGTHS.iter().enumerate().map(text).collect()
}

/// `x` of some texts as one batch, and `y` under each gate.
fn vectors(
    ops: &Cpu,
    architecture: &Architecture,
    parameters: &Tensors<<Cpu as Ops>::Buffer>,
    texts: &[Vec<u32>],
) -> Vec<Vec<f32>> {
    let x = architecture.pooled(ops, parameters, &Tokens::new(texts, 0));
    let mut all = vec![ops.download(&x)];
    let block = architecture.block.as_ref().expect("there is a block");
    let keys: Vec<u64> = texts.iter().map(|ids| text_key(ids)).collect();
    for gate in [Gate::Top1, Gate::All, Gate::Random, Gate::Uniform] {
        let draws = match gate {
            Gate::Random => Draws::for_use(block.config().seed, &keys, block.config().experts),
            Gate::Top1 | Gate::All | Gate::Uniform => Draws::default(),
        };
        all.push(ops.download(&block.apply(ops, parameters, &x, gate, &draws).0));
    }
    all
}

#[track_caller]
fn assert_same(place: usize, level: Level, found: &[f32], expected: &[f32]) {
    let length = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
    let size = length(&mut expected.iter().map(|&v| f64::from(v)));
    let difference = length(&mut found.iter().zip(expected).map(|(f, e)| f64::from(*f) - f64::from(*e)));
    assert!(size > 0.0 && difference <= 1e-6 * size, "text {place} at {level}: {difference:e} of {size}");
}

#[test]
fn a_text_alone_has_the_vector_that_it_has_in_a_batch() {
    let (architecture, texts) = (architecture(Pooling::Mean), texts());
    let values = values(&architecture);
    for level in Level::available() {
        let ops = Cpu::with_level(2, level);
        let parameters = Tensors::upload(&ops, &values);
        let together = vectors(&ops, &architecture, &parameters, &texts);
        let backwards: Vec<Vec<u32>> = texts.iter().rev().cloned().collect();
        let backwards = vectors(&ops, &architecture, &parameters, &backwards);
        for (place, text) in texts.iter().enumerate() {
            let alone = vectors(&ops, &architecture, &parameters, std::slice::from_ref(text));
            let row = |all: &[f32], row: usize| all[row * 312..][..312].to_vec();
            for ((together, backwards), alone) in together.iter().zip(&backwards).zip(&alone) {
                assert_same(place, level, &row(together, place), alone);
                assert_same(place, level, &row(backwards, texts.len() - 1 - place), alone);
            }
        }
    }
}

#[test]
fn every_pooling_reads_the_text_alone() {
    let ops = Cpu::new(2);
    let texts = texts();
    for pooling in [Pooling::Cls, Pooling::Max] {
        let architecture = architecture(pooling);
        let parameters = Tensors::upload(&ops, &values(&architecture));
        let x = |texts: &[Vec<u32>]| {
            ops.download(&architecture.pooled(&ops, &parameters, &Tokens::new(texts, 0)))
        };
        let together = x(&texts);
        for (place, text) in texts.iter().enumerate() {
            assert_same(
                place,
                Level::best(),
                &together[place * 312..][..312],
                &x(std::slice::from_ref(text)),
            );
        }
    }
}
