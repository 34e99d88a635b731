//! What `torch.save` writes since PyTorch 1.6: an uncompressed zip archive with one folder, which holds the pickle
//! `data.pkl`, the storages `data/<key>` and, since 2.0, `byteorder`.
//!
//! The entries are used where they lie in the mapped file; compressed ones, which PyTorch never writes, are refused.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::ops::Range;

use zip::{CompressionMethod, ZipArchive};

use super::CheckpointError;
use super::entry::Entry;
use super::mapped::MappedFile;
use super::pickle::{self, Storage};
use super::state_dict;

/// Reads the archive's pickle and places the storages.
pub(super) fn entries(file: &MappedFile) -> Result<BTreeMap<String, Entry>, CheckpointError> {
    let parts = Parts::read(file)?;
    let Some(folder) = parts.names().find_map(|name| name.strip_suffix("data.pkl")) else {
        return Err(file.malformed("the archive holds no `data.pkl`, so it was not written by `torch.save`"));
    };
    let byte_order = parts.find(file, &format!("{folder}byteorder"))?;
    if byte_order.is_some_and(|range| file.bytes()[range].trim_ascii() != b"little") {
        return Err(CheckpointError::BigEndian { path: file.path().to_owned() });
    }

    let part = format!("{folder}data.pkl");
    let range = parts.find(file, &part)?.expect("the name was found among the parts");
    let pickle = pickle::read(&file.bytes()[range], 0).map_err(|source| {
        let (path, part) = (file.path().to_owned(), Some(part.clone()));
        CheckpointError::Pickle { path, part, source }
    })?;

    let tensors = state_dict::tensors(file, &pickle)?;
    state_dict::place(file, tensors, |storage: &Storage| {
        let name = format!("{folder}data/{}", storage.key);
        let Some(range) = parts.find(file, &name)? else {
            return Err(file.malformed(format!("the archive lacks the storage `{name}`")));
        };
        let expected = state_dict::root_bytes(storage);
        // PyTorch may round a storage's bytes up; fewer than its elements take cannot be right.
        if expected.is_none_or(|expected| range.len() < expected) {
            return Err(file.malformed(format!(
                "the storage `{name}` has {} bytes where {} elements of {} are expected",
                range.len(),
                storage.root_elements,
                storage.dtype
            )));
        }
        Ok(range.start..range.start + expected.unwrap_or_default())
    })
}

/// The archive's entries: where each lies in the file, or why it cannot be used.
struct Parts(BTreeMap<String, Result<Range<usize>, String>>);

impl Parts {
    fn read(file: &MappedFile) -> Result<Self, CheckpointError> {
        let bytes = file.bytes();
        let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| {
            file.malformed(format!(
                "it begins as a zip archive, but of its {} bytes the last ones are not the end of one ({error}); \
                 fetch it again",
                bytes.len()
            ))
        })?;
        let mut parts = BTreeMap::new();
        for index in 0..archive.len() {
            let entry = archive.by_index_raw(index).map_err(|error| {
                file.malformed(format!("entry {index} of the archive cannot be read ({error})"))
            })?;
            let range = if entry.encrypted() {
                Err("encrypted".to_owned())
            } else if entry.compression() != CompressionMethod::Stored {
                Err("compressed".to_owned())
            } else {
                locate(entry.data_start(), entry.size(), bytes.len())
            };
            parts.insert(entry.name().to_owned(), range);
        }
        Ok(Self(parts))
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    fn find(&self, file: &MappedFile, name: &str) -> Result<Option<Range<usize>>, CheckpointError> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Ok(range)) => Ok(Some(range.clone())),
            Some(Err(reason)) => Err(file.malformed(format!(
                "the archive's `{name}` is {reason}; write the file with `torch.save` or as safetensors"
            ))),
        }
    }
}

fn locate(start: Option<u64>, size: u64, length: usize) -> Result<Range<usize>, String> {
    let outside = || format!("outside of the file's {length} bytes");
    let start = usize::try_from(start.ok_or_else(outside)?).map_err(|_| outside())?;
    let size = usize::try_from(size).map_err(|_| outside())?;
    let end = start.checked_add(size).filter(|end| *end <= length).ok_or_else(outside)?;
    Ok(start..end)
}
