//! `sbmoe import` of what `torch.save` wrote, in both its formats: every tensor arrives under its name, and the vectors
//! are those of PyTorch.

use std::path::{Path, PathBuf};
use std::process::Command;

use sbmoe_index::Vectors;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::authors_sample::{Expected, assert_tensors, assert_vectors, expected, sample};
use crate::program::{bytes, fails, sbmoe, stderr, stdout, succeeds};
use crate::tiny_model::write_model;

fn import(checkpoint: &Path, base: &Path, out: &Path) -> Command {
    let mut command = sbmoe();
    command.arg("import").arg("--checkpoint").arg(checkpoint).arg("--model").arg(base).arg("--out").arg(out);
    command
}

/// The imported sample in a folder of its own.
fn imported(file: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("model");
    let output = succeeds(&mut import(&sample("authors").join(file), &sample("authors/base"), &out));
    assert!(stdout(&output).starts_with("3 experts → "), "{}", stdout(&output));
    assert_eq!(stderr(&output), "", "the pooler is a part that every such file has, so nothing is warned of");
    (folder, out)
}

#[test]
fn every_tensor_of_both_formats_arrives_under_its_name() {
    for file in ["zip.pt", "legacy.pt"] {
        let (_folder, model) = imported(file);
        assert_tensors(&model);
        let config = |path: &str| -> Value { serde_json::from_slice(&bytes(&model.join(path))).unwrap() };
        let (block, Expected { experts, width, hidden, .. }) = (config("2_SBMoE/config.json"), expected());
        assert_eq!(
            [&block["experts"], &block["expert_width"], &block["hidden"], &block["gate"]],
            [&json!(experts), &json!(width), &json!(hidden), &json!("top1")]
        );
        assert_eq!(config("sentence_bert_config.json")["do_lower_case"], true, "as the paper's code trains");
    }
}

#[test]
fn an_imported_model_gives_the_vectors_of_pytorch() {
    let (folder, model) = imported("legacy.pt");
    let corpus = folder.path().join("corpus.jsonl");
    let line = |(place, text): (usize, &str)| json!({"_id": place.to_string(), "text": text}).to_string();
    let texts = expected().texts;
    let lines: Vec<String> = texts.iter().map(|text| text.text.as_str()).enumerate().map(line).collect();
    fs_err::write(&corpus, lines.join("\n")).unwrap();
    for gate in ["top1", "all"] {
        let index = folder.path().join(gate);
        let mut command = sbmoe();
        command.arg("encode").arg("--model").arg(&model).arg("--corpus").arg(&corpus);
        succeeds(command.args(["--gate", gate, "--out"]).arg(&index));
        assert_vectors(gate, Vectors::open(&index.join("vectors.npy")).unwrap().as_slice());
    }
}

#[test]
fn a_file_that_does_not_fit_leaves_no_model() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("model");
    let refuse = |checkpoint: &Path, base: &Path, facts: &[&str]| {
        let message = fails(&mut import(checkpoint, base, &out));
        for fact in facts {
            assert!(message.contains(fact), "`{fact}` is not in {message}");
        }
        assert!(!out.exists(), "{message}");
    };
    let (base, zip) = (sample("authors/base"), sample("authors/zip.pt"));
    let other = write_model(folder.path());
    refuse(&zip, &other, &["zip.pt", "8 numbers and the base model 16", "name the base model"]);
    for file in ["zip.pt", "legacy.pt"] {
        let whole = bytes(&sample("authors").join(file));
        let cut = folder.path().join(file);
        fs_err::write(&cut, &whole[..whole.len() - 1000]).unwrap();
        refuse(&cut, &base, &[file]);
    }
    // An encoder of the older days, saved without a block.
    let plain = Path::new(env!("CARGO_MANIFEST_DIR")).join("../model/tests/data/checkpoint/legacy.bin");
    refuse(&plain, &base, &["legacy.bin", "no expert"]);
}
