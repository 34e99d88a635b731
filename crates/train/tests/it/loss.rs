//! The losses against PyTorch in f64: negatives, masks, temperatures, directions, cosines, a teacher's scores.

use sbmoe_kernels::{ContrastiveInputs, Directions, DistillInputs, DistillLoss, Objectives, Ops};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::golden::{Exact, Golden, check};

/// Runs `test` on each case of a list: its id, queries, documents and columns, vectors and JSON.
fn each_case(list: &str, least: usize, mut test: impl FnMut(&Golden, &Case<'_>)) {
    let golden = Golden::open("loss");
    let cases = golden.cases[list].as_array().expect("a list of cases");
    assert!(cases.len() >= least, "only {} cases", cases.len());
    for json in cases {
        let id = json["id"].as_str().expect("an id");
        let size = |key: &str| json[key].as_u64().expect("a size") as usize;
        let size =
            [size("queries"), size("documents"), golden.cases["hidden"].as_u64().expect("a size") as usize];
        let temperature = json["temperature"].as_f64().expect("a temperature");
        test(&golden, &Case { id, json, size, temperature });
    }
}

struct Case<'a> {
    id: &'a str,
    json: &'a Value,
    size: [usize; 3],
    temperature: f64,
}

impl Case<'_> {
    /// A value of the case, or its default where it is absent.
    fn read<T: DeserializeOwned + Default>(&self, key: &str) -> T {
        self.json.get(key).map(|value| serde_json::from_value(value.clone()).expect(key)).unwrap_or_default()
    }

    /// A tensor of both sides.
    fn vectors(&self, golden: &Golden, name: &str) -> Vec<f64> {
        let id = self.id;
        ["queries", "documents"].map(|side| golden.get(&format!("{id}.{name}{side}"))).concat()
    }

    /// Compares the contrastive loss over `vectors` and its accuracy; returns the gradients with respect to those.
    fn contrastive(&self, golden: &Golden, vectors: &Vec<f64>) -> Vec<f64> {
        let ([n_queries, n_documents, hidden], id) = (self.size, self.id);
        let inputs = ContrastiveInputs {
            vectors,
            n_queries,
            n_documents,
            hidden,
            temperature: self.temperature,
            excluded: &self.read::<Vec<(u32, u32)>>("masked"),
            directions: self.read("directions"),
        };
        let mut d_vectors = vec![f64::NAN; vectors.len()];
        let agreement = Exact::new().contrastive(inputs, &mut d_vectors);
        check(&format!("{id}.loss"), &[agreement.loss], &golden.get(&format!("{id}.loss")));
        let accuracy = agreement.correct as f64 / n_queries as f64;
        check(&format!("{id}.accuracy"), &[accuracy], &golden.get(&format!("{id}.accuracy")));
        d_vectors
    }

    fn check_gradients(&self, golden: &Golden, d_vectors: &[f64]) {
        check(&format!("{}.vectors", self.id), d_vectors, &self.vectors(golden, "grad."));
    }
}

#[test]
fn the_loss_and_its_gradients_equal_pytorch() {
    each_case("cases", 6, |golden, case| {
        assert_eq!(case.read::<Directions>("directions"), Directions::OneWay);
        case.check_gradients(golden, &case.contrastive(golden, &case.vectors(golden, "")));
    });
}

#[test]
fn the_loss_of_both_directions_and_its_gradients_equal_pytorch() {
    each_case("symmetric", 5, |golden, case| {
        assert_eq!(case.read::<Directions>("directions"), Directions::Both);
        case.check_gradients(golden, &case.contrastive(golden, &case.vectors(golden, "")));
    });
}

#[test]
fn the_gradients_of_cosines_reach_the_vectors_before_they_are_normalised() {
    each_case("cosine", 2, |golden, case| {
        let (ops, x) = (Exact::new(), case.vectors(golden, ""));
        let columns = case.size[2];
        let (mut unit, mut norms) = (ops.zeros(x.len()), ops.zeros(x.len() / columns));
        ops.normalize(columns, 1e-12, &x, &mut unit, &mut norms);
        let d_unit = case.contrastive(golden, &unit);
        let mut dx = ops.zeros(x.len());
        ops.normalize_backward(columns, 1e-12, &unit, &norms, &d_unit, &mut dx);
        case.check_gradients(golden, &dx);
    });
}

#[test]
fn distillation_and_its_gradients_equal_pytorch() {
    each_case("distillation", 5, |golden, case| {
        let ([n_queries, n_documents, hidden], id) = (case.size, case.id);
        let vectors = case.vectors(golden, "");
        let listed: Option<Vec<Vec<usize>>> = case.read("listed");
        let scored = |pair: usize| {
            listed.as_ref().is_none_or(|rows| rows[pair / n_documents].contains(&(pair % n_documents)))
        };
        let targets = golden.get(&format!("{id}.targets")).into_iter().enumerate();
        let targets: Vec<f32> =
            targets.map(|(pair, target)| if scored(pair) { target as f32 } else { f32::NAN }).collect();
        let loss: Option<DistillLoss> = case.read("loss");
        let inputs = DistillInputs {
            vectors: &vectors,
            n_queries,
            n_documents,
            hidden,
            temperature: case.temperature,
            targets: &targets,
            loss: loss.expect("a loss"),
            weight: golden.cases["distill_weight"].as_f64().expect("a weight"),
        };
        let mut d_vectors = vec![0.0; vectors.len()];
        let value = Exact::new().distill(inputs, &mut d_vectors);
        check(&format!("{id}.loss"), &[value], &golden.get(&format!("{id}.loss")));
        case.check_gradients(golden, &d_vectors);
    });
}
