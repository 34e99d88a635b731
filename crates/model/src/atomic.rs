//! Files that appear whole or not at all, and what that takes for folders.
//!
//! A file is written under a temporary name beside its place, `.NAME.partial`, synchronised, renamed, and its folder
//! synchronised, so that at every moment, a power cut included, its place holds the old or the new content. The temporary
//! name is always the same: what a killed process left there is overwritten by the next that writes the same file.

use std::ffi::OsString;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use fs_err::File;

/// The end of a temporary name.
pub(crate) const PARTIAL: &str = "partial";

/// Writes `path` by `content`; on an error the temporary file is removed and the former content stays.
pub(crate) fn write<E: From<io::Error>>(
    path: &Path,
    content: impl FnOnce(&mut BufWriter<File>) -> Result<(), E>,
) -> Result<(), E> {
    let partial = beside(path, PARTIAL)?;
    let written = (|| {
        let mut writer = BufWriter::with_capacity(1 << 20, File::create(&partial)?);
        content(&mut writer)?;
        writer.flush()?;
        writer.get_ref().sync_all()?;
        fs_err::rename(&partial, path)?;
        Ok(sync_parent(path)?)
    })();
    if written.is_err() {
        // The first error is the one to report; the partial file may not even exist.
        let _ = fs_err::remove_file(&partial);
    }
    written
}

/// `.NAME.suffix` in the same folder, so that moving from it never crosses file systems.
///
/// # Errors
/// A path without a name of its own, such as `..`.
pub(crate) fn beside(path: &Path, suffix: &str) -> io::Result<PathBuf> {
    let Some(name) = path.file_name() else {
        let reason = format!(
            "`{}` has no name of its own, so that it cannot be replaced; name what is inside it",
            path.display()
        );
        return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
    };
    let mut beside = OsString::from(".");
    beside.push(name);
    beside.push(".");
    beside.push(suffix);
    Ok(path.with_file_name(beside))
}

/// Makes a rename in the folder of `path` survive a power cut.
pub(crate) fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    sync_folder(parent.unwrap_or(Path::new(".")))
}

/// Makes the names in a folder survive a power cut.
pub(crate) fn sync_folder(dir: &Path) -> io::Result<()> {
    // Windows does not open folders as files, and its renames need no such step.
    if cfg!(unix) {
        File::open(dir)?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs_err::read_dir(dir).unwrap();
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn a_file_is_old_or_new_and_nothing_is_left_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.json");
        // What a killed process left behind.
        fs_err::write(dir.path().join(".a.json.partial"), "longer than what follows").unwrap();
        write::<io::Error>(&path, |file| file.write_all(b"one")).unwrap();
        assert_eq!(
            (fs_err::read(&path).unwrap(), names(dir.path())),
            (b"one".to_vec(), vec!["a.json".to_owned()])
        );
        let failed = write(&path, |file| {
            file.write_all(b"two")?;
            Err(io::Error::other("stopped"))
        });
        assert_eq!(failed.unwrap_err().to_string(), "stopped");
        assert_eq!(
            (fs_err::read(&path).unwrap(), names(dir.path())),
            (b"one".to_vec(), vec!["a.json".to_owned()])
        );
        assert!(write::<io::Error>(Path::new(".."), |_| Ok(())).is_err());
    }
}
