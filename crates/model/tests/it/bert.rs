//! The encoder against PyTorch in f64: hidden states, pooled vectors and every gradient.

use sbmoe_kernels::{Cpu, Key, Ops, Pooling, Precision, Tokens};
use sbmoe_model::architecture::Architecture;
use sbmoe_model::bert::{DropoutPlan, Returning};
use sbmoe_model::folder::BertConfig;
use sbmoe_model::parameters::Tensors;

use crate::golden::{Exact, Golden, check};

fn architecture(golden: &Golden, activation: &str, pooling: Pooling) -> Architecture {
    let mut config = golden.cases["config"].clone();
    config["hidden_act"] = activation.into();
    let config: BertConfig = serde_json::from_value(config).expect("the fixture's config is BERT's");
    Architecture::new(config, pooling, None)
}

fn tokens(golden: &Golden) -> Tokens {
    let texts: Vec<Vec<u32>> =
        serde_json::from_value(golden.cases["texts"].clone()).expect("lists of token ids");
    Tokens::new(&texts, 0)
}

/// Gradients of `Σ c ⊙ pooled`.
fn gradients(golden: &Golden, architecture: &Architecture) -> Tensors<Vec<f64>> {
    let (ops, tokens) = (Exact::new(), tokens(golden));
    let parameters = golden.parameters(&architecture.layout, "");
    let mut gradients = Tensors::zeros(&ops, &architecture.layout);
    let off = DropoutPlan::off();
    let (_, kept) = architecture.forward_pooled(&ops, &parameters, &tokens, &off);
    let part = Returning { tokens: &tokens, kept, gradient: golden.get("c") };
    architecture.backward_pooled(&ops, &parameters, &off, [part], &mut gradients);
    gradients
}

#[test]
fn hidden_states_and_pooled_vectors_equal_pytorch() {
    let golden = Golden::open("bert");
    for activation in ["gelu", "gelu_new", "relu"] {
        let (ops, tokens) = (Exact::new(), tokens(&golden));
        let architecture = architecture(&golden, activation, Pooling::Mean);
        let parameters = golden.parameters(&architecture.layout, "");
        let hidden = architecture.bert.hidden_states(&ops, &parameters, &tokens);
        check(activation, &hidden, &golden.get(&format!("{activation}.hidden")));
        let pooled = architecture.pooled(&ops, &parameters, &tokens);
        check(activation, &pooled, &golden.get(&format!("{activation}.pooled.mean")));
    }
    for pooling in [Pooling::Cls, Pooling::Max] {
        let architecture = architecture(&golden, "gelu", pooling);
        let parameters = golden.parameters(&architecture.layout, "");
        let pooled = architecture.pooled(&Exact::new(), &parameters, &tokens(&golden));
        check("pooled", &pooled, &golden.get(&format!("gelu.pooled.{pooling}")));
    }
}

#[test]
fn every_gradient_equals_pytorch() {
    let golden = Golden::open("bert");
    for activation in ["gelu", "gelu_new", "relu"] {
        let architecture = architecture(&golden, activation, Pooling::Mean);
        let gradients = gradients(&golden, &architecture);
        golden.check_gradients(&architecture.layout, &format!("{activation}.grad.mean."), &gradients);
    }
}

#[test]
fn the_gradient_passes_every_pooling() {
    let golden = Golden::open("bert");
    for pooling in [Pooling::Cls, Pooling::Max] {
        let architecture = architecture(&golden, "gelu", pooling);
        let gradients = gradients(&golden, &architecture);
        let word = architecture.layout.ids().next().expect("the word table comes first");
        let name = format!("gelu.grad.{pooling}.embeddings.word_embeddings.weight");
        check(&name, gradients.get(word), &golden.get(&name));
    }
}

#[test]
fn a_batch_equals_its_texts_alone() {
    let golden = Golden::open("bert");
    let architecture = architecture(&golden, "gelu", Pooling::Mean);
    let (ops, parameters) = (Exact::new(), golden.parameters(&architecture.layout, ""));
    let together = architecture.pooled(&ops, &parameters, &tokens(&golden));
    let texts: Vec<Vec<u32>> =
        serde_json::from_value(golden.cases["texts"].clone()).expect("lists of token ids");
    let alone = texts.iter().flat_map(|text| {
        let tokens = Tokens::new(std::slice::from_ref(text), 0);
        ops.download(&architecture.pooled(&ops, &parameters, &tokens)).into_iter().map(f64::from)
    });
    for (a, b) in together.iter().zip(alone) {
        assert!((a - b).abs() < 1e-6 * (1.0 + b.abs()), "{a} where the text alone gives {b}");
    }
}

/// Gradients of some parts, all at once or one after the other.
fn gradients_of_parts(
    cpu: &Cpu,
    (layers, precision): (usize, Precision),
    parts: &[Tokens],
    at_once: bool,
) -> Vec<Vec<f32>> {
    let golden = Golden::open("bert");
    let mut config = golden.cases["config"].clone();
    config["num_hidden_layers"] = layers.into();
    let config: BertConfig = serde_json::from_value(config).expect("the fixture's config is BERT's");
    let mut architecture = Architecture::new(config, Pooling::Mean, None);
    architecture.bert.set_precision(precision);
    let draw = |place: usize, n: usize| -> Vec<f32> {
        (0..n).map(|i| 0.3 * Key::new(1).with(place as u64).with(i as u64).normal() as f32).collect()
    };
    let layout = architecture.layout.parameters().iter().enumerate();
    let values: Vec<Vec<f32>> = layout.map(|(place, parameter)| draw(place, parameter.len())).collect();
    let (parameters, dropout) = (Tensors::upload(cpu, &values), DropoutPlan::new(0.1, 0.1, Key::new(2)));
    let mut gradients = Tensors::zeros(cpu, &architecture.layout);
    let returning = parts.iter().enumerate().map(|(place, tokens)| {
        let (pooled, kept) = architecture.forward_pooled(cpu, &parameters, tokens, &dropout);
        Returning { tokens, kept, gradient: cpu.upload(&draw(1000 + place, pooled.len())) }
    });
    if at_once {
        architecture.backward_pooled(cpu, &parameters, &dropout, returning, &mut gradients);
    } else {
        for part in returning {
            architecture.backward_pooled(cpu, &parameters, &dropout, [part], &mut gradients);
        }
    }
    gradients.download(cpu)
}

#[test]
fn parts_that_go_back_together_give_the_bytes_of_parts_one_by_one() {
    for precision in [Precision::F32, Precision::Bf16] {
        for (layers, n_parts) in [(0, 3), (2, 0), (2, 1), (2, 2), (2, 5), (3, 3)] {
            let text = |part: u32| (0..5 + part % 3).map(|i| 1 + (7 * part + i) % 11).collect::<Vec<u32>>();
            let parts: Vec<Tokens> =
                (0..n_parts).map(|part| Tokens::new(&[text(part), text(part + 1)], 2 * part)).collect();
            let expected = gradients_of_parts(&Cpu::new(1), (layers, precision), &parts, false);
            for threads in [1, 2, 3] {
                let found = gradients_of_parts(&Cpu::new(threads), (layers, precision), &parts, true);
                assert_eq!(
                    found, expected,
                    "{precision}, {layers} layers, {n_parts} parts, {threads} threads"
                );
            }
            assert!(n_parts == 0 || expected.iter().flatten().any(|x| *x != 0.0));
        }
    }
}
