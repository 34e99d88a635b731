//! From what a user calls a model to a folder: a folder as it is, else a name on the Hugging Face hub.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

/// Where a model lies, and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelSource {
    /// The model's folder.
    pub dir: PathBuf,
    /// The commit on the hub; `None` for a folder.
    pub commit: Option<String>,
    /// What was chosen, where that is not plain from the name.
    pub note: Option<String>,
}

/// Finds the model that a user names: an existing folder wins, since it is what the shell completes.
///
/// # Errors
/// No such folder, and no such model on the hub or in its cache.
pub fn resolve(model: &str, revision: Option<&str>) -> Result<ModelSource> {
    let path = Path::new(model);
    if path.is_dir() {
        if revision.is_some() {
            bail!("`--revision` is for models on the hub, but `{model}` is a folder");
        }
        return Ok(ModelSource { dir: path.to_owned(), commit: None, note: None });
    }
    bail!("`{model}` is no folder")
}
