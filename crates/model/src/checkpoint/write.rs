//! Writing safetensors files: the same tensors give the same bytes, and a file is whole or not there.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use fs_err::File;
use serde_json::json;

use super::{CheckpointError, NotFinite};
use crate::atomic;

/// A tensor to write, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct NamedTensor<'a> {
    /// The name in the file.
    pub name: &'a str,
    /// The extent of each dimension.
    pub shape: &'a [usize],
    /// The numbers in row-major order.
    pub values: &'a [f32],
}

/// Writes tensors that are in memory: see [`stream_safetensors`].
///
/// # Errors
/// As for [`stream_safetensors`].
///
/// # Panics
/// As for [`stream_safetensors`].
pub fn write_safetensors(
    path: &Path,
    tensors: &[NamedTensor<'_>],
    metadata: &BTreeMap<String, String>,
) -> Result<(), CheckpointError> {
    let heads: Vec<_> = tensors.iter().map(|tensor| (tensor.name, tensor.shape)).collect();
    stream_safetensors(path, &heads, metadata, |tensor| Cow::Borrowed(tensors[tensor].values))
}

/// Writes tensors as f32, sorted by name, with `metadata` in the header.
///
/// `tensors` are names and shapes; `values` is asked for the numbers of each by its place there, once and one after the
/// other, so that no more than one needs to be in memory.
///
/// The bytes depend on the arguments' content only, not on their order. The file is written under a temporary name,
/// flushed to the disk and renamed, so that `path` holds the old or the new content at every moment.
///
/// # Errors
/// A number that is not finite, or a write that fails (the temporary file is removed then).
///
/// # Panics
/// Panics if a shape does not match its values or a name occurs twice: both are mistakes of the caller.
pub fn stream_safetensors<'a>(
    path: &Path,
    tensors: &[(&str, &[usize])],
    metadata: &BTreeMap<String, String>,
    values: impl FnMut(usize) -> Cow<'a, [f32]>,
) -> Result<(), CheckpointError> {
    let mut order: Vec<usize> = (0..tensors.len()).collect();
    order.sort_by_key(|&tensor| tensors[tensor].0);
    for pair in order.windows(2) {
        assert_ne!(tensors[pair[0]].0, tensors[pair[1]].0, "a name occurs once in a file");
    }

    let file = Writing { path, tensors, order: &order };
    atomic::write(path, |writer| file.write(writer, metadata, values))
}

/// A file to write.
struct Writing<'a> {
    /// What it is called, for errors.
    path: &'a Path,
    /// Names and shapes.
    tensors: &'a [(&'a str, &'a [usize])],
    /// The places of the tensors, sorted by name.
    order: &'a [usize],
}

impl Writing<'_> {
    fn write<'v>(
        &self,
        writer: &mut BufWriter<File>,
        metadata: &BTreeMap<String, String>,
        mut values: impl FnMut(usize) -> Cow<'v, [f32]>,
    ) -> Result<(), CheckpointError> {
        let header = self.header(metadata);
        writer.write_all(&(header.len() as u64).to_le_bytes())?;
        writer.write_all(&header)?;
        for &tensor in self.order {
            let (name, shape) = self.tensors[tensor];
            let values = values(tensor);
            assert_eq!(shape.iter().product::<usize>(), values.len(), "shape of `{name}`");
            if let Some((index, value)) = NotFinite::find(&values) {
                let (path, name) = (self.path.to_owned(), name.to_owned());
                return Err(CheckpointError::NotFinite { path, name, value, index });
            }
            for value in &*values {
                writer.write_all(&value.to_le_bytes())?;
            }
        }
        Ok(())
    }

    /// The header: a JSON object padded with spaces to a multiple of 8 bytes, so that the tensors are aligned.
    fn header(&self, metadata: &BTreeMap<String, String>) -> Vec<u8> {
        let mut members = Vec::with_capacity(self.tensors.len() + 1);
        if !metadata.is_empty() {
            members.push(format!("\"__metadata__\":{}", json!(metadata)));
        }
        let mut start = 0;
        for &tensor in self.order {
            let (name, shape) = self.tensors[tensor];
            let end = start + shape.iter().product::<usize>() * size_of::<f32>();
            let info = json!({ "dtype": "F32", "shape": shape, "data_offsets": [start, end] });
            members.push(format!("{}:{info}", json!(name)));
            start = end;
        }
        let mut header = format!("{{{}}}", members.join(",")).into_bytes();
        header.resize(header.len().next_multiple_of(8), b' ');
        header
    }
}
