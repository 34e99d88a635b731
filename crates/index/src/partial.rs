//! Files that stand under a partial name until they are whole, so that a file under its own name is never half a
//! file.

use std::io::{self, ErrorKind, Write as _};
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

/// Gives the partial file of `path`, which is whole and on the disk, its name, for good: also after a power cut.
pub(crate) fn publish(path: &Path) -> Result<FileRecord, IndexError> {
    let partial = partial_path(path);
    let record = FileRecord::of(&partial)?;
    rename(&partial, path)?;
    Ok(record)
}

/// Writes a small file at once.
pub(crate) fn write(path: &Path, content: &[u8]) -> Result<(), IndexError> {
    let partial = partial_path(path);
    let mut file = File::create(&partial)?;
    file.write_all(content)?;
    file.sync_all()?;
    Ok(rename(&partial, path)?)
}

/// Renames a file that is on the disk, and brings the folder there, too.
fn rename(partial: &Path, path: &Path) -> io::Result<()> {
    fs_err::rename(partial, path)?;
    // Windows does not open folders as files, and its renames need no such step.
    if cfg!(unix) {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_over_what_a_killed_program_left() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        fs_err::write(partial_path(&path), "half of a longer fi").expect("a partial file");
        write(&path, b"whole").expect("the file is written");
        assert_eq!(fs_err::read(&path).expect("the file is there"), b"whole");
        assert_eq!(fs_err::read_dir(folder.path()).expect("the folder is there").count(), 1);
    }
}
