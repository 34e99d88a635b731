//! A saved model of an older version still opens, and gives the vectors that it gave.
//!
//! `tests/samples/README.md` says how the sample was made. The index's sample is tested with the index folder.

use std::path::Path;
use std::sync::Arc;

use sbmoe_kernels::Cpu;
use sbmoe_model::folder::{Similarity, fingerprint};
use sbmoe_model::moe::{BlockConfig, Combine, Gate, Side, TrainGate};
use sbmoe_model::retriever::Retriever;

use crate::authors_sample::{assert_tensors, assert_vectors, expected, sample};
use crate::program::{sbmoe, stdout, succeeds};

/// What indexes of the sample's time say of their model.
const FINGERPRINT: &str = "4d659d19b8a9ec5dd2291f9bac62dda68c8109cfdd9264c61b9084606b6b4001";

fn open(folder: &Path) -> Retriever<Cpu> {
    Retriever::open(folder, Arc::new(Cpu::new(1)), None).expect("a saved model of version 1 is read")
}

#[test]
fn a_saved_model_of_version_1_still_opens() {
    let folder = sample("model-version-1");
    let retriever = open(&folder);
    assert_tensors(&folder);
    let block = retriever.architecture.block.as_ref().expect("the sample has a block");
    let expected_block = BlockConfig {
        hidden: 8,
        experts: 3,
        expert_width: 4,
        gate: Gate::Top1,
        train_gate: TrainGate::NoisyTop1,
        combine: Combine::NormalizeMixture,
        gate_noise: 1.0,
        seed: 42,
        ..BlockConfig::new(1, 1)
    };
    assert_eq!(*block.config(), expected_block);
    assert_eq!((retriever.max_length(), retriever.tokenizer().lower_case()), (16, true));
    assert_eq!(retriever.folder.similarity, Some(Similarity::Dot));
    assert!(!retriever.folder.normalize && retriever.folder.prompts.are_empty());
    assert_eq!(retriever.unexpected, [""; 0]);
}

#[test]
fn a_saved_model_of_version_1_gives_the_vectors_that_it_gave() {
    let retriever = open(&sample("model-version-1"));
    let texts = expected().texts;
    let ids: Vec<Vec<u32>> =
        texts.iter().map(|text| retriever.tokenize_document(&text.text).expect("a text")).collect();
    assert_eq!(ids, texts.iter().map(|text| text.ids.clone()).collect::<Vec<_>>());
    let x = retriever.pooled(&ids);
    for (name, gate) in [("top1", Gate::Top1), ("all", Gate::All)] {
        let (y, routed) = retriever.apply_block(&x, Side::Document, gate, &[]);
        assert_vectors(name, &y);
        assert_eq!(routed, texts.iter().map(|text| text.expert).collect::<Vec<_>>());
    }
}

#[test]
fn a_saved_model_of_version_1_is_the_model_that_its_indexes_name() {
    let stored = sample("model-version-1");
    assert_eq!(fingerprint(&stored).unwrap().model, FINGERPRINT);
    // Computed from the files rather than read, it is the same one.
    let folder = tempfile::tempdir().unwrap();
    for path in ["", "1_Pooling", "2_SBMoE"] {
        fs_err::create_dir_all(folder.path().join(path)).unwrap();
        for entry in fs_err::read_dir(stored.join(path)).unwrap() {
            let from = entry.unwrap().path();
            let name = from.file_name().unwrap().to_owned();
            if from.is_file() && name != "sbmoe.json" {
                fs_err::copy(&from, folder.path().join(path).join(name)).unwrap();
            }
        }
    }
    assert_eq!(fingerprint(folder.path()).unwrap().model, FINGERPRINT);
}

#[test]
fn the_program_encodes_with_a_saved_model_of_version_1() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = folder.path().join("corpus.jsonl");
    fs_err::write(&corpus, "{\"_id\": \"d1\", \"text\": \"the tide rose\"}\n").unwrap();
    let mut command = sbmoe();
    command.arg("encode").arg("--model").arg(sample("model-version-1")).arg("--corpus").arg(&corpus);
    let output = succeeds(command.arg("--json").arg("--out").arg(folder.path().join("index")));
    let report: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(report["fingerprint"], FINGERPRINT);
}
