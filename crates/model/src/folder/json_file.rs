//! Reading the small JSON files of a model folder, with the path in every error.

use std::io;
use std::path::Path;

use serde::de::DeserializeOwned;

use super::FolderError;

/// Reads a file that must be there.
pub(super) fn read<T: DeserializeOwned>(path: &Path) -> Result<T, FolderError> {
    let text = fs_err::read_to_string(path)?;
    serde_json::from_str(&text).map_err(|source| FolderError::Json { path: path.to_owned(), source })
}

/// Reads a file that may be absent.
pub(super) fn read_if_there<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, FolderError> {
    match read(path) {
        Ok(value) => Ok(Some(value)),
        Err(FolderError::Io(error)) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
