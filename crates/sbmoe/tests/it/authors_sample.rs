//! The tiny checkpoint in the form of the paper's code, and what PyTorch says of it.
//!
//! `tools/make_authors_checkpoint.py` wrote all files of the folder.

use std::path::{Path, PathBuf};

use sbmoe_model::checkpoint::Checkpoint;
use serde::Deserialize;

/// What `expected.json` holds.
#[derive(Deserialize)]
pub(crate) struct Expected {
    pub(crate) experts: usize,
    pub(crate) width: usize,
    pub(crate) hidden: usize,
    pub(crate) texts: Vec<ExpectedText>,
}

/// A text, its token ids, its expert, and its vectors under two gates.
#[derive(Deserialize)]
pub(crate) struct ExpectedText {
    pub(crate) text: String,
    pub(crate) ids: Vec<u32>,
    pub(crate) expert: u32,
    top1: Vec<f32>,
    all: Vec<f32>,
}

/// A path below the samples of this crate.
pub(crate) fn sample(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples").join(path)
}

pub(crate) fn expected() -> Expected {
    let text = fs_err::read_to_string(sample("authors/expected.json")).expect("the sample is committed");
    serde_json::from_str(&text).expect("the sample is as the program wrote it")
}

/// Compares every tensor of a saved model with the expected one: the same names, shapes and bits.
#[track_caller]
pub(crate) fn assert_tensors(model: &Path) {
    let open = |path: &Path| Checkpoint::open_file(path).expect("a safetensors file");
    let expected = open(&sample("authors/expected.safetensors"));
    let mut left: Vec<&str> = expected.names().collect();
    for file in ["model.safetensors", "2_SBMoE/model.safetensors"] {
        let found = open(&model.join(file));
        for name in found.names() {
            let tensor = found.get(name).expect("a tensor of floats");
            let same = expected.get(name).expect("no tensor but the expected ones");
            assert!(tensor == same, "`{name}` in `{file}` is {tensor:?} where {same:?} is expected");
            left.retain(|expected| *expected != name);
        }
    }
    assert_eq!(left, [""; 0], "these are missing");
}

/// Compares vectors, text by text, with PyTorch's under `gate`: to 2e-5 in every number.
#[track_caller]
pub(crate) fn assert_vectors(gate: &str, vectors: &[f32]) {
    let Expected { texts, hidden, .. } = expected();
    assert_eq!(vectors.len(), texts.len() * hidden);
    for (text, vector) in texts.iter().zip(vectors.chunks(hidden)) {
        let expected = if gate == "top1" { &text.top1 } else { &text.all };
        for (found, expected) in vector.iter().zip(expected) {
            let error = (found - expected).abs();
            assert!(error <= 2e-5, "`{}` under {gate}: {found}, expected {expected}", text.text);
        }
    }
}
