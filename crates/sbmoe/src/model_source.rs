//! From what a user calls a model to a folder: a folder as it is, else a name on the Hugging Face hub.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::hub::{self, DEFAULT_REVISION, Origin, Transfer, environment::HubEnvironment};

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

/// Finds the model that a user names: an existing folder wins, since that is what a shell completes. `revision` is a
/// branch, a tag or a commit on the hub. `progress` is told of downloads.
///
/// # Errors
/// No such folder, and no such model in the hub's cache or on the hub.
pub fn resolve(
    model: &str,
    revision: Option<&str>,
    progress: &mut dyn FnMut(Transfer<'_>),
) -> Result<ModelSource> {
    let path = Path::new(model);
    if path.is_dir() {
        if revision.is_some() {
            bail!("`--revision` is for models on the hub, but `{model}` is a folder");
        }
        return Ok(ModelSource { dir: path.to_owned(), commit: None, note: None });
    }
    // A name on the hub is `owner/name` or `name`, so anything else was meant as a path.
    if path.is_absolute() || model.starts_with('.') || path.components().count() > 2 {
        bail!("there is no model folder `{model}`");
    }
    let environment = HubEnvironment::from_env()?;
    let resolved = hub::resolve(model, revision.unwrap_or(DEFAULT_REVISION), &environment, progress)?;
    let origin = match resolved.origin {
        Origin::Cache => "from the hub's cache",
        Origin::Download => "downloaded from the hub",
    };
    let unasked = if resolved.unasked.is_empty() {
        String::new()
    } else {
        format!("; the hub could not be asked for `{}`, which it may have", resolved.unasked.join("`, `"))
    };
    let note = format!("model: `{model}` {origin}, commit {}{unasked}", resolved.commit);
    Ok(ModelSource { dir: resolved.dir, commit: Some(resolved.commit), note: Some(note) })
}
