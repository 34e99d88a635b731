//! An index folder: its manifest, its vectors, and whether its files are what the manifest says.

use std::path::{Path, PathBuf};

use crate::checksum::FileRecord;
use crate::error::IndexError;
use crate::manifest::Manifest;
use crate::rounded::RoundedVectors;
use crate::storage::Storage;
use crate::vectors::Vectors;

/// The file of the documents' vectors.
pub const VECTORS_FILE: &str = "vectors.npy";

/// The file of the encoder's pooled vectors, there if they were kept.
pub const POOLED_FILE: &str = "pooled.npy";

/// An index opened for reading.
#[derive(Debug)]
pub struct IndexFolder {
    path: PathBuf,
    manifest: Manifest,
    vectors: Vectors,
    pooled: Option<Vectors>,
    rounded: Option<RoundedVectors>,
}

impl IndexFolder {
    /// Opens the index in `path`: headers and sizes are checked, checksums are not ([`IndexFolder::verify`]).
    ///
    /// # Errors
    /// The manifest is missing, of another version or not readable; a file that it lists is missing or has another
    /// size; the vectors' file says something else than the manifest.
    pub fn open(path: &Path) -> Result<Self, IndexError> {
        loop {
            let manifest = Manifest::read(path)?;
            let files = manifest.files.clone();
            let opened = Self::open_as(path, manifest);
            // Where an index is rounded meanwhile, a copy goes once the manifest lists another: then that is the one to open.
            let is_past = || Manifest::read(path).is_ok_and(|now| now.files != files);
            if opened.is_ok() || !is_past() {
                return opened;
            }
        }
    }

    /// Opens the files that `manifest` lists.
    fn open_as(path: &Path, manifest: Manifest) -> Result<Self, IndexError> {
        for (name, record) in &manifest.files {
            let file = path.join(name);
            let found = fs_err::metadata(&file)?.len();
            if found != record.bytes {
                return Err(IndexError::Size { path: file, expected: record.bytes, found });
            }
        }
        let vectors = Vectors::open(&path.join(VECTORS_FILE))?;
        agree(&path.join(VECTORS_FILE), "numbers a vector", manifest.dim as u64, vectors.dim() as u64)?;
        agree(&path.join(VECTORS_FILE), "vectors", manifest.documents, vectors.len() as u64)?;
        let pooled = if manifest.files.contains_key(POOLED_FILE) {
            let pooled = Vectors::open(&path.join(POOLED_FILE))?;
            agree(&path.join(POOLED_FILE), "vectors", manifest.documents, pooled.len() as u64)?;
            Some(pooled)
        } else {
            None
        };
        let rounded = Storage::of(&manifest)
            .rounding()
            .map(|rounding| RoundedVectors::open(path, rounding, vectors.dim(), vectors.len()))
            .transpose()?;
        Ok(Self { path: path.to_path_buf(), manifest, vectors, pooled, rounded })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What `index.json` says.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The documents' vectors, `[documents, dim]`.
    pub fn vectors(&self) -> &Vectors {
        &self.vectors
    }

    /// The encoder's pooled vectors, `[documents, hidden]`, if they were kept.
    pub fn pooled(&self) -> Option<&Vectors> {
        self.pooled.as_ref()
    }

    /// The rounded copy of the vectors, if there is one: the smaller where there are two.
    pub fn rounded(&self) -> Option<&RoundedVectors> {
        self.rounded.as_ref()
    }

    /// Reads one file and compares its size and checksum with the manifest's; `progress` is called with the number
    /// of bytes of every piece read.
    ///
    /// # Errors
    /// The manifest does not list the file, or the file cannot be read or is another.
    pub fn verify_file(&self, name: &str, progress: &mut dyn FnMut(u64)) -> Result<(), IndexError> {
        let expected = self
            .manifest
            .files
            .get(name)
            .ok_or_else(|| IndexError::Unlisted { folder: self.path.clone(), name: name.to_owned() })?;
        let path = self.path.join(name);
        let found = FileRecord::with_progress(&path, progress)?;
        if found.bytes != expected.bytes {
            return Err(IndexError::Size { path, expected: expected.bytes, found: found.bytes });
        }
        if found.sha256 != expected.sha256 {
            return Err(IndexError::Checksum {
                path,
                expected: expected.sha256.clone(),
                found: found.sha256,
            });
        }
        Ok(())
    }

    /// [`IndexFolder::verify_file`] for every file, up to the first that fails.
    ///
    /// # Errors
    /// A file cannot be read or is another than the manifest says.
    pub fn verify(&self, progress: &mut dyn FnMut(u64)) -> Result<(), IndexError> {
        self.manifest.files.keys().try_for_each(|name| self.verify_file(name, progress))
    }
}

fn agree(path: &Path, what: &'static str, expected: u64, found: u64) -> Result<(), IndexError> {
    if expected == found {
        Ok(())
    } else {
        Err(IndexError::Disagreement { path: path.to_path_buf(), what, expected, found })
    }
}
