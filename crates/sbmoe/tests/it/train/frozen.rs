//! Training behind a frozen encoder: its vectors are stored, and stand for their texts in every respect.

use std::path::{Path, PathBuf};

use sbmoe_model::checkpoint::Checkpoint;
use serde_json::Value;

use super::{assert_same_weights, lines};
use crate::program::{bytes, sbmoe, stderr, stdout, succeeds};
use crate::tiny_model::Place;

/// The folder of stored vectors that holds `file`: the queries' or the documents'.
fn stored(place: &Place, file: &str) -> PathBuf {
    let mut folders = fs_err::read_dir(place.run(".pooled")).unwrap().map(|entry| entry.unwrap().path());
    let folder = folders.find(|folder| folder.join(file).exists());
    folder.unwrap_or_else(|| panic!("no folder of stored vectors has `{file}`"))
}

#[test]
fn a_frozen_run_reuses_pooled_vectors_and_repairs_damaged_ones() {
    let place = Place::new();
    let trained = ["--freeze-encoder", "--keep", "last"];
    let first = succeeds(&mut place.train("first", &trained));
    assert!(stderr(&first).contains("pooled vectors: stored in"), "{}", stderr(&first));
    let tensors = |folder: &Path| {
        let file = Checkpoint::open_file(&folder.join("model.safetensors")).unwrap();
        let values = |name: &str| file.get(name).unwrap().values.into_vec();
        file.names().map(|name| (name.to_owned(), values(name))).collect::<Vec<_>>()
    };
    assert!(tensors(&place.run("first/model")) == tensors(&place.model), "the encoder stays as it was");
    let second = succeeds(&mut place.train("second", &trained));
    assert!(stderr(&second).contains("pooled vectors: reused from"), "{}", stderr(&second));

    let cache = stored(&place, "documents.npy");
    let mut damaged = bytes(&cache.join("documents.npy"));
    *damaged.last_mut().unwrap() ^= 1;
    fs_err::write(cache.join("documents.npy"), damaged).unwrap();
    let third = succeeds(&mut place.train("third", &trained));
    assert!(
        stderr(&third).contains("are computed again: `documents.npy` is not the file"),
        "{}",
        stderr(&third)
    );
    assert_same_weights(&place.run("first"), &place.run("second"));
    assert_same_weights(&place.run("first"), &place.run("third"));
}

#[test]
fn pooled_vectors_that_a_killed_run_left_are_taken_up() {
    let place = Place::new();
    succeeds(&mut place.train("first", &["--freeze-encoder"]));
    // All documents were whole and the manifest was not written yet; a changed number shows that they are not computed.
    let of_documents = stored(&place, "documents.npy");
    let mut documents = bytes(&of_documents.join("documents.npy"));
    *documents.last_mut().unwrap() ^= 1;
    fs_err::remove_file(of_documents.join("pooled.json")).unwrap();
    fs_err::remove_file(of_documents.join("documents.npy")).unwrap();
    fs_err::write(of_documents.join("documents.npy.partial"), &documents).unwrap();
    fs_err::write(of_documents.join("documents.npy.rows"), "20").unwrap();
    let of_queries = stored(&place, "queries.npy");
    let queries = bytes(&of_queries.join("queries.npy"));
    fs_err::remove_file(of_queries.join("pooled.json")).unwrap();
    fs_err::write(of_queries.join("queries.npy"), "no rows are known of this one").unwrap();
    succeeds(&mut place.train("second", &["--freeze-encoder"]));
    assert!(bytes(&of_documents.join("documents.npy")) == documents);
    assert!(bytes(&of_queries.join("queries.npy")) == queries);
    assert!(!of_documents.join("documents.npy.rows").exists());
}

#[test]
fn steps_count_the_tokens_of_their_texts() {
    let place = Place::new();
    // All epochs, whatever they are worth.
    let all = ["--patience", "0"];
    succeeds(place.train("frozen", &all).arg("--freeze-encoder"));
    succeeds(place.train("stored", &all).arg("--freeze-encoder"));
    succeeds(&mut place.train("full", &all));
    let tokens = |run: &str| -> Vec<u64> {
        let steps = lines(&place.run(run).join("train.jsonl"));
        steps.iter().map(|line| line["tokens"].as_u64().unwrap()).collect()
    };
    assert_eq!(tokens("frozen"), tokens("full"));
    assert_eq!(tokens("stored"), tokens("full"), "the numbers are stored with the vectors");
    // Two to five queries and as many documents, none of less than five tokens.
    assert!(tokens("full").iter().all(|tokens| *tokens >= 4 * 5), "{:?}", tokens("full"));
}

/// nDCG@10 of the dev queries by the commands, with the random gate under `seed`, or the model's own.
fn searched(place: &Place, seed: &[&str]) -> f64 {
    let (model, data) = (place.run("run/model"), &place.data);
    let (index, hits) = (place.run(&format!("index{}", seed.len())), place.run("hits.trec"));
    let mut encode = sbmoe();
    encode.arg("encode").arg("--model").arg(&model).arg("--corpus").arg(data).arg("--out").arg(&index);
    succeeds(encode.args(seed));
    let mut search = sbmoe();
    search.arg("search").arg("--model").arg(&model).arg("--index").arg(&index).arg("--queries").arg(data);
    succeeds(search.args(["--split", "dev", "--out"]).arg(&hits));
    let mut evaluate = sbmoe();
    evaluate.arg("evaluate").arg("--qrels").arg(data.join("qrels/dev.tsv")).arg("--run").arg(&hits);
    let output = succeeds(evaluate.args(["-m", "nDCG@10", "--json"]));
    let scores: Value = serde_json::from_str(&stdout(&output)).unwrap();
    scores["scores"]["nDCG@10"].as_f64().unwrap()
}

#[test]
fn a_text_has_the_same_random_expert_in_validation_and_in_search() {
    let place = Place::new();
    let random = ["--freeze-encoder", "--train-gate", "random", "--keep", "last", "--seed", "5"];
    // Experts that are far apart from the beginning.
    let apart = ["--start", "random", "--combine", "normalize-mixture"];
    succeeds(&mut place.train("run", &[&random[..], &apart].concat()));
    let validations = lines(&place.run("run/validation.jsonl"));
    let validated = validations.last().unwrap()["nDCG@10"].as_f64().unwrap();
    let same = searched(&place, &[]);
    assert!((same - validated).abs() < 1e-9, "{same} in search, {validated} in validation");
    let other = searched(&place, &["--seed", "6"]);
    assert!((other - validated).abs() > 1e-3, "other experts give another score, else nothing is shown");
}
