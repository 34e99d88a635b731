//! Reads the fixtures that `tools/make_goldens.py` wrote: tensors in f32 or f64 and the cases beside them.

use std::path::PathBuf;

use safetensors::{Dtype, SafeTensors};
use sbmoe_kernels::Reference;
use sbmoe_model::parameters::{Layout, Tensors};

/// The operators in f64, in which expected values were computed.
pub(crate) type Exact = Reference<f64>;

/// One fixture: its tensors and its cases.
pub(crate) struct Golden {
    bytes: Vec<u8>,
    /// The JSON beside the tensors.
    pub(crate) cases: serde_json::Value,
}

impl Golden {
    pub(crate) fn open(name: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
        let bytes =
            fs_err::read(path.with_extension("safetensors")).expect("the fixture is in the repository");
        let cases = fs_err::read_to_string(path.with_extension("json")).expect("so are its cases");
        Self { bytes, cases: serde_json::from_str(&cases).expect("the cases are JSON") }
    }

    /// A tensor's values, widened to f64.
    pub(crate) fn get(&self, name: &str) -> Vec<f64> {
        let file = SafeTensors::deserialize(&self.bytes).expect("the fixture is a safetensors file");
        let view = file.tensor(name).unwrap_or_else(|error| panic!("`{name}`: {error}"));
        let data = view.data();
        match view.dtype() {
            Dtype::F64 => {
                data.chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().expect("8 bytes"))).collect()
            }
            Dtype::F32 => data
                .chunks_exact(4)
                .map(|b| f64::from(f32::from_le_bytes(b.try_into().expect("4 bytes"))))
                .collect(),
            other => panic!("`{name}` is of type {other:?}"),
        }
    }

    /// The parameters that `layout` declares, stored under `prefix`.
    pub(crate) fn parameters(&self, layout: &Layout, prefix: &str) -> Tensors<Vec<f64>> {
        Tensors::from_buffers(
            layout.parameters().iter().map(|p| self.get(&format!("{prefix}{}", p.name))).collect(),
        )
    }

    /// Compares every gradient by name.
    pub(crate) fn check_gradients(&self, layout: &Layout, prefix: &str, gradients: &Tensors<Vec<f64>>) {
        for (id, parameter) in layout.ids().zip(layout.parameters()) {
            let name = format!("{prefix}{}", parameter.name);
            check(&name, gradients.get(id), &self.get(&name));
        }
    }
}

/// Compares within 1e-9 of the largest expected value.
///
/// A key's bias is given ten times that: no softmax changes with it, so its gradient is rounding alone, which AdamW makes
/// as large as any other.
pub(crate) fn check(name: &str, actual: &[f64], expected: &[f64]) {
    let tolerance = if name.ends_with("attention.self.key.bias") { 1e-8 } else { 1e-9 };
    assert_eq!(actual.len(), expected.len(), "`{name}` has another size");
    let largest = expected.iter().fold(1e-3f64, |most, value| most.max(value.abs()));
    for (place, (a, e)) in actual.iter().zip(expected).enumerate() {
        assert!((a - e).abs() <= tolerance * largest, "`{name}`[{place}]: {a:e} where {e:e} is expected");
    }
}
