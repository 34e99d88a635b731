//! `sbmoe index`: looking at an index folder, and rounding its vectors.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use sbmoe_index::{Manifest, Storage};
use serde_json::json;

use super::{Verdict, console};
use crate::folder_lock::FolderLock;
use crate::index_folder::{Index as IndexInFolder, IndexState};

/// Look at an index, check its files, or give it a rounded copy of its vectors that makes searches faster.
#[derive(Debug, Args)]
pub(super) struct Index {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Compare every file of an index with its checksum.
    ///
    /// Opening an index checks headers and sizes only; this reads everything. Exit code 2 names the damaged file.
    Check {
        /// The index folder
        index: PathBuf,
    },
    /// Print what an index holds and how it was made.
    Show {
        /// The index folder
        index: PathBuf,
        /// Print `index.json` as it is
        #[arg(long)]
        json: bool,
    },
    /// Add a rounded copy of the vectors to an index, or remove it.
    ///
    /// A search with a copy reads the copy, and only the few documents that it cannot rule out from the f32 vectors: the
    /// hits, their scores and their order are the same, byte for byte. It is faster, most of all for one query at a time.
    /// The f32 vectors stay, so that `int8` takes a quarter more disk than `f32` alone and `bf16` a half more. A damaged
    /// copy is mended by making it again. The index can be searched all the while, and killing the command leaves it whole.
    Round {
        /// The index folder
        index: PathBuf,
        /// What stands beside the f32 vectors: f32 (nothing), bf16 (half as many bytes again), int8 (a quarter)
        #[arg(long, value_name = "NUMBERS")]
        storage: Storage,
    },
}

impl Index {
    pub(super) fn run(self) -> Result<Verdict> {
        match self.command {
            Command::Check { index } => {
                let open = IndexInFolder::open(&index)?;
                let total = open.manifest().files.values().map(|file| file.bytes).sum();
                let bar = console::bar(total, "checking");
                open.verify(&mut |bytes| bar.inc(bytes))?;
                bar.finish_and_clear();
                let files = open.manifest().files.len();
                console::print(format!("`{}`: {files} files are as they were written", index.display()))?;
            }
            Command::Show { index, json } => {
                let open = IndexInFolder::open(&index)?;
                let manifest = open.manifest();
                if json {
                    console::print(json!(manifest).to_string())?;
                    return Ok(Verdict::Good);
                }
                console::print(format!("documents    {} × {}", manifest.documents, manifest.dim))?;
                console::print(format!("model        {}", manifest.model))?;
                console::print(format!("fingerprint  {}", manifest.fingerprint))?;
                console::print(format!("gate         {}", manifest.gate))?;
                let normalised = if manifest.normalize { ", normalised" } else { "" };
                console::print(format!("similarity   {}{normalised}", manifest.similarity))?;
                console::print(format!("storage      {}", described(Storage::of(manifest))))?;
                for (name, value) in &manifest.details {
                    console::print(format!("{name:<12} {value}"))?;
                }
                for (name, file) in &manifest.files {
                    console::print(format!("{name:<21} {} bytes", file.bytes))?;
                }
            }
            Command::Round { index, storage } => {
                // A damaged copy keeps an index from being opened, and this is what mends it.
                match IndexState::of(&index)? {
                    IndexState::Complete(_) => {}
                    IndexState::Partial { .. } => {
                        // Whoever is making it is named; after that it may be whole.
                        let _lock = FolderLock::inside(&index)?;
                        IndexInFolder::open(&index)?;
                    }
                    IndexState::Absent => drop(IndexInFolder::open(&index)?),
                }
                round(&index, storage)?;
                console::print(format!("`{}`: storage {}", index.display(), described(storage)))?;
            }
        }
        Ok(Verdict::Good)
    }
}

/// Gives an index a storage, with a bar.
pub(super) fn round(index: &Path, storage: Storage) -> Result<Manifest> {
    let _lock = FolderLock::inside(index)?;
    let manifest = Manifest::read(index)?;
    let bytes = if storage.rounding().is_some() { 4 * manifest.documents * manifest.dim as u64 } else { 0 };
    let bar = console::bar(bytes, "rounding");
    let manifest = storage
        .apply(index, &mut |bytes| bar.inc(bytes))
        .with_context(|| format!("the vectors of `{}` cannot be rounded", index.display()))?;
    bar.finish_and_clear();
    Ok(manifest)
}

/// The storage, with what it means.
fn described(storage: Storage) -> &'static str {
    match storage {
        Storage::F32 => "f32",
        Storage::Bf16 => "f32 with a copy in bf16, which searches read",
        Storage::Int8 => "f32 with a copy in int8, which searches read",
    }
}
