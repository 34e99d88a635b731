//! A small encoder with a block, and examples for it: what the tests train.

use sbmoe_kernels::{Directions, Key, Ops, Pooling};
use sbmoe_model::architecture::Architecture;
use sbmoe_model::folder::BertConfig;
use sbmoe_model::moe::{BlockConfig, Combine, Gate, TrainGate};
use sbmoe_model::parameters::Tensors;
use sbmoe_train::{Batching, Examples, Inputs, Keep, Schedule, Teacher, TrainConfig};
use serde_json::json;

/// Settings in which every feature is at rest; tests change what they are about.
pub(crate) fn config() -> TrainConfig {
    TrainConfig {
        epochs: 2,
        batch_size: 4,
        temperature: 1.0,
        directions: Directions::OneWay,
        distill: None,
        learning_rate: 1e-2,
        encoder_learning_rate: 1e-3,
        freeze_encoder: false,
        weight_decay: 0.01,
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        schedule: Schedule::Constant,
        warmup_steps: 0,
        clip: 0.0,
        dropout: false,
        mask_positives: false,
        negatives: 0,
        batching: Batching::Random,
        anchor: 0,
        stop_after: None,
        balance: 0.0,
        chunk_tokens: 1 << 20,
        seed: 7,
        keep: Keep::Last,
        patience: 0,
        checkpoint_seconds: 1e9,
    }
}

/// Two layers of 12 numbers with dropout .1, and a block of three experts.
pub(crate) fn architecture(train_gate: TrainGate, gate_noise: f64) -> Architecture {
    let bert: BertConfig = serde_json::from_value(json!({
        "vocab_size": 40, "hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 3,
        "intermediate_size": 20, "max_position_embeddings": 16,
    }))
    .expect("a BERT configuration");
    let block = BlockConfig {
        hidden: 12,
        experts: 3,
        expert_width: 6,
        gate: Gate::Top1,
        train_gate,
        combine: Combine::NormalizeMixture,
        gate_noise,
        seed: 1,
        ..BlockConfig::new(1, 1)
    };
    Architecture::new(bert, Pooling::Mean, Some(block))
}

/// Values that are small and different from each other, keyed by the parameter's place.
pub(crate) fn parameters<O: Ops>(ops: &O, architecture: &Architecture) -> Tensors<O::Buffer> {
    let value = |place: usize, i: usize| {
        (0.6 * (Key::new(3).with(place as u64).with(i as u64).uniform() - 0.5)) as f32
    };
    let layout = architecture.layout.parameters().iter().enumerate();
    let values: Vec<Vec<f32>> =
        layout.map(|(place, p)| (0..p.len()).map(|i| value(place, i)).collect()).collect();
    Tensors::upload(ops, &values)
}

/// Ten queries of a few tokens, twelve documents; query `i` is answered by documents `i` and `i + 1`.
pub(crate) fn examples() -> (Inputs, Examples) {
    let text = |family: u64, place: u64| -> Vec<u32> {
        let key = Key::new(9).with(family).with(place);
        (0..3 + key.below(8)).map(|i| 1 + key.with(i as u64).below(39) as u32).collect()
    };
    let queries = (0..10).map(|place| text(1, place)).collect();
    let documents = (0..12).map(|place| text(2, place)).collect();
    let examples = Examples {
        queries: (0..10).collect(),
        positives: (0..10).map(|i| vec![i, i + 1]).collect(),
        negatives: (0..10).map(|i| vec![(i + 5) % 12]).collect(),
        anchors: Vec::new(),
        teacher: Teacher::None,
    };
    (Inputs::Tokens { queries, documents }, examples)
}
