//! What an index will be, and how far one that is being made has come.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, Result};
use sbmoe_index::{FORMAT_VERSION, FileRecord, MANIFEST_FILE, Manifest, Similarity};
use sbmoe_ir::atomic_file::write_bytes;
use serde::{Deserialize, Serialize};

/// The file that says how far an index has come; it goes when the index is whole.
pub const PARTIAL_FILE: &str = "partial.json";

/// Everything that decides an index's bytes besides the documents themselves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IndexPlan {
    /// The model's name, for people.
    pub model: String,
    /// The model's fingerprint.
    pub fingerprint: String,
    /// The gate, by its name on the command line.
    pub gate: String,
    /// How vectors are compared.
    pub similarity: Similarity,
    /// Whether the vectors are normalised.
    pub normalize: bool,
    /// Numbers a vector.
    pub dim: usize,
    /// Numbers a pooled vector, where these are kept.
    pub pooled_dim: Option<usize>,
    /// Whether each document has one expert.
    pub experts: bool,
    /// What else was chosen (maximum length, precision, seed, checksum of the corpus…), for people and for
    /// resuming.
    pub details: BTreeMap<String, serde_json::Value>,
}

impl IndexPlan {
    /// The manifest of an index that was made so.
    pub(super) fn manifest(&self, documents: u64, files: BTreeMap<String, FileRecord>) -> Manifest {
        Manifest {
            format: FORMAT_VERSION,
            model: self.model.clone(),
            fingerprint: self.fingerprint.clone(),
            gate: self.gate.clone(),
            similarity: self.similarity,
            normalize: self.normalize,
            dim: self.dim,
            documents,
            details: self.details.clone(),
            files,
        }
    }

    /// Whether the index of `manifest` was made so, whatever the model was called and whether or not more was kept.
    pub fn made(&self, manifest: &Manifest) -> bool {
        self.fingerprint == manifest.fingerprint
            && self.gate == manifest.gate
            && self.similarity == manifest.similarity
            && self.normalize == manifest.normalize
            && self.dim == manifest.dim
            && self.details.iter().all(|(key, value)| manifest.details.get(key) == Some(value))
            && (self.pooled_dim.is_none() || manifest.files.contains_key(sbmoe_index::POOLED_FILE))
    }
}

/// What stands in a folder.
#[derive(Clone, Debug, PartialEq)]
pub enum IndexState {
    /// No index, nor a part of one.
    Absent,
    /// An index that is not whole.
    Partial {
        /// What it would become.
        plan: Box<IndexPlan>,
        /// Documents that are safely on the disk.
        documents: u64,
    },
    /// A whole index.
    Complete(Box<Manifest>),
}

impl IndexState {
    /// Looks into a folder, which need not exist.
    ///
    /// # Errors
    /// A manifest is there that cannot be read.
    pub fn of(folder: &Path) -> Result<Self> {
        if folder.join(MANIFEST_FILE).exists() {
            return Ok(Self::Complete(Box::new(Manifest::read(folder)?)));
        }
        let path = folder.join(PARTIAL_FILE);
        let text = match fs_err::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::Absent),
            read => read?,
        };
        let progress: Progress = serde_json::from_slice(&text).with_context(|| {
            format!(
                "`{}` cannot be read: remove the folder to encode the collection from its beginning",
                path.display()
            )
        })?;
        Ok(Self::Partial { plan: Box::new(progress.plan), documents: progress.documents })
    }
}

/// What `partial.json` says.
#[derive(Serialize, Deserialize)]
pub(super) struct Progress {
    pub(super) plan: IndexPlan,
    pub(super) documents: u64,
}

impl Progress {
    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        let path = folder.join(PARTIAL_FILE);
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        Ok(write_bytes(&path, &text)?)
    }
}
