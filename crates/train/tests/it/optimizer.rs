//! Groups, schedules and clipping.

use std::path::PathBuf;

use sbmoe_kernels::{Cpu, Key, Ops, Reference};
use sbmoe_model::moe::TrainGate;
use sbmoe_model::parameters::Tensors;
use sbmoe_train::{Batches, Group, Groups, Optimizer, StepError, TrainConfig, gradients};
use serde_json::Value;

use crate::small;

fn cases() -> Value {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/optimizer.json");
    let text = fs_err::read_to_string(path).expect("the fixture is in the repository");
    serde_json::from_str(&text).expect("the fixture is JSON")
}

#[test]
fn schedules_equal_those_of_transformers() {
    for case in cases()["schedules"].as_array().expect("a list of schedules") {
        let config = TrainConfig {
            schedule: serde_json::from_value(case["schedule"].clone()).expect("a schedule"),
            warmup_steps: case["warmup_steps"].as_u64().expect("a number of steps"),
            ..small::config()
        };
        let steps = case["total_steps"].as_u64().expect("a number of steps");
        let expected: Vec<f64> = serde_json::from_value(case["multipliers"].clone()).expect("numbers");
        for (step, expected) in (0..).zip(expected) {
            let actual = config.rate_multiplier(step, steps);
            assert!((actual - expected).abs() < 1e-12, "{case}: {actual} at step {step}");
        }
    }
}

#[test]
fn every_parameter_is_in_one_group_and_moves_unless_it_is_named_here() {
    let ops = Reference::<f64>::new();
    let all = [
        TrainGate::NoisyTop1,
        TrainGate::StraightThrough,
        TrainGate::Soft,
        TrainGate::Random,
        TrainGate::Uniform,
    ];
    for gate in all {
        let config = TrainConfig { weight_decay: 0.0, ..small::config() };
        let architecture = small::architecture(gate, 0.5);
        let groups = Groups::new(&architecture, &config);
        let counted: usize = groups.counts(&architecture).iter().map(|(_, tensors, _)| tensors).sum();
        assert_eq!(counted, architecture.layout.parameters().len());

        let (inputs, examples) = small::examples();
        let before = small::parameters(&ops, &architecture);
        let mut after = small::parameters(&ops, &architecture);
        let mut optimizer = Optimizer::new(&ops, &architecture, &groups);
        for (step, batch) in Batches::new(&examples, &config).epoch(0).iter().enumerate() {
            let mut own = Tensors::zeros(&ops, &architecture.layout);
            let key = Key::new(step as u64);
            gradients(&ops, &architecture, &after, (&inputs, batch), &config, key, &mut own);
            optimizer
                .step(&ops, &architecture, (&groups, &config), 1.0, &own, &mut after)
                .expect("finite gradients");
        }
        for (id, parameter) in architecture.layout.ids().zip(architecture.layout.parameters()) {
            let name = parameter.name.as_str();
            let no_gate = matches!(gate, TrainGate::Random | TrainGate::Uniform);
            // The loss of the paper's mode does not reach its gate; without decay it stays.
            let silent = name.starts_with("gate.") && (no_gate || gate == TrainGate::NoisyTop1);
            let silent_noise = name.starts_with("noise.") && (no_gate || gate == TrainGate::NoisyTop1);
            let moved = before.get(id) != after.get(id);
            // A bias shared by all keys of a softmax row changes nothing: its gradient is rounding.
            if !name.ends_with("key.bias") {
                assert_eq!(moved, !(silent || silent_noise), "{gate}: `{name}`");
            }
            if silent_noise || (silent && no_gate) {
                assert_eq!(groups.of(id), Group::Untrained, "{gate}: `{name}`");
            }
        }
    }
}

#[test]
fn clipping_scales_all_gradients_to_the_largest_norm() {
    let ops = Reference::<f64>::new();
    for case in cases()["clipping"].as_array().expect("a list of cases") {
        let lists = |key: &str| -> Vec<f64> {
            let nested: Vec<Value> = serde_json::from_value(case[key].clone()).expect("two tensors");
            nested.iter().flat_map(flat).collect()
        };
        let (given, expected) = (lists("gradients"), lists("clipped"));
        let norm = ops.sum_of_squares(&given).sqrt();
        let max_norm = case["max_norm"].as_f64().expect("a norm");
        assert!((norm - case["norm"].as_f64().expect("a norm")).abs() < 1e-9);
        let scale = (max_norm / (norm + 1e-6)).min(1.0);
        for (given, expected) in given.iter().zip(expected) {
            assert!((given * scale - expected).abs() < 1e-9, "{given} becomes {expected}");
        }
    }
    // The optimiser itself reports the norm before clipping, and a clipped first step of AdamW moves as an unclipped one.
    let architecture = small::architecture(TrainGate::Soft, 0.0);
    let (inputs, examples) = small::examples();
    let batch = &Batches::new(&examples, &small::config()).epoch(0)[0];
    let step = |config: &TrainConfig| {
        let groups = Groups::new(&architecture, config);
        let mut parameters = small::parameters(&ops, &architecture);
        let mut own = Tensors::zeros(&ops, &architecture.layout);
        gradients(&ops, &architecture, &parameters, (&inputs, batch), config, Key::new(1), &mut own);
        let mut optimizer = Optimizer::new(&ops, &architecture, &groups);
        let norm = optimizer
            .step(&ops, &architecture, (&groups, config), 1.0, &own, &mut parameters)
            .expect("finite gradients");
        (
            norm,
            ops.sum_of_squares(optimizer.first.get(architecture.layout.ids().next().expect("a parameter"))),
        )
    };
    let (norm, moment) = step(&small::config());
    let clip = norm / 10.0;
    let (same, clipped_moment) = step(&TrainConfig { clip, ..small::config() });
    assert!(norm > 0.0 && (norm - same).abs() < 1e-12, "the norm is that before clipping");
    let ratio = (clipped_moment / moment).sqrt();
    assert!((ratio - clip / (norm + 1e-6)).abs() < 1e-9, "moments shrink by {ratio}");
}

#[test]
fn a_gradient_that_cannot_be_squared_moves_nothing_unless_it_is_clipped() {
    let ops = Cpu::new(1);
    let architecture = small::architecture(TrainGate::Soft, 0.0);
    let step = |value: f32, clip: f64| {
        let config = TrainConfig { clip, ..small::config() };
        let groups = Groups::new(&architecture, &config);
        let mut parameters = small::parameters(&ops, &architecture);
        let mut own = Tensors::zeros(&ops, &architecture.layout);
        own.buffers_mut().next().expect("a parameter")[0] = value;
        let mut optimizer = Optimizer::new(&ops, &architecture, &groups);
        let norm = optimizer.step(&ops, &architecture, (&groups, &config), 1.0, &own, &mut parameters);
        let states = [&parameters, &optimizer.first, &optimizer.second].map(|state| state.download(&ops));
        let new = Optimizer::new(&ops, &architecture, &groups);
        let unmoved = [&small::parameters(&ops, &architecture), &new.first, &new.second]
            .map(|state| state.download(&ops));
        let finite = states.iter().flatten().flatten().all(|number| number.is_finite());
        assert!(finite, "{value:e} with clip {clip}");
        assert_eq!(states == unmoved, norm.is_err(), "{value:e} with clip {clip}");
        assert_eq!(optimizer.steps, u64::from(norm.is_ok()));
        norm
    };
    assert!(step(1e18, 0.0).is_ok());
    assert!(matches!(step(1e25, 0.0), Err(StepError::Gradient { norm }) if (norm / 1e25 - 1.0).abs() < 1e-6));
    assert!(step(1e25, 1.0).is_ok());
    for clip in [0.0, 1.0] {
        assert_eq!(step(f32::INFINITY, clip), Err(StepError::Gradient { norm: f64::INFINITY }));
        assert!(matches!(step(f32::NAN, clip), Err(StepError::Gradient { norm }) if norm.is_nan()));
    }
}

fn flat(value: &Value) -> Vec<f64> {
    value
        .as_array()
        .map_or_else(|| vec![value.as_f64().expect("a number")], |list| list.iter().flat_map(flat).collect())
}
