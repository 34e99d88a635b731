//! A file in memory without being read: mapped, with its format told from its first bytes.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fs_err::File;
use memmap2::Mmap;

use super::{CheckpointError, Values, legacy};

/// The formats that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// A length, a JSON header, the tensors.
    Safetensors,
    /// The zip archive that `torch.save` writes since PyTorch 1.6.
    TorchArchive,
    /// The sequence of pickles and raw storages that `torch.save` wrote before.
    TorchLegacy,
}

/// A memory-mapped file and its path, which every error names.
#[derive(Debug)]
pub(super) struct MappedFile {
    path: PathBuf,
    map: Arc<Mmap>,
}

impl MappedFile {
    /// Maps a file that is not empty.
    pub(super) fn open(path: &Path) -> Result<Self, CheckpointError> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            let reason = "it is a folder".to_owned();
            return Err(CheckpointError::UnknownFormat { path: path.to_owned(), reason });
        }
        if metadata.len() == 0 {
            return Err(CheckpointError::Truncated { path: path.to_owned(), expected: 8, found: 0 });
        }
        // SAFETY: the map is read-only and private to this process. A file that another process shortens or rewrites
        // meanwhile is the accepted risk of every reader of memory-mapped weights; our own writers never do that, they
        // rename a new file into place.
        let map = unsafe { Mmap::map(&file)? };
        Ok(Self { path: path.to_owned(), map: Arc::new(map) })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.map
    }

    /// The `f32` that lie in a range of the file; `None` where they are not aligned, or in another order of bytes than
    /// this machine's.
    pub(super) fn values(&self, bytes: Range<usize>) -> Option<Values> {
        let range = self.map.get(bytes.clone())?;
        // SAFETY: every pattern of bits is an f32.
        let (before, _, after) = unsafe { range.align_to::<f32>() };
        let is_plain = cfg!(target_endian = "little") && before.is_empty() && after.is_empty();
        is_plain.then(|| Values::Mapped { map: Arc::clone(&self.map), bytes })
    }

    /// Tells the format from the content; a name that ends in `.safetensors` is taken at its word, so that a truncated
    /// header is reported as such.
    pub(super) fn format(&self) -> Result<Format, CheckpointError> {
        let bytes = self.bytes();
        if bytes.starts_with(b"PK\x03\x04") {
            return Ok(Format::TorchArchive);
        }
        if bytes.starts_with(&legacy::MAGIC) {
            return Ok(Format::TorchLegacy);
        }
        if bytes.starts_with(b"version https://git-lfs") {
            return Err(self.unknown("it is a Git LFS pointer, not the file it points to"));
        }
        let named = self.path.extension().is_some_and(|extension| extension == "safetensors");
        if named || bytes.get(8) == Some(&b'{') {
            return Ok(Format::Safetensors);
        }
        let beginning: Vec<String> = bytes.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Err(self.unknown(&format!("it begins with the bytes {}", beginning.concat())))
    }

    /// The error of a file whose content contradicts its format.
    pub(super) fn malformed(&self, reason: impl Into<String>) -> CheckpointError {
        CheckpointError::Malformed { path: self.path.clone(), reason: reason.into() }
    }

    /// The error of a file that ends too early.
    pub(super) fn truncated(&self, expected: u64) -> CheckpointError {
        CheckpointError::Truncated { path: self.path.clone(), expected, found: self.bytes().len() as u64 }
    }

    fn unknown(&self, reason: &str) -> CheckpointError {
        CheckpointError::UnknownFormat { path: self.path.clone(), reason: reason.to_owned() }
    }
}
