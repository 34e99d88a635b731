//! `index.json`: how the rows of an index were made, and what its files must look like.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::checksum::FileRecord;
use crate::error::IndexError;

/// The version of the format that this crate reads and writes.
pub const FORMAT_VERSION: u32 = 1;

/// The manifest's name within the folder.
pub const MANIFEST_FILE: &str = "index.json";

/// How two vectors are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Similarity {
    /// The inner product of the vectors as they are.
    Dot,
    /// The inner product of vectors whose length was made 1 before they were stored.
    Cos,
}

impl fmt::Display for Similarity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Dot => "dot",
            Self::Cos => "cos",
        })
    }
}

impl FromStr for Similarity {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "dot" => Ok(Self::Dot),
            "cos" => Ok(Self::Cos),
            other => Err(format!("`{other}` is no similarity: use `dot` or `cos`")),
        }
    }
}

/// What `index.json` says.
///
/// It is written last, so that a folder with a manifest is whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The format's version: [`FORMAT_VERSION`].
    pub format: u32,
    /// The name of the model that made the vectors, for people.
    pub model: String,
    /// The model's fingerprint: queries must come from a model with the same one.
    pub fingerprint: String,
    /// The gate with which the vectors were made, by its name on the command line.
    pub gate: String,
    /// How vectors are compared.
    pub similarity: Similarity,
    /// Whether the model's own normalisation was applied to the vectors.
    pub normalize: bool,
    /// Numbers a vector.
    pub dim: usize,
    /// Number of vectors.
    pub documents: u64,
    /// What the program that encoded wants to remember: this crate does not look into it.
    #[serde(default)]
    pub details: BTreeMap<String, serde_json::Value>,
    /// Every other file of the folder, by name.
    pub files: BTreeMap<String, FileRecord>,
}

impl Manifest {
    /// Reads `index.json` in `folder`.
    ///
    /// # Errors
    /// The file is missing, is of another version, or lacks something.
    pub fn read(folder: &Path) -> Result<Self, IndexError> {
        let path = folder.join(MANIFEST_FILE);
        let text = fs_err::read(&path)?;
        let refuse = |source| IndexError::Manifest { path: path.clone(), source };
        let value: serde_json::Value = serde_json::from_slice(&text).map_err(refuse)?;
        // The version is looked at first, since a later version may have other fields.
        match value.get("format") {
            Some(format) if *format == FORMAT_VERSION => serde_json::from_value(value).map_err(refuse),
            found => Err(IndexError::Version {
                path,
                found: found.map_or_else(|| "none".to_owned(), ToString::to_string),
                supported: FORMAT_VERSION,
            }),
        }
    }

    /// Writes `index.json` into `folder`, under another name first.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), IndexError> {
        let path = folder.join(MANIFEST_FILE);
        let mut text = serde_json::to_vec_pretty(self)
            .map_err(|source| IndexError::Manifest { path: path.clone(), source })?;
        text.push(b'\n');
        crate::partial::write(&path, &text)
    }
}
