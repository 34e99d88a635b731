//! `sbmoe index`: looking at an index folder.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::json;

use super::{Verdict, console};
use crate::index_folder::Index as IndexInFolder;

/// Look at an index: what it is, and whether its files are as they were written.
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
                for (name, value) in &manifest.details {
                    console::print(format!("{name:<12} {value}"))?;
                }
                for (name, file) in &manifest.files {
                    console::print(format!("{name:<20} {} bytes", file.bytes))?;
                }
            }
        }
        Ok(Verdict::Good)
    }
}
