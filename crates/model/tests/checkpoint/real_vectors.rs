//! all-MiniLM-L6-v2's vectors against sentence-transformers', when the model is at hand.
//!
//! `tools/golden_minilm.py` wrote the numbers: of each sentence's pooled vector the first 16 and the length.

use std::path::Path;
use std::sync::Arc;

use sbmoe_kernels::Cpu;
use sbmoe_model::retriever::Retriever;
use serde::Deserialize;

use crate::real_model::model;

#[derive(Deserialize)]
struct Golden {
    sentences: Vec<Encoded>,
}

#[derive(Deserialize)]
struct Encoded {
    sentence: String,
    leading: Vec<f32>,
    norm: f64,
}

#[test]
fn minilm_s_pooled_vectors_equal_sentence_transformers() {
    let Some(dir) = model() else { return };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/minilm.json");
    let golden: Golden = serde_json::from_str(&fs_err::read_to_string(path).unwrap()).unwrap();
    let retriever = Retriever::open(&dir, Arc::new(Cpu::new(0)), None).unwrap();
    let texts: Vec<Vec<u32>> = golden
        .sentences
        .iter()
        .map(|record| retriever.tokenize_document(&record.sentence).unwrap())
        .collect();
    assert_eq!(texts.last().map(Vec::len), Some(256), "the last sentence is longer than the model reads");
    let vectors = retriever.pooled(&texts);
    assert_eq!(vectors.len(), golden.sentences.len() * 384);
    for (Encoded { sentence, leading, norm }, vector) in golden.sentences.iter().zip(vectors.chunks(384)) {
        assert!(leading.len() == 16 && *norm > 1.0);
        for (place, (found, expected)) in vector.iter().zip(leading).enumerate() {
            let error = (found - expected).abs();
            assert!(error <= 2e-5, "`{sentence}`[{place}]: {found} where {expected} is expected");
        }
        let found = vector.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt();
        assert!((found - norm).abs() <= 2e-5 * norm, "`{sentence}` has length {found}, expected {norm}");
    }
}
