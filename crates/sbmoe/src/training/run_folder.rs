//! The folder that a run leaves: which files it holds, when a folder may be used, and writing whole files.
//!
//! ```text
//! RUN/config.toml        every value of the run, as `--config` reads it
//! RUN/env.json           version, machine, model and data
//! RUN/train.jsonl        one line a step
//! RUN/validation.jsonl   one line a validation
//! RUN/tensorboard/       the same for TensorBoard
//! RUN/pairs/             the collection that `--pairs` made of a file, with `pairs.json`, which names it
//! RUN/checkpoint/        what `--resume` goes on from
//! RUN/model/             the saved model: the state that `--keep` chose, the best by validation or the last; the encoder as
//!                        it came where no state is better beyond its noise
//! RUN/last/, RUN/best/   the state that was not chosen, a saved model too, where that is another
//! ```

use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use sbmoe_model::folder::{is_saved_model, remove_saved_model};
use sbmoe_train::{Checkpoint, CheckpointError, Keep, Position};
use serde_json::Value;

use super::pairs::STAMP;
use crate::folder_lock::LOCK_FILE;

/// Files of a run that stand or fall with its model; an overwritten run takes them along.
const DERIVED: [&str; 3] = ["run.trec", "scores.json", "per_query.tsv"];

/// Written and removed to see whether the folder can be written.
const PROBE: &str = ".probe";

/// How the hidden names begin that a run makes before its `env.json`: of a collection in the making, and of the file itself.
const HIDDEN: [&str; 3] = [".pairs.", "..pairs.", ".env.json."];

/// A run's folder, which need not exist yet.
#[derive(Debug, Clone)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// The folder at `path`.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `config.toml`.
    pub fn config(&self) -> PathBuf {
        self.path.join("config.toml")
    }

    /// The saved model.
    pub fn model(&self) -> PathBuf {
        self.path.join("model")
    }

    /// The state that `keep` does not choose, as a model: `last` beside the best, `best` beside the last. There is none
    /// where both are the same.
    pub fn other(&self, keep: Keep) -> PathBuf {
        self.path.join(match keep {
            Keep::Best => "last",
            Keep::Last => "best",
        })
    }

    /// The collection that was made of a file of pairs.
    pub(super) fn pairs(&self) -> PathBuf {
        self.path.join("pairs")
    }

    pub(super) fn environment(&self) -> PathBuf {
        self.path.join("env.json")
    }

    pub(super) fn steps(&self) -> PathBuf {
        self.path.join("train.jsonl")
    }

    pub(super) fn validations(&self) -> PathBuf {
        self.path.join("validation.jsonl")
    }

    pub(super) fn tensorboard(&self) -> PathBuf {
        self.path.join("tensorboard")
    }

    pub(super) fn checkpoint(&self) -> Checkpoint {
        Checkpoint::in_folder(&self.path.join("checkpoint"))
    }

    /// The state of a training beside the run's own: of a fold, or of one on everything.
    pub(super) fn side_checkpoint(&self) -> PathBuf {
        self.path.join("checkpoint").join("beside")
    }

    /// What the folds found.
    pub(super) fn folds(&self) -> PathBuf {
        self.path.join("checkpoint").join("folds.json")
    }

    /// Where pooled vectors are kept: beside the run, for other runs too.
    pub(super) fn pooled(&self) -> PathBuf {
        let parent = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        parent.unwrap_or(Path::new(".")).join(".pooled")
    }

    /// Refuses a folder whose content a new run would destroy: anything that no run of ours has left, even where a run may be
    /// overwritten.
    pub(super) fn refuse_occupied(&self, resume: bool, overwrite: bool) -> Result<()> {
        let path = self.path.display();
        if let Some(name) = self.foreign()? {
            bail!("`{path}` holds `{name}` and is no run of sbmoe; choose another `--out`");
        }
        for folder in [self.model(), self.other(Keep::Best), self.other(Keep::Last)] {
            if folder.exists() && !is_saved_model(&folder) {
                bail!(
                    "`{}` is no model that sbmoe saved, and would be replaced; move it elsewhere, or choose another `--out`",
                    folder.display()
                );
            }
        }
        if overwrite {
            return Ok(());
        }
        let has_checkpoint = self.checkpoint().exists();
        if has_checkpoint && !resume {
            bail!(
                "`{path}` holds a run; use `--resume` to go on with it, `--overwrite` to start again, or another `--out`"
            );
        }
        if !has_checkpoint && self.model().exists() {
            bail!(
                "`{path}` holds a model but no checkpoint; use `--overwrite` to replace it, or another `--out`"
            );
        }
        Ok(())
    }

    /// Something in the folder that shows that it is not a run's; `None` where it is, or where there is nothing.
    ///
    /// A run writes `env.json` first, except for what it makes of pairs; what was interrupted before holds hidden files of
    /// ours at most.
    fn foreign(&self) -> io::Result<Option<String>> {
        if !self.path.exists() || is_environment(&self.environment()) {
            return Ok(None);
        }
        for entry in fs_err::read_dir(&self.path)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            let is_pairs = name == "pairs" && self.pairs().join(STAMP).is_file();
            let is_hidden =
                [LOCK_FILE, PROBE].contains(&&*name) || HIDDEN.iter().any(|begin| name.starts_with(begin));
            if !is_pairs && !is_hidden {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }

    /// Where the run that `identity` names stands; `None` without a checkpoint.
    pub(super) fn position(&self, identity: &str) -> Result<Option<Position>> {
        let checkpoint = self.checkpoint();
        if !checkpoint.exists() {
            return Ok(None);
        }
        let position = checkpoint.position()?;
        if position.identity != identity {
            let path = self.path.join("checkpoint").join("state.safetensors");
            return Err(CheckpointError::OtherRun { path }.into());
        }
        Ok(Some(position))
    }

    /// Makes the folder and tries to write to it.
    pub(super) fn create(&self) -> Result<()> {
        let attempt = || -> io::Result<()> {
            fs_err::create_dir_all(&self.path)?;
            let probe = self.path.join(PROBE);
            let written = fs_err::write(&probe, "a file-size limit or a full disk shows here");
            let removed = fs_err::remove_file(&probe);
            written.and(removed)
        };
        attempt().context("the run's folder cannot be written; choose another `--out`")
    }

    /// Removes what an earlier run left, except its configuration, which is about to be replaced, and, where the run goes
    /// on, the folds that it has done.
    pub(super) fn clear(&self, goes_on: bool) -> Result<()> {
        self.checkpoint().clear()?;
        let folds = (!goes_on).then(|| self.folds());
        let files = [self.steps(), self.validations()].into_iter().chain(folds);
        for file in files.chain(DERIVED.iter().map(|name| self.path.join(name))) {
            if file.is_file() {
                fs_err::remove_file(file)?;
            }
        }
        for folder in [self.tensorboard(), self.side_checkpoint()] {
            if folder.is_dir() {
                fs_err::remove_dir_all(folder)?;
            }
        }
        for keep in [Keep::Best, Keep::Last] {
            remove_saved_model(&self.other(keep))?;
        }
        // The model stays until the new one takes its place.
        Ok(())
    }
}

/// Whether a file is an `env.json` of ours.
fn is_environment(path: &Path) -> bool {
    let value: Option<Value> = fs_err::read(path).ok().and_then(|text| serde_json::from_slice(&text).ok());
    value.is_some_and(|value| value["cpu"]["level"].is_string() && value["model"]["fingerprint"].is_string())
}
