//! The arguments by which most commands take a model.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use clap::Args;
use indicatif::ProgressBar;
use sbmoe_kernels::Cpu;
use sbmoe_model::folder::{Fingerprints, fingerprint};
use sbmoe_model::retriever::Retriever;

use super::console::{bar, note, warn};
use super::threads::threads;
use crate::device;
use crate::hub::Transfer;
use crate::model_source;
use crate::training::unexpected_tensors;

/// A model and the threads to run it on.
#[derive(Debug, Args)]
pub(super) struct ModelArguments {
    /// A model folder, or a name on the Hugging Face hub
    #[arg(long, value_name = "DIR|NAME")]
    pub(super) model: String,

    /// Branch, tag or commit of a model on the hub
    #[arg(long)]
    pub(super) revision: Option<String>,

    /// Threads, 0 for one a core; the results do not depend on it
    #[arg(long, value_name = "N", default_value = "0", value_parser = threads)]
    pub(super) threads: usize,
}

impl ModelArguments {
    /// Opens the model; `max_length` overrides its own.
    pub(super) fn open(&self, max_length: Option<usize>) -> Result<Retriever<Cpu>> {
        self.open_in(&self.resolve()?, max_length)
    }

    /// As [`ModelArguments::open`], with the model's fingerprints, which are computed meanwhile.
    pub(super) fn open_with_fingerprint(
        &self,
        max_length: Option<usize>,
    ) -> Result<(Retriever<Cpu>, Fingerprints)> {
        let dir = self.resolve()?;
        std::thread::scope(|scope| {
            let fingerprint = scope.spawn(|| fingerprint(&dir));
            let retriever = self.open_in(&dir, max_length)?;
            let fingerprint = fingerprint.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            Ok((retriever, fingerprint))
        })
    }

    /// The model's folder, downloaded if it must be.
    fn resolve(&self) -> Result<PathBuf> {
        let mut download = DownloadBar::default();
        let source = model_source::resolve(&self.model, self.revision.as_deref(), &mut |transfer| {
            download.show(transfer);
        })?;
        download.bar.finish_and_clear();
        if let Some(text) = &source.note {
            note(text);
        }
        Ok(source.dir)
    }

    fn open_in(&self, dir: &Path, max_length: Option<usize>) -> Result<Retriever<Cpu>> {
        let cpu = Arc::new(device::open(self.threads)?);
        let retriever = Retriever::open(dir, cpu, max_length)
            .with_context(|| format!("the model `{}` cannot be opened", self.model))?;
        let tensors = unexpected_tensors(dir, &retriever.unexpected);
        retriever.folder.warnings.iter().chain(&tensors).for_each(warn);
        Ok(retriever)
    }
}

/// The file that is being downloaded, in bytes.
struct DownloadBar {
    file: String,
    bar: ProgressBar,
}

impl Default for DownloadBar {
    fn default() -> Self {
        Self { file: String::new(), bar: ProgressBar::hidden() }
    }
}

impl DownloadBar {
    fn show(&mut self, Transfer { file, done, total }: Transfer<'_>) {
        if self.file != file {
            self.bar.finish_and_clear();
            file.clone_into(&mut self.file);
            self.bar = bar(total.unwrap_or(0), format!("downloading {file}"));
        }
        self.bar.set_position(done);
    }
}
