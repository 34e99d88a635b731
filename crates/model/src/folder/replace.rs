//! Replacing a whole folder at once: it is written beside its place and moved there when it is complete.

use std::io;
use std::path::Path;

use super::{FolderError, fingerprint};
use crate::atomic::{PARTIAL, beside, sync_folder, sync_parent};

/// Calls `write` with an empty folder beside `dir` and moves that to `dir` if it succeeds.
///
/// An older model at `dir` is moved aside first and deleted last. Killed between the two moves, a run leaves the old
/// model under `.NAME.previous`, whence the next call restores it. A folder that holds anything but a saved model is
/// not replaced.
pub(super) fn replace(
    dir: &Path,
    write: impl FnOnce(&Path) -> Result<(), FolderError>,
) -> Result<(), FolderError> {
    let (partial, previous) = (beside(dir, PARTIAL)?, beside(dir, "previous")?);
    if previous.exists() {
        if dir.exists() {
            fs_err::remove_dir_all(&previous)?;
        } else {
            fs_err::rename(&previous, dir)?;
        }
    }
    let occupied = is_occupied(dir)?;
    if occupied && !is_saved_model(dir) {
        return Err(FolderError::Occupied { dir: dir.to_owned() });
    }
    if partial.exists() {
        fs_err::remove_dir_all(&partial)?;
    }
    fs_err::create_dir_all(&partial)?;
    let written = write(&partial).and_then(|()| {
        // The folders that `write` made hold files whose names are safe already.
        sync_folder(&partial)?;
        if dir.exists() {
            fs_err::rename(dir, &previous)?;
        }
        fs_err::rename(&partial, dir)?;
        sync_parent(dir)?;
        Ok(())
    });
    if written.is_err() {
        // The first error is the one to report.
        let _ = fs_err::remove_dir_all(&partial);
        if previous.exists() && !dir.exists() {
            let _ = fs_err::rename(&previous, dir);
        }
        return written;
    }
    if previous.exists() {
        fs_err::remove_dir_all(&previous)?;
    }
    Ok(())
}

/// Removes a saved model, if there is one: it is moved aside first, so that a program that is killed meanwhile leaves no
/// part of it under its name.
///
/// # Errors
/// The folder, or the one around it, cannot be written.
pub fn remove_saved_model(dir: &Path) -> Result<(), FolderError> {
    let partial = beside(dir, PARTIAL)?;
    // An earlier removal, or a model in the making, that was killed.
    if partial.exists() {
        fs_err::remove_dir_all(&partial)?;
    }
    if dir.is_dir() {
        fs_err::rename(dir, &partial)?;
        fs_err::remove_dir_all(&partial)?;
    }
    Ok(())
}

/// Whether `dir` holds a model that this library saved, which it may therefore replace.
pub fn is_saved_model(dir: &Path) -> bool {
    dir.join(fingerprint::FILE).is_file()
}

/// Whether there is something at `dir` that would be lost.
fn is_occupied(dir: &Path) -> Result<bool, FolderError> {
    match fs_err::read_dir(dir) {
        Ok(mut entries) => Ok(entries.next().is_some()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error.into()),
    }
}
