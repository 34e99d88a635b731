//! Ten optimiser steps of the whole model against PyTorch in f64: loss, gradients and every parameter.

use sbmoe_kernels::{Key, Pooling};
use sbmoe_model::architecture::Architecture;
use sbmoe_model::moe::{BlockConfig, Combine, Gate, TrainGate};
use sbmoe_model::parameters::Tensors;
use sbmoe_train::{Batch, Groups, Inputs, Optimizer, TrainConfig, gradients};

use crate::golden::{Exact, Golden, check};
use crate::small;

fn run(name: &str, train_gate: TrainGate, temperature: f64) {
    let (golden, ops) = (Golden::open("steps"), Exact::new());
    let bert = serde_json::from_value(golden.cases["config"].clone()).expect("a BERT configuration");
    let block = BlockConfig {
        hidden: 12,
        experts: 3,
        expert_width: 6,
        gate: Gate::Top1,
        train_gate,
        combine: Combine::NormalizeMixture,
        gate_noise: 0.0,
        seed: 0,
        ..BlockConfig::new(1, 1)
    };
    let architecture = Architecture::new(bert, Pooling::Mean, Some(block));
    let config = TrainConfig { temperature, ..small::config() };
    let mut parameters = golden.parameters(&architecture.layout, "initial.");
    let groups = Groups::new(&architecture, &config);
    let mut optimizer = Optimizer::new(&ops, &architecture, &groups);
    let (losses, accuracies) =
        (golden.get(&format!("{name}.losses")), golden.get(&format!("{name}.accuracies")));
    let batches = golden.cases["batches"].as_array().expect("a list of batches");
    assert_eq!(batches.len(), 10);
    // Each step writes over what the one before left, the first over this.
    let mut own = Tensors::zeros(&ops, &architecture.layout);
    own.buffers_mut().for_each(|gradient| gradient.fill(f64::NAN));
    for (step, batch) in batches.iter().enumerate() {
        let texts = |key: &str| serde_json::from_value(batch[key].clone()).expect("lists of token ids");
        let inputs = Inputs::Tokens { queries: texts("queries"), documents: texts("positives") };
        let places = || (0..4).collect();
        let batch =
            Batch { queries: places(), documents: places(), excluded: Vec::new(), targets: Vec::new() };
        let key = Key::new(0);
        let result = gradients(&ops, &architecture, &parameters, (&inputs, &batch), &config, key, &mut own);
        check(&format!("{name}.losses"), &[result.loss], &losses[step..=step]);
        assert!((result.correct as f64 / 4.0 - accuracies[step]).abs() < 1e-12, "accuracy of step {step}");
        if step == 0 {
            golden.check_gradients(&architecture.layout, &format!("{name}.grad."), &own);
        }
        optimizer
            .step(&ops, &architecture, (&groups, &config), 1.0, &own, &mut parameters)
            .expect("finite gradients");
    }
    for (id, parameter) in architecture.layout.ids().zip(architecture.layout.parameters()) {
        // A noise head without gradient is in no group; PyTorch's soft run lets it decay.
        let source = if parameter.name.starts_with("noise.") { "initial" } else { &format!("{name}.final") };
        let expected = golden.get(&format!("{source}.{}", parameter.name));
        check(&format!("{name}.final.{}", parameter.name), parameters.get(id), &expected);
    }
}

#[test]
fn ten_steps_of_the_paper_s_mode_equal_pytorch() {
    run("faithful", TrainGate::NoisyTop1, 1.0);
}

#[test]
fn ten_steps_of_the_soft_gate_equal_pytorch() {
    run("soft", TrainGate::Soft, 0.05);
}
