//! Sizes and SHA-256 checksums of files.

use std::fmt::Write as _;
use std::io::Read;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::IndexError;

const BUFFER_BYTES: usize = 1 << 20;

/// What a manifest records of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    /// Size in bytes.
    pub bytes: u64,
    /// SHA-256 of the bytes, in lower-case hexadecimal.
    pub sha256: String,
}

impl FileRecord {
    /// Reads a file from beginning to end, a megabyte at a time.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn of(path: &Path) -> Result<Self, IndexError> {
        Self::with_progress(path, &mut |_| ())
    }

    /// As [`FileRecord::of`], calling `progress` with the number of bytes of every piece read.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn with_progress(path: &Path, progress: &mut dyn FnMut(u64)) -> Result<Self, IndexError> {
        let mut file = fs_err::File::open(path)?;
        let mut hash = Sha256::new();
        let mut buffer = vec![0; BUFFER_BYTES];
        let mut bytes = 0;
        loop {
            let read = file.read(&mut buffer)?;
            if read == 0 {
                break;
            }
            hash.update(&buffer[..read]);
            bytes += read as u64;
            progress(read as u64);
        }
        let sha256 = hash.finalize().iter().fold(String::with_capacity(64), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        });
        Ok(Self { bytes, sha256 })
    }
}
