//! What a model makes of the collection, by the commands that come after training.

use std::path::Path;
use std::process::Command;

use sbmoe_index::Vectors;
use serde_json::Value;

use crate::program::{sbmoe, stdout, succeeds};
use crate::tiny_model::Place;

impl Place {
    /// `sbmoe encode` of the corpus into `index`.
    pub(super) fn encode(&self, model: &Path, index: &str, more: &[&str]) -> Command {
        let mut command = sbmoe();
        command.arg("encode").arg("--model").arg(model).arg("--corpus").arg(&self.data);
        command.arg("--out").arg(self.run(index)).args(more);
        command
    }

    /// The vectors of the corpus by a model; they stay in `index`.
    pub(super) fn vectors(&self, model: &Path, index: &str, more: &[&str]) -> Vec<f32> {
        succeeds(&mut self.encode(model, index, more));
        Vectors::open(&self.run(index).join("vectors.npy")).unwrap().as_slice().to_vec()
    }

    /// `sbmoe search` of every document in `index` for one question.
    pub(super) fn search(&self, model: &Path, index: &str) -> Command {
        let mut command = sbmoe();
        command.arg("search").arg("--model").arg(model).arg("--index").arg(self.run(index));
        command.args(["--queries", "who lives among reeds", "--k", "20", "--json"]);
        command
    }

    /// Each document's score for that question, by id.
    pub(super) fn scores(&self, model: &Path, index: &str) -> Vec<(String, f64)> {
        let output = succeeds(&mut self.search(model, index));
        let answer: Value = serde_json::from_str(&stdout(&output)).unwrap();
        let hits = answer["hits"].as_array().unwrap().iter();
        let mut scores: Vec<(String, f64)> =
            hits.map(|hit| (hit["id"].to_string(), hit["score"].as_f64().unwrap())).collect();
        scores.sort_by(|left, right| left.0.cmp(&right.0));
        assert_eq!(scores.len(), 20);
        scores
    }
}
