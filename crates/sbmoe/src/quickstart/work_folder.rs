//! The folder of a quickstart: which files it holds, and whether what is there may be reused.
//!
//! ```text
//! WORK/quickstart.json   the encoder and the settings that everything else was made with
//! WORK/encoder/          the encoder, where it came from the Python package
//! WORK/collection/       the shipped collection
//! WORK/run/              the training run, its model in `run/model/`
//! WORK/index-KEY/        the collection as one system encodes it: `encoder` is the encoder alone, `encoder-dot` the same
//!                        without its normalisation, where it has one, `sbmoe` the trained model
//! WORK/run-KEY.trec      that system's rankings of the test queries
//! ```

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use sbmoe_ir::atomic_file::write_bytes;
use sbmoe_model::folder::fingerprint;
use serde::{Deserialize, Serialize};

use super::encoder::Encoder;
use crate::sha256::Sha256Hex;
use crate::training::RunConfig;

const STATE_FILE: &str = "quickstart.json";

/// The version of [`STATE_FILE`]'s format.
const FORMAT: u32 = 1;

/// What is made from encoder, collection and settings.
const FOLDERS: [&str; 4] = ["run", "index-encoder", "index-encoder-dot", "index-sbmoe"];
const FILES: [&str; 3] = ["run-encoder.trec", "run-encoder-dot.trec", "run-sbmoe.trec"];

/// The folder of a quickstart, which need not exist yet.
#[derive(Debug, Clone)]
pub struct WorkFolder {
    path: PathBuf,
}

/// What `quickstart.json` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    format: u32,
    pub(super) encoder: Encoder,
    /// The encoder's fingerprint.
    fingerprint: String,
    /// SHA-256 of the training's configuration.
    settings: String,
}

impl WorkFolder {
    /// The folder at `path`.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// The encoder, where it came from the Python package.
    pub fn encoder(&self) -> PathBuf {
        self.path.join("encoder")
    }

    /// The shipped collection.
    pub fn collection(&self) -> PathBuf {
        self.path.join("collection")
    }

    /// The training run.
    pub fn training(&self) -> PathBuf {
        self.path.join("run")
    }

    /// The index of a system: `encoder`, `encoder-dot` or `sbmoe`.
    pub fn index(&self, system: &str) -> PathBuf {
        self.path.join(format!("index-{system}"))
    }

    /// The rankings of a system.
    pub fn trec_run(&self, system: &str) -> PathBuf {
        self.path.join(format!("run-{system}.trec"))
    }

    /// What an earlier quickstart said of the folder; with `overwrite` its results are removed and there is none.
    pub(super) fn earlier(&self, overwrite: bool) -> Result<Option<State>> {
        let path = self.path.join(STATE_FILE);
        let text = match fs_err::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let taken =
                    FOLDERS.iter().chain(&FILES).map(|name| self.path.join(name)).find(|path| path.exists());
                if let Some(taken) = taken {
                    bail!(
                        "`{}` is there, but no quickstart has made it: choose another `--work`",
                        taken.display()
                    );
                }
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        if overwrite {
            self.clear()?;
            return Ok(None);
        }
        let state: Option<State> = serde_json::from_slice(&text).ok();
        let state = state.filter(|state| state.format == FORMAT);
        state.map(Some).with_context(|| {
            format!(
                "`{}` is of another version, or was being overwritten: give `--overwrite` to start again, or another `--work`",
                path.display()
            )
        })
    }

    /// Refuses results that were made with another encoder or other settings, and writes down what these are.
    pub(super) fn begin(&self, earlier: Option<&State>, encoder: &Encoder, config: &RunConfig) -> Result<()> {
        let folder = self.path.display();
        let fingerprint = fingerprint(&encoder.dir)
            .with_context(|| format!("the encoder `{}` cannot be read", encoder.dir.display()))?
            .model;
        let settings = settings(config)?;
        if let Some(earlier) = earlier {
            let remedy = "give `--overwrite` to start again, or another `--work`";
            ensure!(
                earlier.fingerprint == fingerprint,
                "`{folder}` holds a quickstart with another encoder, `{}`: {remedy}",
                earlier.encoder.name
            );
            ensure!(
                earlier.settings == settings,
                "`{folder}` holds a quickstart with the settings of another version: {remedy}"
            );
        }
        let state = State { format: FORMAT, encoder: encoder.clone(), fingerprint, settings };
        let mut text = serde_json::to_vec_pretty(&state)?;
        text.push(b'\n');
        fs_err::create_dir_all(&self.path)?;
        let path = self.path.join(STATE_FILE);
        Ok(write_bytes(&path, &text)?)
    }

    /// Removes what was made, and last the word that it was made here, which says no more by what.
    fn clear(&self) -> Result<()> {
        // What a kill leaves of it is nothing to go on with.
        write_bytes(&self.path.join(STATE_FILE), b"{}\n")?;
        for folder in FOLDERS.map(|name| self.path.join(name)) {
            if folder.is_dir() {
                fs_err::remove_dir_all(folder)?;
            }
        }
        for file in FILES.iter().chain([&STATE_FILE]).map(|name| self.path.join(name)) {
            if file.is_file() {
                fs_err::remove_file(file)?;
            }
        }
        Ok(())
    }
}

/// A hash of everything that shapes the training but model and data.
fn settings(config: &RunConfig) -> Result<String> {
    let config = RunConfig { data: None, model: None, ..config.clone() };
    let mut hash = Sha256Hex::new();
    hash.part(toml::to_string(&config)?);
    Ok(hash.finish())
}
