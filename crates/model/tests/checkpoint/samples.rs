//! Where the samples lie, and small things to build others from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sbmoe_model::checkpoint::{Tensor, Values};
use serde_json::Value;

/// A path below `tests/data`.
pub(crate) fn sample(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(path)
}

/// The tensors that PyTorch says a group of samples holds.
pub(crate) fn expected(group: &str) -> BTreeMap<String, Tensor> {
    let text = fs_err::read_to_string(sample("checkpoint/expected.json")).unwrap();
    let groups: Value = serde_json::from_str(&text).unwrap();
    let tensors = groups[group].as_object().unwrap();
    tensors
        .iter()
        .map(|(name, tensor)| {
            let shape = tensor["shape"].as_array().unwrap();
            let values = tensor["values"].as_array().unwrap();
            let shape = shape.iter().map(|extent| extent.as_u64().unwrap() as usize).collect();
            let values: Vec<f32> = values.iter().map(|value| value.as_f64().unwrap() as f32).collect();
            (name.clone(), Tensor { shape, values: Values::Own(values) })
        })
        .collect()
}

/// A safetensors file around a header and raw bytes.
pub(crate) fn safetensors(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
}

/// Writes a file in a folder and returns its path.
pub(crate) fn put(dir: &Path, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = dir.join(name);
    fs_err::create_dir_all(path.parent().unwrap()).unwrap();
    fs_err::write(&path, content).unwrap();
    path
}
