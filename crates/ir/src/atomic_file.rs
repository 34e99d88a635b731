//! Files that appear whole or not at all.
//!
//! A regular file is written under a temporary name in the same folder, synchronised and renamed, and then the folder is
//! synchronised, so that the name survives a power failure too. Anything else that already exists under the name (a pipe, a
//! device) is written to directly, since renaming would replace it.

use std::{
    ffi::OsString,
    io::{self, BufWriter, ErrorKind, Write},
    path::{Path, PathBuf},
};

use fs_err::File;

/// A file in the making; dropped before [`AtomicFile::commit`], it leaves what was there before.
#[derive(Debug)]
pub struct AtomicFile {
    writer: BufWriter<File>,
    /// The temporary name and the final one; `None` for what is written to directly.
    names: Option<(PathBuf, PathBuf)>,
}

impl AtomicFile {
    /// Begins the file that will stand at `path`, and removes what a killed process left of an earlier try.
    ///
    /// # Errors
    /// The folder is missing or cannot be written.
    pub fn create(path: &Path) -> io::Result<Self> {
        if fs_err::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
            let file = fs_err::OpenOptions::new().write(true).open(path)?;
            return Ok(Self { writer: BufWriter::new(file), names: None });
        }
        // A symbolic link keeps pointing to the file that it points to.
        let target = fs_err::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        clear_abandoned(&target);
        let mut name = partial_prefix(&target);
        name.push(format!("{}{PARTIAL}", std::process::id()));
        let partial = target.with_file_name(name);
        let file = fs_err::OpenOptions::new().write(true).create_new(true).open(&partial)?;
        // The lock ends with the process, however that ends. A file system without locks does without.
        let _ = file.file().try_lock();
        Ok(Self { writer: BufWriter::new(file), names: Some((partial, target)) })
    }

    /// Makes the file whole and gives it its name.
    ///
    /// # Errors
    /// The disk is full or broken; what stood under the name before stays.
    pub fn commit(mut self) -> io::Result<()> {
        self.writer.flush()?;
        let Some((partial, target)) = &self.names else { return Ok(()) };
        self.writer.get_ref().sync_all()?;
        fs_err::rename(partial, target)?;
        let folder = sync_folder_of(target);
        self.names = None;
        folder
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if let Some((partial, _)) = &self.names {
            // The error that led here is the one worth reporting.
            let _ = fs_err::remove_file(partial);
        }
    }
}

/// Writes `path` by `write`; on an error the previous file, if any, stays as it was.
///
/// # Errors
/// What `write` says, a folder that cannot be written, a full disk.
pub fn write_atomically(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut file = AtomicFile::create(path)?;
    write(&mut file)?;
    file.commit()
}

/// Writes `bytes` to `path`, as [`write_atomically`] does.
///
/// # Errors
/// A folder that cannot be written, a full disk.
pub fn write_bytes(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_atomically(path, |writer| writer.write_all(bytes))
}

/// Synchronises the folder in which `path` stands, so that a name given there survives a power failure.
///
/// # Errors
/// The folder cannot be opened or written.
pub fn sync_folder_of(path: &Path) -> io::Result<()> {
    if cfg!(unix) {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}

const PARTIAL: &str = ".partial";

/// `.NAME.`, with which the temporary names of `NAME` begin.
fn partial_prefix(target: &Path) -> OsString {
    let mut name = OsString::from(".");
    name.push(target.file_name().unwrap_or_default());
    name.push(".");
    name
}

/// Removes temporary files of `target` that no living process holds. What cannot be removed stays: it harms nobody.
fn clear_abandoned(target: &Path) {
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Ok(entries) = fs_err::read_dir(folder) else { return };
    let prefix = partial_prefix(target);
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let name = path.file_name().unwrap_or_default().as_encoded_bytes();
        let between = name.strip_prefix(prefix.as_encoded_bytes());
        let process = between.and_then(|rest| rest.strip_suffix(PARTIAL.as_bytes()));
        let is_ours = process.is_some_and(|id| !id.is_empty() && id.iter().all(u8::is_ascii_digit));
        if is_ours
            && let Ok(file) = File::open(&path)
            && !is_held(&file)
        {
            let _ = fs_err::remove_file(&path);
        }
    }
}

/// Whether another process has locked the file.
fn is_held(file: &File) -> bool {
    let locked = file.file().try_lock().map_err(io::Error::from);
    locked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs_err::read_dir(folder).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn what_a_killed_process_left_is_cleared_and_what_a_living_one_writes_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs_err::write(at(".run.trec.4000000.partial"), "half").unwrap();
        fs_err::write(at(".run.trec.old.partial"), "not ours").unwrap();
        fs_err::write(at(".other.4000000.partial"), "another file's").unwrap();
        let living = File::create(at(".run.trec.4000001.partial")).unwrap();
        living.file().try_lock().unwrap();
        write_atomically(&at("run.trec"), |writer| writer.write_all(b"whole")).unwrap();
        let left =
            [".other.4000000.partial", ".run.trec.4000001.partial", ".run.trec.old.partial", "run.trec"];
        assert_eq!(names(folder.path()), left);
    }

    #[test]
    fn a_file_that_is_not_committed_leaves_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.trec");
        fs_err::write(&path, "before").unwrap();
        let mut file = AtomicFile::create(&path).unwrap();
        file.write_all(b"after").unwrap();
        drop(file);
        assert_eq!(fs_err::read_to_string(&path).unwrap(), "before");
        assert_eq!(names(folder.path()), ["run.trec"]);
    }
}
