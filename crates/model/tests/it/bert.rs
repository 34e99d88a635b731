//! The encoder against PyTorch in f64: hidden states, pooled vectors and every gradient.

use sbmoe_kernels::{Ops, Pooling, Tokens};
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
