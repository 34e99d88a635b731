//! How an index stores its vectors: in f32 alone, or with a rounded copy beside them.

use std::collections::BTreeMap;
use std::fmt;
use std::io::ErrorKind;
use std::path::Path;
use std::str::FromStr;

use crate::checksum::FileRecord;
use crate::error::IndexError;
use crate::folder::VECTORS_FILE;
use crate::manifest::Manifest;
use crate::partial::partial_path;
use crate::rounded::{Rounding, write};
use crate::vectors::Vectors;

/// What stands in an index's folder beside the f32 vectors, which always do: they define the scores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Storage {
    /// Nothing.
    #[default]
    F32,
    /// A copy in bfloat16, half as many bytes again.
    Bf16,
    /// A copy in eight-bit integers, a quarter as many bytes again.
    Int8,
}

impl Storage {
    /// Every way of storing, the largest files that a search reads first.
    pub const ALL: [Self; 3] = [Self::F32, Self::Bf16, Self::Int8];

    /// What a manifest's files say.
    pub fn of(manifest: &Manifest) -> Self {
        let listed = |rounding: &Rounding| manifest.files.contains_key(rounding.numbers_file());
        match Rounding::ALL.into_iter().find(listed) {
            None => Self::F32,
            Some(Rounding::Bf16) => Self::Bf16,
            Some(Rounding::Int8) => Self::Int8,
        }
    }

    /// How the copy is rounded, where there is one.
    pub fn rounding(self) -> Option<Rounding> {
        match self {
            Self::F32 => None,
            Self::Bf16 => Some(Rounding::Bf16),
            Self::Int8 => Some(Rounding::Int8),
        }
    }

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        self.rounding().map_or("f32", Rounding::name)
    }

    /// Gives the whole index in `folder` this storage and returns its manifest. `progress` is called with the f32
    /// bytes of every row rounded.
    ///
    /// The copy is written anew even where there is one, which mends a damaged one. Memory does not grow with the
    /// index. Files get their names when they are whole, `index.json` lists a copy only then, and a copy is removed
    /// only when it is no longer listed, so that the index is whole whenever the program is killed.
    ///
    /// # Errors
    /// There is no index, its vectors cannot be read or are not what the manifest says, a number is not finite, or
    /// the disk is full; the index then stays as it was.
    pub fn apply(self, folder: &Path, progress: &mut dyn FnMut(u64)) -> Result<Manifest, IndexError> {
        let mut manifest = Manifest::read(folder)?;
        let mut files: BTreeMap<String, FileRecord> = manifest.files.clone();
        for name in Rounding::ALL.into_iter().flat_map(files_of) {
            files.remove(name);
        }
        if let Some(rounding) = self.rounding() {
            let path = folder.join(VECTORS_FILE);
            let vectors = Vectors::open(&path)?;
            let (expected, found) = (manifest.documents, vectors.len() as u64);
            if expected != found {
                return Err(IndexError::Disagreement { path, what: "vectors", expected, found });
            }
            let written = write(folder, rounding, vectors.as_slice(), vectors.dim(), progress);
            if written.is_err() {
                // The first error is the one to report.
                let _ = files_of(rounding).map(|name| remove(&partial_path(&folder.join(name))));
            }
            for (name, record) in written? {
                files.insert(name.to_owned(), record);
            }
        }
        if manifest.files != files {
            manifest.files = files;
            manifest.write(folder)?;
        }
        for name in Rounding::ALL.into_iter().flat_map(files_of) {
            if !manifest.files.contains_key(name) {
                remove(&folder.join(name))?;
            }
            remove(&partial_path(&folder.join(name)))?;
        }
        Ok(manifest)
    }
}

impl fmt::Display for Storage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Storage {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let storage = Self::ALL.into_iter().find(|storage| storage.name() == text);
        storage.ok_or_else(|| format!("`{text}` is no storage: choose `f32`, `bf16` or `int8`"))
    }
}

fn files_of(rounding: Rounding) -> [&'static str; 2] {
    [rounding.numbers_file(), rounding.rows_file()]
}

/// Removes a file that may not be there.
fn remove(path: &Path) -> Result<(), IndexError> {
    match fs_err::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}
