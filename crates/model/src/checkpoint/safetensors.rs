//! Safetensors files: the header is checked by the `safetensors` crate, the sizes are told in full.

use std::collections::BTreeMap;

use ::safetensors::SafeTensors;
use ::safetensors::tensor::{Metadata, SafeTensorError};

use super::CheckpointError;
use super::entry::Entry;
use super::mapped::MappedFile;

/// The bytes of the header's length, which begins the file.
const LENGTH_BYTES: usize = 8;

/// The length at which a header is refused. A tensor takes about 100 bytes there, and some 1500 in memory while it is read.
const MOST_HEADER_BYTES: usize = 16 << 20;

/// Reads the header: every tensor's type, shape and place.
pub(super) fn entries(file: &MappedFile) -> Result<BTreeMap<String, Entry>, CheckpointError> {
    let (header_bytes, metadata) = read_header(file)?;
    let data = LENGTH_BYTES + header_bytes;
    let mut entries = BTreeMap::new();
    for name in metadata.offset_keys() {
        let info = metadata.info(&name).expect("the name comes from the same header");
        let (start, end) = info.data_offsets;
        let entry = Entry::contiguous(info.dtype, info.shape.clone(), data + start..data + end);
        entries.insert(name, entry);
    }
    Ok(entries)
}

fn read_header(file: &MappedFile) -> Result<(usize, Metadata), CheckpointError> {
    let bytes = file.bytes();
    let length = bytes.first_chunk::<LENGTH_BYTES>().map(|length| u64::from_le_bytes(*length));
    if let Some(length) = length.filter(|length| *length > MOST_HEADER_BYTES as u64)
        && length <= bytes.len() as u64
    {
        return Err(file.malformed(format!("its header has {length} bytes, more than {MOST_HEADER_BYTES}")));
    }
    SafeTensors::read_metadata(bytes).map_err(|error| explain(file, &error))
}

/// The header's `__metadata__`.
pub(super) fn header_text(file: &MappedFile) -> Result<BTreeMap<String, String>, CheckpointError> {
    let (_, metadata) = read_header(file)?;
    Ok(metadata.metadata().iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect())
}

/// Turns a refusal of the header into one that names the file, and its sizes where it is cut short.
fn explain(file: &MappedFile, error: &SafeTensorError) -> CheckpointError {
    let bytes = file.bytes();
    let found = bytes.len() as u64;
    let Some(length) = bytes.first_chunk::<LENGTH_BYTES>() else {
        return file.truncated(LENGTH_BYTES as u64);
    };
    let data = u64::from_le_bytes(*length).saturating_add(LENGTH_BYTES as u64);
    match error {
        SafeTensorError::InvalidHeaderLength => file.truncated(data),
        SafeTensorError::MetadataIncompleteBuffer => {
            let header = &bytes[LENGTH_BYTES..data as usize];
            let tensors =
                serde_json::from_slice::<Metadata>(header).map_or(0, |header| header.data_len() as u64);
            let expected = data.saturating_add(tensors);
            if expected > found {
                file.truncated(expected)
            } else {
                file.malformed(format!("its header describes {expected} bytes, but it has {found}"))
            }
        }
        other => file.malformed(format!("its header cannot be read ({other})")),
    }
}
