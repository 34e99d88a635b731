//! Named tensors read from the files that models come in: safetensors, and PyTorch's two serialisations.
//!
//! A [`Checkpoint`] is the union of one or several memory-mapped files; every tensor's place, shape and type is
//! known and checked when it is opened, and its numbers are converted to `f32` when they are asked for.
//! PyTorch's files are read by a small pickle machine of our own ([`pickle`]) that knows an allow-list of
//! opcodes and globals and runs nothing. Which tensors a model needs is said by the caller
//! ([`Checkpoint::select`]); this module knows no architecture.
//!
//! ```no_run
//! use sbmoe_model::checkpoint::Checkpoint;
//!
//! let checkpoint = Checkpoint::open("TinyBERT_General_4L_312D".as_ref())?;
//! let table = checkpoint.get("bert.embeddings.word_embeddings.weight")?;
//! assert_eq!(table.values.len(), table.shape.iter().product::<usize>());
//! # Ok::<(), sbmoe_model::checkpoint::CheckpointError>(())
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use self::error::{CheckpointError, Misshapen, NotFinite};
pub use self::selection::{Selection, Wanted};
pub use self::shards::weight_files;
pub use self::values::Values;
pub use self::write::{NamedTensor, stream_safetensors, write_safetensors};

use self::entry::Entry;
use self::mapped::MappedFile;

mod archive;
mod entry;
mod error;
mod legacy;
mod mapped;
pub mod names;
pub mod pickle;
mod safetensors;
mod selection;
mod shards;
mod state_dict;
mod values;
mod write;

/// A tensor's numbers, in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// The extent of each dimension; empty for a scalar.
    pub shape: Vec<usize>,
    /// `shape.iter().product()` numbers, every one of them finite.
    pub values: Values,
}

/// The free text that the header of a safetensors file carries beside its tensors; empty where there is none.
///
/// # Errors
/// A file that is truncated or no safetensors file.
pub fn metadata(path: &Path) -> Result<BTreeMap<String, String>, CheckpointError> {
    safetensors::header_text(&MappedFile::open(path)?)
}

/// The tensors of one or several files, by name.
#[derive(Debug)]
pub struct Checkpoint {
    files: Vec<MappedFile>,
    entries: BTreeMap<String, Entry>,
}

impl Checkpoint {
    /// Opens the weights of a model folder.
    ///
    /// Looked for, in this order: `model.safetensors`, `model.safetensors.index.json` with its shards,
    /// `pytorch_model.bin`, `pytorch_model.bin.index.json` with its shards.
    ///
    /// # Errors
    /// No such file, or one that cannot be read as what it says it is: see [`CheckpointError`].
    pub fn open(dir: &Path) -> Result<Self, CheckpointError> {
        shards::open(dir)
    }

    /// Opens one file: safetensors, or a state dictionary written by `torch.save`.
    ///
    /// The format is told from the content, not from the name. A dictionary that holds the state dictionary under
    /// `state_dict` or `model_state_dict` is looked into.
    ///
    /// # Errors
    /// A file that is truncated, malformed, of an unknown format, or that would execute code.
    pub fn open_file(path: &Path) -> Result<Self, CheckpointError> {
        let file = MappedFile::open(path)?;
        let entries = match file.format()? {
            mapped::Format::Safetensors => safetensors::entries(&file)?,
            mapped::Format::TorchArchive => archive::entries(&file)?,
            mapped::Format::TorchLegacy => legacy::entries(&file)?,
        };
        Ok(Self { files: vec![file], entries })
    }

    /// Every tensor's name, sorted; those of integers (`position_ids`) included.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// The shape of a tensor, or `None` if there is none of this name.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.entries.get(name).map(|entry| entry.shape.as_slice())
    }

    /// The files that were opened, in the order of their first tensors in the index (one file: itself).
    pub fn files(&self) -> impl ExactSizeIterator<Item = &Path> {
        self.files.iter().map(MappedFile::path)
    }

    /// Reads a tensor, converted to `f32` from f16, bf16, f32 or f64.
    ///
    /// # Errors
    /// An unknown name, a tensor of integers, or a number that is not finite (its index is into the values in
    /// row-major order).
    pub fn get(&self, name: &str) -> Result<Tensor, CheckpointError> {
        let Some(entry) = self.entries.get(name) else {
            return Err(CheckpointError::UnknownTensor { path: self.first_path(), name: name.to_owned() });
        };
        entry.read(name, &self.files[entry.file])
    }

    /// Renames the tensors, dropping those for which `rename` returns `None`.
    ///
    /// # Errors
    /// Two tensors that receive the same name.
    pub fn rename(self, rename: impl Fn(&str) -> Option<String>) -> Result<Self, CheckpointError> {
        let path = self.first_path();
        let mut entries = BTreeMap::new();
        let mut origins: BTreeMap<String, String> = BTreeMap::new();
        for (name, entry) in self.entries {
            let Some(renamed) = rename(&name) else { continue };
            if let Some(first) = origins.get(&renamed) {
                return Err(CheckpointError::SameName { path, first: first.clone(), second: name, renamed });
            }
            origins.insert(renamed.clone(), name);
            entries.insert(renamed, entry);
        }
        Ok(Self { files: self.files, entries })
    }

    /// The path that errors name when no single file is to blame.
    fn first_path(&self) -> PathBuf {
        self.files.first().map(|file| file.path().to_owned()).unwrap_or_default()
    }
}
