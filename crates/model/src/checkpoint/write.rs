//! Writing safetensors files: the same tensors give the same bytes, and a file is whole or not there.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

use fs_err::File;
use serde_json::json;

use super::{CheckpointError, NotFinite};

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

/// Writes tensors as f32, sorted by name, with `metadata` in the header.
///
/// The bytes depend on the arguments' content only, not on their order. The file is written under a temporary name,
/// flushed to the disk and renamed, so that `path` holds the old or the new content at every moment.
///
/// # Errors
/// A number that is not finite, or a write that fails (the temporary file is removed then).
///
/// # Panics
/// Panics if a shape does not match its values or a name occurs twice: both are mistakes of the caller.
pub fn write_safetensors(
    path: &Path,
    tensors: &[NamedTensor<'_>],
    metadata: &BTreeMap<String, String>,
) -> Result<(), CheckpointError> {
    let mut sorted: Vec<&NamedTensor<'_>> = tensors.iter().collect();
    sorted.sort_by_key(|tensor| tensor.name);
    for pair in sorted.windows(2) {
        assert_ne!(pair[0].name, pair[1].name, "a name occurs once in a file");
    }
    for tensor in &sorted {
        assert_eq!(tensor.shape.iter().product::<usize>(), tensor.values.len(), "shape of `{}`", tensor.name);
        if let Some((index, value)) = NotFinite::find(tensor.values) {
            let (path, name) = (path.to_owned(), tensor.name.to_owned());
            return Err(CheckpointError::NotFinite { path, name, value, index });
        }
    }

    let mut partial = path.file_name().map(OsString::from).unwrap_or_default();
    partial.push(".partial");
    let partial = path.with_file_name(partial);
    let written = write_file(&partial, &header(&sorted, metadata), &sorted)
        .and_then(|()| fs_err::rename(&partial, path))
        .and_then(|()| sync_parent(path));
    if let Err(error) = written {
        // The first error is the one to report; the partial file may not even exist.
        let _ = fs_err::remove_file(&partial);
        return Err(error.into());
    }
    Ok(())
}

/// Makes a rename in the file's folder survive a power cut.
pub(crate) fn sync_parent(path: &Path) -> io::Result<()> {
    // Windows does not open folders as files, and its renames need no such step.
    if cfg!(unix) {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(parent.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}

/// The header: a JSON object padded with spaces to a multiple of 8 bytes, so that the tensors are aligned.
fn header(sorted: &[&NamedTensor<'_>], metadata: &BTreeMap<String, String>) -> Vec<u8> {
    let mut members = Vec::with_capacity(sorted.len() + 1);
    if !metadata.is_empty() {
        members.push(format!("\"__metadata__\":{}", json!(metadata)));
    }
    let mut start = 0;
    for NamedTensor { name, shape, values } in sorted {
        let end = start + size_of_val(*values);
        let info = json!({ "dtype": "F32", "shape": shape, "data_offsets": [start, end] });
        members.push(format!("{}:{info}", json!(name)));
        start = end;
    }
    let mut header = format!("{{{}}}", members.join(",")).into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');
    header
}

fn write_file(path: &Path, header: &[u8], sorted: &[&NamedTensor<'_>]) -> io::Result<()> {
    let mut writer = BufWriter::with_capacity(1 << 20, File::create(path)?);
    writer.write_all(&(header.len() as u64).to_le_bytes())?;
    writer.write_all(header)?;
    for tensor in sorted {
        for value in tensor.values {
            writer.write_all(&value.to_le_bytes())?;
        }
    }
    writer.flush()?;
    writer.get_ref().sync_all()
}
