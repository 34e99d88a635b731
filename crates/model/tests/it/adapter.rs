//! What a block may be besides the paper's, against PyTorch in f64: a linear map, a scaled input, a residual, a start at
//! the encoder, and a block for one side between two normalisations.

use sbmoe_kernels::{Ops, Pooling};
use sbmoe_model::architecture::Architecture;
use sbmoe_model::folder::BertConfig;
use sbmoe_model::moe::{Block, BlockConfig, BlockKind, Draws, Gate, Side, Sides};
use sbmoe_model::parameters::{Layout, Tensors};
use serde_json::{Value, json};

use crate::golden::{Exact, Golden, check};

fn text<'a>(case: &'a Value, key: &str) -> &'a str {
    case[key].as_str().unwrap_or_else(|| panic!("`{key}` of {case}"))
}

fn number(case: &Value, key: &str) -> f64 {
    case[key].as_f64().unwrap_or_else(|| panic!("`{key}` of {case}"))
}

fn cases<'a>(golden: &'a Golden, list: &str) -> &'a [Value] {
    golden.cases[list].as_array().expect("a list of cases")
}

/// The block of a case, used as `gate`.
fn config(golden: &Golden, case: &Value, gate: Gate) -> BlockConfig {
    let hidden = golden.cases["hidden"].as_u64().expect("a size") as usize;
    let sizes = &golden.cases["blocks"][text(case, "block")];
    let size = |key: &str| sizes[key].as_u64().map(|size| size as usize);
    let shared = match text(sizes, "kind").parse().expect("a kind of block") {
        BlockKind::Linear => BlockConfig::linear(hidden, size("rank")),
        BlockKind::Experts => BlockConfig {
            expert_width: size("width").expect("a width"),
            combine: text(case, "combination").parse().expect("a combination"),
            gate,
            ..BlockConfig::new(hidden, size("experts").expect("a number of experts"))
        },
    };
    let config = BlockConfig { input_scale: number(case, "input_scale"), ..shared };
    config.check().expect("a block that can be saved");
    config
}

struct Case<'a> {
    id: &'a str,
    block: Block,
    layout: Layout,
    parameters: Tensors<Vec<f64>>,
    x: Vec<f64>,
    c: Vec<f64>,
}

impl<'a> Case<'a> {
    fn open(golden: &Golden, case: &'a Value, config: BlockConfig) -> Self {
        let (mut layout, name) = (Layout::default(), text(case, "block"));
        let block = Block::new(config, &mut layout);
        Self {
            id: text(case, "id"),
            parameters: golden.parameters(&layout, &format!("{name}.")),
            x: golden.get(&format!("{name}.x")),
            c: golden.get(&format!("{name}.c")),
            block,
            layout,
        }
    }

    /// `y` in training and every gradient of L = Σ c ⊙ y, where an earlier step left something.
    fn trained(&self, ops: Exact, dx: Option<&mut Vec<f64>>) -> (Vec<f64>, Tensors<Vec<f64>>) {
        let Self { block, layout, parameters, x, c, .. } = self;
        let (y, kept) = block.forward(&ops, parameters, x, &Draws::default());
        let mut gradients = Tensors::zeros(&ops, layout);
        gradients.buffers_mut().for_each(|gradient| gradient.fill(f64::NAN));
        block.backward(&ops, parameters, x, &kept, c, 0.0, &mut gradients, dx);
        (y, gradients)
    }
}

#[test]
fn training_equals_pytorch_for_linear_maps_and_scaled_inputs() {
    let (golden, ops) = (Golden::open("adapter"), Exact::new());
    let all = cases(&golden, "training");
    assert!(all.len() >= 7, "only {} cases", all.len());
    for value in all {
        // The residual belongs to use: training has the whole term.
        let config = BlockConfig { residual: 0.5, ..config(&golden, value, Gate::All) };
        let case = Case::open(&golden, value, config);
        let id = case.id;
        let mut dx = ops.zeros(ops.len(&case.x));
        for dx in [Some(&mut dx), None] {
            let (y, gradients) = case.trained(ops, dx);
            check(&format!("{id}.y"), &y, &golden.get(&format!("{id}.y")));
            golden.check_gradients(&case.layout, &format!("{id}.grad."), &gradients);
        }
        check(&format!("{id}.grad.x"), &dx, &golden.get(&format!("{id}.grad.x")));
    }
}

#[test]
fn use_equals_pytorch_with_half_of_what_was_trained() {
    let (golden, ops) = (Golden::open("adapter"), Exact::new());
    let all = cases(&golden, "inference");
    assert!(all.len() >= 10, "only {} cases", all.len());
    for value in all {
        let gate: Gate = text(value, "gate").parse().expect("a gate");
        let config = BlockConfig { residual: number(value, "residual"), ..config(&golden, value, gate) };
        assert!(config.residual < 1.0, "{value}");
        let Case { id, block, parameters, x, .. } = Case::open(&golden, value, config);
        let (y, routed) = block.apply(&ops, &parameters, &x, gate, &Draws::default());
        check(&format!("{id}.y"), &y, &golden.get(&format!("{id}.y")));
        match gate {
            Gate::Top1 => {
                let chosen: Vec<Vec<u32>> =
                    serde_json::from_value(value["chosen"].clone()).expect("lists of experts");
                assert_eq!(routed, chosen.concat(), "{id}");
            }
            Gate::Uniform => assert!(routed.is_empty(), "{id}: a linear map routes nothing"),
            Gate::All | Gate::Random => {}
        }
    }
}

/// The first step of AdamW, where both moments were zero.
fn first_step(parameter: &mut [f64], gradient: &[f64], optimizer: &Value) {
    let [lr, epsilon, decay] = ["lr", "eps", "weight_decay"].map(|key| number(optimizer, key));
    let beta = |place: usize| optimizer["betas"][place].as_f64().expect("a decay rate");
    for (value, g) in parameter.iter_mut().zip(gradient) {
        let (m, v) = ((1.0 - beta(0)) * g, (1.0 - beta(1)) * g * g);
        let (m, v) = (m / (1.0 - beta(0)), v / (1.0 - beta(1)));
        *value -= lr * (decay * *value + m / (v.sqrt() + epsilon));
    }
}

#[test]
fn a_block_that_starts_at_the_encoder_leaves_it_as_pytorch_s_does() {
    let (golden, ops) = (Golden::open("adapter"), Exact::new());
    for value in cases(&golden, "zero_start") {
        let mut case = Case::open(&golden, value, config(&golden, value, Gate::All));
        let id = case.id;
        let (y, gradients) = case.trained(ops, None);
        assert_eq!(y, case.x, "every expert gives zero");
        check(&format!("{id}.first.y"), &y, &golden.get(&format!("{id}.first.y")));
        golden.check_gradients(&case.layout, &format!("{id}.first.grad."), &gradients);
        for (own, parameter) in case.layout.ids().zip(case.layout.parameters()) {
            let moves = gradients.get(own).iter().any(|g| *g != 0.0);
            assert_eq!(moves, parameter.name.contains(".up."), "`{}`", parameter.name);
            first_step(case.parameters.get_mut(own), gradients.get(own), &value["optimizer"]);
            let name = format!("{id}.after.{}", parameter.name);
            check(&name, case.parameters.get(own), &golden.get(&name));
        }
        let (y, gradients) = case.trained(ops, None);
        check(&format!("{id}.second.y"), &y, &golden.get(&format!("{id}.second.y")));
        golden.check_gradients(&case.layout, &format!("{id}.second.grad."), &gradients);
        for gate in case.block.gate_ids() {
            assert!(ops.sum_of_squares(gradients.get(gate)) > 0.0, "`{}`", case.layout.get(gate).name);
        }
    }
}

/// A retriever whose only parameters with values are the block's.
fn retriever(golden: &Golden, case: &Value) -> (Architecture, Tensors<Vec<f64>>) {
    let bert: BertConfig = serde_json::from_value(json!({
        "vocab_size": 2, "hidden_size": golden.cases["hidden"], "num_hidden_layers": 1, "num_attention_heads": 1,
        "intermediate_size": 2, "max_position_embeddings": 2,
    }))
    .expect("a BERT configuration");
    let sides: Sides = text(case, "sides").parse().expect("a side");
    let block = BlockConfig { sides, ..config(golden, case, Gate::All) };
    let mut architecture = Architecture::new(bert, Pooling::Mean, Some(block));
    architecture.normalize = true;
    let first = architecture.encoder_parameters();
    let values = |(place, name, len): (usize, &str, usize)| {
        if place < first { vec![0.0; len] } else { golden.get(&format!("{}.{name}", text(case, "block"))) }
    };
    let parameters = architecture.layout.parameters().iter().enumerate();
    let buffers =
        parameters.map(|(place, parameter)| values((place, &parameter.name, parameter.len()))).collect();
    (architecture, Tensors::from_buffers(buffers))
}

#[test]
fn a_block_for_one_side_between_two_normalisations_equals_pytorch() {
    let (golden, ops) = (Golden::open("adapter"), Exact::new());
    let all = cases(&golden, "chain");
    assert!(all.len() >= 3, "only {} cases", all.len());
    for case in all {
        let (id, block) = (text(case, "id"), text(case, "block"));
        let (architecture, parameters) = retriever(&golden, case);
        let [x, c] = ["x", "c"].map(|name| golden.get(&format!("{block}.{name}")));
        let expected = golden.get(&format!("{id}.z"));
        let n_queries = case["queries"].as_array().expect("rows").len();
        let (z, kept) = architecture.forward_compared(&ops, &parameters, &x, n_queries, &Draws::default());
        check(&format!("{id}.z"), &z, &expected);

        let mut dx = ops.zeros(ops.len(&x));
        for dx in [Some(&mut dx), None] {
            let mut gradients = Tensors::zeros(&ops, &architecture.layout);
            gradients.buffers_mut().for_each(|gradient| gradient.fill(f64::NAN));
            architecture.backward_compared(&ops, &parameters, (&x, &z), &kept, &c, 0.0, &mut gradients, dx);
            let own = architecture.layout.ids().zip(architecture.layout.parameters());
            for (own, parameter) in own.skip(architecture.encoder_parameters()) {
                let name = format!("{id}.grad.{}", parameter.name);
                check(&name, gradients.get(own), &golden.get(&name));
            }
        }
        check(&format!("{id}.grad.x"), &dx, &golden.get(&format!("{id}.grad.x")));

        // In use each side comes alone; the soft gate in training is `all` in use.
        let gate = architecture.block.as_ref().expect("there is a block").config().gate;
        let (queries, documents) = x.split_at(n_queries * architecture.hidden());
        let sides = [(Side::Query, queries), (Side::Document, documents)];
        let in_use = sides.map(|(side, x)| {
            architecture.compared(&ops, &parameters, &x.to_vec(), (side, gate), &Draws::default()).0
        });
        check(&format!("{id}.z"), &in_use.concat(), &expected);
    }
}
