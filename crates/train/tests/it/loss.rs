//! The in-batch loss against PyTorch in f64: negatives, masks, temperatures.

use sbmoe_kernels::{ContrastiveInputs, Ops};

use crate::golden::{Exact, Golden, check};

#[test]
fn the_loss_and_its_gradients_equal_pytorch() {
    let (golden, ops) = (Golden::open("loss"), Exact::new());
    let cases = golden.cases["cases"].as_array().expect("a list of cases");
    assert!(cases.len() >= 6, "only {} cases", cases.len());
    for case in cases {
        let id = case["id"].as_str().expect("an id");
        let size = |key: &str| case[key].as_u64().expect("a size") as usize;
        let (n_queries, n_documents, hidden) =
            (size("queries"), size("documents"), golden.cases["hidden"].as_u64().expect("a size") as usize);
        let excluded: Vec<(u32, u32)> = serde_json::from_value(case["masked"].clone()).expect("pairs");
        let both = |name: &str| {
            ["queries", "documents"].map(|side| golden.get(&format!("{id}.{name}{side}"))).concat()
        };
        let inputs = ContrastiveInputs {
            vectors: &both(""),
            n_queries,
            n_documents,
            hidden,
            temperature: case["temperature"].as_f64().expect("a temperature"),
            excluded: &excluded,
        };
        let mut d_vectors = ops.zeros((n_queries + n_documents) * hidden);
        let agreement = ops.contrastive(inputs, &mut d_vectors);
        check(&format!("{id}.loss"), &[agreement.loss], &golden.get(&format!("{id}.loss")));
        let accuracy = agreement.correct as f64 / n_queries as f64;
        check(&format!("{id}.accuracy"), &[accuracy], &golden.get(&format!("{id}.accuracy")));
        check(&format!("{id}.vectors"), &d_vectors, &both("grad."));
    }
}
