//! The hub's cache: the layout that `huggingface_hub` made, read and written so that both programs share it.
//!
//! `models--ORG--NAME/blobs/ETAG` holds a file's bytes, `snapshots/COMMIT/PATH` links there, `refs/REVISION` holds
//! the commit of a branch or tag, and an empty `.no_exist/COMMIT/PATH` remembers that a commit has no such file.
//! Locks lie in `.locks`.

use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, ensure};
use fs_err::{File, OpenOptions};
use sbmoe_ir::atomic_file::{sync_folder_of, write_bytes};

use super::repository::{Repository, is_commit, is_plain};

const TAG_FILE: &str = "CACHEDIR.TAG";

/// The sign by which backup programs know a cache: <https://bford.info/cachedir/>.
const TAG: &str = "Signature: 8a477f597d28d172789f06886806bc55\n# Models of the Hugging Face hub.\n";

/// What the cache knows of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Lookup {
    /// It is here.
    Here(PathBuf),
    /// The commit has no such file.
    KnownAbsent,
    /// Nothing.
    Unknown,
}

/// One model's folder in the cache.
pub(super) struct Cache {
    root: PathBuf,
    folder: PathBuf,
    locks: PathBuf,
    symlinks: bool,
}

impl Cache {
    pub(super) fn new(root: &Path, repository: &Repository, symlinks: bool) -> Self {
        Self {
            root: root.to_path_buf(),
            folder: root.join(repository.folder()),
            locks: root.join(".locks").join(repository.folder()),
            symlinks,
        }
    }

    /// The commit of the repository's revision, if it is known.
    pub(super) fn commit(&self, repository: &Repository) -> Result<Option<String>> {
        let revision = repository.revision();
        if is_commit(revision) {
            return Ok(Some(revision.to_owned()));
        }
        let path = self.folder.join("refs").join(revision);
        match fs_err::read_to_string(&path) {
            Ok(text) => {
                let commit = text.trim();
                ensure!(is_commit(commit), "`{}` holds no commit: remove it", path.display());
                Ok(Some(commit.to_owned()))
            }
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::IsADirectory) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Remembers the commit of the repository's revision.
    pub(super) fn remember(&self, repository: &Repository, commit: &str) -> Result<()> {
        let path = self.folder.join("refs").join(repository.revision());
        if repository.revision() == commit || fs_err::read_to_string(&path).is_ok_and(|text| text == commit) {
            return Ok(());
        }
        create_parent(&path)?;
        Ok(write_bytes(&path, commit.as_bytes())?)
    }

    /// The folder of a commit's files.
    pub(super) fn snapshot(&self, commit: &str) -> PathBuf {
        self.folder.join("snapshots").join(commit)
    }

    pub(super) fn lookup(&self, commit: &str, file: &str) -> Lookup {
        let path = self.snapshot(commit).join(file);
        if path.is_file() {
            Lookup::Here(path)
        } else if self.absence(commit, file).exists() {
            Lookup::KnownAbsent
        } else {
            Lookup::Unknown
        }
    }

    /// Remembers that a commit has no such file.
    pub(super) fn remember_absence(&self, commit: &str, file: &str) -> Result<()> {
        let path = self.absence(commit, file);
        create_parent(&path)?;
        fs_err::write(path, "")?;
        Ok(())
    }

    /// Where the bytes of a file with this tag are kept. Tags are plain: the client has seen to that.
    pub(super) fn blob(&self, etag: &str) -> PathBuf {
        debug_assert!(is_plain(etag));
        self.folder.join("blobs").join(etag)
    }

    /// Keeps other programs from downloading the same bytes until the lock is dropped.
    pub(super) fn lock(&self, etag: &str) -> Result<File> {
        let tag = self.root.join(TAG_FILE);
        if !tag.exists() {
            create_parent(&tag)?;
            fs_err::write(&tag, TAG)?;
        }
        let path = self.locks.join(format!("{etag}.lock"));
        create_parent(&path)?;
        create_parent(&self.blob(etag))?;
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path)?;
        match file.file().lock() {
            // Some network file systems know no locks; then two programs may download twice, which harms nothing
            // else.
            Err(error) if error.kind() != ErrorKind::Unsupported => {
                Err(error).with_context(|| format!("`{}` cannot be locked", path.display()))
            }
            _ => Ok(file),
        }
    }

    /// Puts a file that has been downloaded into its snapshot.
    pub(super) fn link(&self, commit: &str, file: &str, etag: &str) -> Result<PathBuf> {
        let path = self.snapshot(commit).join(file);
        create_parent(&path)?;
        if path.symlink_metadata().is_ok() {
            fs_err::remove_file(&path)?;
        }
        let depth = Path::new(file).components().filter(|part| matches!(part, Component::Normal(_))).count();
        let target: PathBuf = std::iter::repeat_n("..", depth + 1).chain(["blobs", etag]).collect();
        if !self.symlinks || symlink(&target, &path).is_err() {
            fs_err::rename(self.blob(etag), &path)?;
            sync_folder_of(&path)?;
        }
        Ok(path)
    }

    fn absence(&self, commit: &str, file: &str) -> PathBuf {
        self.folder.join(".no_exist").join(commit).join(file)
    }
}

fn create_parent(path: &Path) -> Result<()> {
    if let Some(parent) = path.parent() {
        fs_err::create_dir_all(parent)?;
    }
    Ok(())
}

#[cfg(unix)]
fn symlink(target: &Path, path: &Path) -> std::io::Result<()> {
    fs_err::os::unix::fs::symlink(target, path)
}

#[cfg(windows)]
fn symlink(target: &Path, path: &Path) -> std::io::Result<()> {
    fs_err::os::windows::fs::symlink_file(target, path)
}
