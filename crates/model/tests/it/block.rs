//! The block against PyTorch in f64: every mode, every combination, forward and every gradient.

use sbmoe_kernels::Ops;
use sbmoe_model::moe::{Block, BlockConfig, Draws, Gate, Start, TrainGate};
use sbmoe_model::parameters::{Layout, Tensors};
use serde_json::Value;

use crate::golden::{Exact, Golden, check};

struct Case {
    id: String,
    block: Block,
    layout: Layout,
    parameters: Tensors<Vec<f64>>,
    x: Vec<f64>,
    c: Vec<f64>,
    draws: Draws,
}

fn text(case: &Value, key: &str) -> String {
    case[key].as_str().unwrap_or_else(|| panic!("`{key}` of {case}")).to_owned()
}

fn open(golden: &Golden, case: &Value) -> Case {
    let block = text(case, "block");
    let sizes = &golden.cases["blocks"][&block];
    let size = |value: &Value| value.as_u64().expect("a size") as usize;
    let scale = case.get("noise_scale").and_then(Value::as_f64).unwrap_or(0.0);
    let mode = case.get("mode").map_or("soft".to_owned(), |_| text(case, "mode"));
    let combine = case.get("combination").map_or("sum".to_owned(), |_| text(case, "combination"));
    let config = BlockConfig {
        hidden: size(&golden.cases["hidden"]),
        experts: size(&sizes["experts"]),
        expert_width: size(&sizes["width"]),
        gate: Gate::Top1,
        train_gate: mode.parse().expect("a training gate"),
        combine: combine.parse().expect("a combination"),
        gate_noise: scale,
        seed: 0,
        ..BlockConfig::new(1, 1)
    };
    let noisy = scale > 0.0;
    let narrow =
        |values: Vec<f64>, scale: f64| values.iter().map(|v| (v * scale) as f32).collect::<Vec<f32>>();
    let draws = Draws {
        noise: if noisy { narrow(golden.get(&format!("{block}.noise")), scale) } else { Vec::new() },
        uniform: narrow(golden.get(&format!("{block}.draws")), 1.0),
    };
    let mut layout = Layout::default();
    let own = Block::new(config, &mut layout);
    Case {
        id: text(case, "id"),
        parameters: golden.parameters(&layout, &format!("{block}.")),
        x: golden.get(&format!("{block}.x")),
        c: golden.get(&format!("{block}.c")),
        block: own,
        layout,
        draws,
    }
}

fn cases<'a>(golden: &'a Golden, list: &str) -> &'a [Value] {
    golden.cases[list].as_array().expect("a list of cases")
}

#[test]
fn training_equals_pytorch_in_every_mode_and_combination() {
    let (golden, ops) = (Golden::open("block"), Exact::new());
    let all = cases(&golden, "training");
    assert!(all.len() >= 24, "only {} cases", all.len());
    for value in all {
        let case = open(&golden, value);
        let Case { id, block, layout, parameters, x, c, draws } = &case;
        let (y, kept) = block.forward(&ops, parameters, x, draws);
        check(&format!("{id}.y"), &y, &golden.get(&format!("{id}.y")));
        let mut dx = ops.zeros(ops.len(x));
        for dx in [Some(&mut dx), None] {
            // Whatever an earlier step left there is written over, also for experts that saw no row.
            let mut gradients = Tensors::zeros(&ops, layout);
            gradients.buffers_mut().for_each(|gradient| gradient.fill(f64::NAN));
            block.backward(&ops, parameters, x, &kept, c, 0.0, &mut gradients, dx);
            golden.check_gradients(layout, &format!("{id}.grad."), &gradients);
        }
        check(&format!("{id}.grad.x"), &dx, &golden.get(&format!("{id}.grad.x")));
        assert_eq!(block.gate_learns(), value["gate_learns"] == true, "{id}");
    }
}

#[test]
fn the_gate_has_a_gradient_exactly_where_it_learns() {
    let (golden, ops) = (Golden::open("block"), Exact::new());
    for value in cases(&golden, "training") {
        let Case { id, block, layout, parameters, x, c, draws } = open(&golden, value);
        let (_, kept) = block.forward(&ops, &parameters, &x, &draws);
        let mut gradients = Tensors::zeros(&ops, &layout);
        block.backward(&ops, &parameters, &x, &kept, &c, 0.0, &mut gradients, None);
        for gate in block.gate_ids() {
            let moves = ops.sum_of_squares(gradients.get(gate)) > 0.0;
            assert_eq!(moves, block.gate_learns(), "{id}: `{}`", layout.get(gate).name);
        }
    }
}

#[test]
fn use_equals_pytorch_for_every_gate_and_combination() {
    let (golden, ops) = (Golden::open("block"), Exact::new());
    let all = cases(&golden, "inference");
    assert!(all.len() >= 12, "only {} cases", all.len());
    for value in all {
        let Case { id, block, parameters, x, draws, .. } = open(&golden, value);
        let gate: Gate = text(value, "gate").parse().expect("a gate");
        let (y, routed) = block.apply(&ops, &parameters, &x, gate, &draws);
        check(&format!("{id}.y"), &y, &golden.get(&format!("{id}.y")));
        if matches!(gate, Gate::Top1 | Gate::Random) {
            let chosen: Vec<Vec<u32>> =
                serde_json::from_value(value["chosen"].clone()).expect("lists of experts");
            assert_eq!(routed, chosen.concat(), "{id} counts what was routed");
        }
    }
}

#[test]
fn the_load_balance_term_equals_pytorch() {
    let (golden, ops) = (Golden::open("block"), Exact::new());
    for value in cases(&golden, "balance") {
        let Case { id, block, layout, parameters, x, c, draws } = open(&golden, value);
        let gradient = |weight: f64| {
            let (_, kept) = block.forward(&ops, &parameters, &x, &draws);
            let mut gradients = Tensors::zeros(&ops, &layout);
            gradients.buffers_mut().for_each(|gradient| gradient.fill(f64::NAN));
            block.backward(&ops, &parameters, &x, &kept, &c, weight, &mut gradients, None);
            (kept.balance, gradients)
        };
        let (balance, with) = gradient(1.0);
        let (_, without) = gradient(0.0);
        let expected = golden.get(&format!("{id}.value"))[0];
        assert!((balance - expected).abs() < 1e-6, "{id}: {balance} where {expected} is expected");
        for gate in block.gate_ids() {
            let name = format!("{id}.grad.{}", layout.get(gate).name);
            let own: Vec<f64> = with.get(gate).iter().zip(without.get(gate)).map(|(a, b)| a - b).collect();
            let expected = golden.get(&name);
            let largest = expected.iter().fold(1e-3f64, |most, value| most.max(value.abs()));
            for (a, e) in own.iter().zip(&expected) {
                // The fraction of each expert travels as f32.
                assert!((a - e).abs() <= 1e-6 * largest, "`{name}`: {a:e} where {e:e} is expected");
            }
        }
    }
}

#[test]
fn initial_values_follow_pytorch_s_bounds_and_the_seed() {
    let config = BlockConfig {
        hidden: 16,
        experts: 3,
        expert_width: 8,
        gate: Gate::All,
        train_gate: TrainGate::Soft,
        combine: "sum".parse().expect("a combination"),
        gate_noise: 0.0,
        seed: 1,
        ..BlockConfig::new(1, 1)
    };
    let mut layout = Layout::default();
    let block = Block::new(config, &mut layout);
    let values = block.initial_values(&layout, Start::Random, 1);
    for (parameter, values) in layout.parameters().iter().zip(&values) {
        let inputs =
            if parameter.name.contains("up") || parameter.name.contains("gate.output") { 8.0 } else { 16.0 };
        let bound = 1.0 / f32::sqrt(inputs);
        assert!(values.iter().all(|v| v.abs() <= bound), "`{}` leaves ±{bound}", parameter.name);
        assert!(values.iter().any(|v| v.abs() > 0.5 * bound), "`{}` does not fill ±{bound}", parameter.name);
    }
    assert_eq!(values, block.initial_values(&layout, Start::Random, 1));
    assert_ne!(values, block.initial_values(&layout, Start::Random, 2));
}
