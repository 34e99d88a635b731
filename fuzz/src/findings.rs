//! What was found, by kind; the first inputs of each kind are kept as files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::target::Fault;

/// The inputs of a kind that are kept: the rest would say the same.
const KEPT: u64 = 3;

/// The findings of a run.
pub struct Findings {
    folder: PathBuf,
    /// By target and kind: how many, and what the first one said.
    kinds: BTreeMap<(&'static str, String), (u64, String)>,
}

impl Findings {
    /// None so far; inputs will be saved in `folder`.
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), kinds: BTreeMap::new() }
    }

    /// Counts a finding and saves its input unless there are enough of its kind. Returns the file.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn add(
        &mut self,
        target: &'static str,
        number: u64,
        bytes: &[u8],
        fault: Fault,
    ) -> std::io::Result<Option<PathBuf>> {
        let Fault { kind, detail } = fault;
        let (count, _) = self.kinds.entry((target, kind)).or_insert((0, detail));
        *count += 1;
        if *count > KEPT {
            return Ok(None);
        }
        save(&self.folder, target, number, bytes).map(Some)
    }

    /// One line a kind.
    pub fn lines(&self) -> Vec<String> {
        let line = |((target, kind), (count, detail)): (&(&str, String), &(u64, String))| {
            format!("{target}: {kind}, {count} times: {detail}")
        };
        self.kinds.iter().map(line).collect()
    }

    /// How many inputs were findings.
    pub fn count(&self) -> u64 {
        self.kinds.values().map(|(count, _)| count).sum()
    }
}

/// Saves an input under its target's name and number.
///
/// # Errors
/// The file cannot be written.
pub fn save(folder: &Path, target: &str, number: u64, bytes: &[u8]) -> std::io::Result<PathBuf> {
    fs_err::create_dir_all(folder)?;
    let path = folder.join(format!("{target}-{number}"));
    fs_err::write(&path, bytes)?;
    Ok(path)
}
