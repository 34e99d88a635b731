//! A run on ready-made pairs: the collection that is made of them lies in `RUN/pairs` and is trained on from there.
//!
//! Beside the collection's files lies `pairs.json`, which names the file it was made of, with its checksum: the same file is
//! not read twice. Until the run's checks have passed, what was made is taken back when they fail.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use sbmoe_index::FileRecord;
use sbmoe_ir::atomic_file::{sync_folder_of, write_bytes};
use sbmoe_ir::pairs::to_beir;
use serde::{Deserialize, Serialize};

use super::TrainRequest;
use super::progress::{Observer, Progress, tell};
use super::run_folder::RunFolder;

/// The version of the file below.
const FORMAT: u32 = 1;

pub(super) const STAMP: &str = "pairs.json";

/// `pairs.json`.
#[derive(Debug, Serialize, Deserialize)]
struct Stamp {
    format: u32,
    /// The file of pairs, as it was named.
    file: PathBuf,
    source: FileRecord,
}

/// A collection that was made for a run which may yet be refused.
#[derive(Debug, Default)]
pub(super) struct MadePairs {
    /// The run's folder, where this collection was made for it now.
    made_in: Option<RunFolder>,
    /// Whether the collection has its name already, and whether a former one was moved out of its way.
    is_there: bool,
    replaces: bool,
}

/// The collection's folder: made of the pairs, or reused where it was made of the same file.
///
/// # Errors
/// A file that cannot be read or is no file of pairs, a malformed row, or a folder that was made of something else and is
/// not to be overwritten.
pub(super) fn collection(
    source: &Path,
    request: &TrainRequest,
    observe: &mut Observer<'_>,
) -> Result<(PathBuf, MadePairs)> {
    let folder = RunFolder::new(&request.out);
    let target = folder.pairs();
    let stamp = Stamp::read(&target);
    let shown = target.display();
    let replaces = target.exists();
    if replaces {
        let Some(stamp) = stamp else {
            bail!("`{shown}` is not what an earlier `--pairs` made; choose another `--out`");
        };
        // A run that goes on needs the file no more.
        let is_same =
            if request.resume && !source.exists() { true } else { FileRecord::of(source)? == stamp.source };
        if is_same {
            tell(observe, Progress::Note(format!("pairs: the collection in `{shown}` is reused")))?;
            // Nothing to take back, but perhaps something that a killed run has left beside it.
            return Ok((target, MadePairs { made_in: Some(folder), ..MadePairs::default() }));
        }
        if !request.overwrite {
            bail!(
                "`{shown}` was made of another file than `{}` is now (of `{}`, SHA-256 {}); use `--overwrite` to start again \
                 with this one, or another `--out`",
                source.display(),
                stamp.file.display(),
                stamp.source.sha256
            );
        }
    }
    let record = FileRecord::of(source)?;
    let mut made = MadePairs { made_in: Some(folder.clone()), ..MadePairs::default() };
    let partial = aside(&folder, "new");
    remove(&partial)?;
    let report = to_beir(source, &partial)?;
    let stamp = Stamp { format: FORMAT, file: source.to_owned(), source: record };
    write_bytes(&partial.join(STAMP), &serde_json::to_vec_pretty(&stamp)?)
        .context("the run's folder cannot be written; choose another `--out`")?;
    if replaces {
        let former = aside(&folder, "former");
        remove(&former)?;
        fs_err::rename(&target, former)?;
        made.replaces = true;
    }
    fs_err::rename(&partial, &target)?;
    sync_folder_of(&target)?;
    made.is_there = true;
    let blank = if report.blank > 0 {
        format!(", {} without text are left out", report.blank)
    } else {
        String::new()
    };
    let note = format!("pairs: {} rows became the collection in `{shown}`{blank}", report.rows);
    tell(observe, Progress::Note(note))?;
    Ok((target, made))
}

impl MadePairs {
    /// The checks have passed: the collection stays.
    pub(super) fn stays(mut self) -> Result<()> {
        match self.made_in.take() {
            Some(folder) => remove(&aside(&folder, "former")),
            None => Ok(()),
        }
    }
}

impl Drop for MadePairs {
    /// Takes back what was made for a run that was refused.
    fn drop(&mut self) {
        let Some(folder) = &self.made_in else { return };
        // The refusal is what is worth reporting; what cannot be taken back is reused or refused by name the next time.
        let (target, new) = (folder.pairs(), aside(folder, "new"));
        let _ = remove(&new);
        // Moved before it is removed, so that no part of it ever has the name.
        if self.is_there {
            let _ = fs_err::rename(&target, &new);
        }
        if self.replaces {
            let _ = fs_err::rename(aside(folder, "former"), &target);
        }
        let _ = remove(&new);
    }
}

impl Stamp {
    fn read(folder: &Path) -> Option<Self> {
        let text = fs_err::read(folder.join(STAMP)).ok()?;
        serde_json::from_slice::<Self>(&text).ok().filter(|stamp| stamp.format == FORMAT)
    }
}

/// A folder beside the collection's that is seen only while it is made.
fn aside(folder: &RunFolder, what: &str) -> PathBuf {
    folder.path().join(format!(".pairs.{what}"))
}

fn remove(folder: &Path) -> Result<()> {
    if folder.is_dir() {
        fs_err::remove_dir_all(folder)?;
    }
    Ok(())
}
