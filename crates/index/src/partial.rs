//! Files that stand under a partial name until they are whole, so that a file under its own name is never half a
//! file.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use fs_err::{File, OpenOptions};

use crate::checksum::FileRecord;
use crate::error::IndexError;

/// The name under which the file at `path` is written until it is whole: `path` with `.partial` appended.
pub fn partial_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".partial");
    PathBuf::from(name)
}

/// Opens the partial file of `path` to go on with it.
///
/// Where there is none but a finished file at `path`, that becomes partial again: a program may be killed between
/// finishing one file of an index and the next.
pub(crate) fn reopen(path: &Path) -> Result<File, IndexError> {
    let partial = partial_path(path);
    if matches!(fs_err::metadata(&partial), Err(error) if error.kind() == ErrorKind::NotFound) {
        fs_err::rename(path, &partial)?;
    }
    Ok(OpenOptions::new().read(true).write(true).open(&partial)?)
}

/// Gives the partial file of `path`, which is whole and on the disk, its name.
pub(crate) fn publish(path: &Path) -> Result<FileRecord, IndexError> {
    let partial = partial_path(path);
    let record = FileRecord::of(&partial)?;
    fs_err::rename(&partial, path)?;
    Ok(record)
}
