//! One writer a folder: a lock that a living process holds, and that ends with it however it ends.
//!
//! The lock is a file with the process's number in it, locked by the system. It is removed when the work is done; one that a
//! killed process left is taken over.

use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use fs_err::{File, OpenOptions};

/// The lock's name within a folder that is filled in its place.
pub const LOCK_FILE: &str = ".lock";

/// Keeps other processes from writing to a folder until it is dropped.
#[derive(Debug)]
pub struct FolderLock {
    path: PathBuf,
    /// Open as long as the lock is held.
    _file: File,
    /// Folders that were made for the lock, deepest first; they go again if nothing comes into them.
    made: Vec<PathBuf>,
}

impl FolderLock {
    /// Locks a folder that is filled in its place, such as an index or a run, and makes it if there is none.
    ///
    /// # Errors
    /// Another process writes to the folder, or it cannot be made or written.
    pub fn inside(folder: &Path) -> Result<Self> {
        if folder.exists() && !folder.is_dir() {
            bail!("`{}` is not a folder; choose another", folder.display());
        }
        let missing = folder.ancestors().take_while(|path| !path.as_os_str().is_empty() && !path.exists());
        let made: Vec<PathBuf> = missing.map(Path::to_owned).collect();
        fs_err::create_dir_all(folder)?;
        Self::acquire(folder, folder.join(LOCK_FILE), made)
    }

    /// Locks a folder that is written elsewhere and then moved to its place, such as a saved model.
    ///
    /// # Errors
    /// Another process writes to the folder, or the one around it cannot be made or written.
    pub fn beside(folder: &Path) -> Result<Self> {
        let Some(name) = folder.file_name() else {
            bail!("`{}` has no name of its own; name a folder inside it", folder.display());
        };
        if let Some(parent) = folder.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            fs_err::create_dir_all(parent)?;
        }
        let mut lock = std::ffi::OsString::from(".");
        lock.push(name);
        lock.push(LOCK_FILE);
        Self::acquire(folder, folder.with_file_name(lock), Vec::new())
    }

    fn acquire(folder: &Path, path: PathBuf, made: Vec<PathBuf>) -> Result<Self> {
        loop {
            let mut file =
                OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path)?;
            match file.file().try_lock().map_err(io::Error::from) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let Some(holder) = holder(&path) else { continue };
                    bail!(
                        "`{}` is being written by another process ({holder}): wait until it ends, or choose another folder",
                        folder.display()
                    );
                }
                // Some network file systems know no locks; there, the user must see to it.
                Err(error) if error.kind() == ErrorKind::Unsupported => {}
                Err(error) => {
                    return Err(error).with_context(|| format!("`{}` cannot be locked", path.display()));
                }
            }
            // The holder before may have removed the file between its opening and its locking here.
            if is_still_there(&file, &path) {
                file.set_len(0)?;
                file.write_all(format!("process {}\n", std::process::id()).as_bytes())?;
                return Ok(Self { path, _file: file, made });
            }
        }
    }
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        // Removed while it is held, so that nobody can hold a file that has no name any more.
        let _ = fs_err::remove_file(&self.path);
        for folder in &self.made {
            if fs_err::remove_dir(folder).is_err() {
                break;
            }
        }
    }
}

/// What a lock that another process holds says of it; `None` where the lock is gone by now.
fn holder(path: &Path) -> Option<String> {
    // It is locked first and written then; the line's end says that it is whole.
    for _ in 0..100 {
        match fs_err::read_to_string(path) {
            Ok(text) if text.ends_with('\n') => return Some(text.trim().to_owned()),
            Err(error) if error.kind() == ErrorKind::NotFound => return None,
            _ => sleep(Duration::from_millis(1)),
        }
    }
    Some("it does not say which".to_owned())
}

#[cfg(unix)]
fn is_still_there(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let Ok(held) = file.metadata() else { return false };
    fs_err::metadata(path).is_ok_and(|named| (held.dev(), held.ino()) == (named.dev(), named.ino()))
}

/// An open file keeps its name there.
#[cfg(not(unix))]
fn is_still_there(_: &File, _: &Path) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_writer_is_refused_by_name_until_the_first_is_done() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("runs/new");
        let lock = FolderLock::inside(&folder).unwrap();
        let message = FolderLock::inside(&folder).unwrap_err().to_string();
        assert!(message.contains("runs/new"), "{message}");
        assert!(message.contains(&format!("process {}", std::process::id())), "{message}");
        drop(lock);
        assert!(!place.path().join("runs").exists(), "what was made for the lock alone is gone");
        let _again = FolderLock::inside(&folder).unwrap();
        let _beside = FolderLock::beside(&folder).unwrap();
        FolderLock::beside(&folder).unwrap_err();
    }

    #[test]
    fn a_holder_that_has_not_written_its_number_yet_or_has_just_ended_is_waited_for() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join(LOCK_FILE);
        for is_ending in [false, true] {
            let mut held = File::create(&path).unwrap();
            held.file().lock().unwrap();
            let tried = std::thread::scope(|scope| {
                let tried = scope.spawn(|| FolderLock::inside(place.path()));
                sleep(Duration::from_millis(20));
                if is_ending {
                    fs_err::remove_file(&path).unwrap();
                    held.file().unlock().unwrap();
                } else {
                    held.write_all(b"process").unwrap();
                    sleep(Duration::from_millis(5));
                    held.write_all(b" 5\n").unwrap();
                }
                tried.join().unwrap()
            });
            let message = tried.map(drop).map_err(|error| error.to_string());
            assert_eq!(message.is_ok(), is_ending, "{message:?}");
            assert!(is_ending || message.is_err_and(|message| message.contains("(process 5)")));
        }
    }

    #[test]
    fn a_lock_that_a_killed_process_left_is_taken_over_and_what_was_written_stays() {
        let place = tempfile::tempdir().unwrap();
        fs_err::write(place.path().join(LOCK_FILE), "process 4000000\n").unwrap();
        let lock = FolderLock::inside(place.path()).unwrap();
        fs_err::write(place.path().join("vectors"), "1").unwrap();
        drop(lock);
        let left: Vec<_> =
            fs_err::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["vectors"]);
    }
}
