//! Which commit a folder's files are at, and which of git's files change when that does.
//!
//! Left out: whether the files were changed since.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Variables by which git's hooks name their own repository, which need not be this one.
const OF_HOOKS: [&str; 3] = ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"];

/// The commit: what the builder `told`, where something was told (an empty word says that none is to be named), else what
/// git knows of `folder`.
pub(crate) fn commit(folder: &Path, told: Option<String>) -> Option<String> {
    let commit = match told {
        Some(told) => Some(told.trim().to_owned()),
        None if is_tracked(folder) => git(folder, &["rev-parse", "--verify", "HEAD"]),
        None => None,
    };
    commit.filter(|commit| !commit.is_empty())
}

/// The files of git that change with the commit, of those that exist: a missing file would have the build repeated every
/// time. A branch that was packed has no file of its own until its next commit, which the log of `HEAD` shows.
pub(crate) fn watched(folder: &Path) -> Vec<PathBuf> {
    if !is_tracked(folder) {
        return Vec::new();
    }
    let branch = git(folder, &["symbolic-ref", "--quiet", "HEAD"]);
    let names = ["HEAD"].into_iter().chain(branch.as_deref()).chain(["packed-refs", "logs/HEAD"]);
    let paths = names.filter_map(|name| git(folder, &["rev-parse", "--git-path", name]));
    paths.map(|path| folder.join(path)).filter(|path| path.is_file()).collect()
}

/// Whether the folder belongs to a repository: an archive that was unpacked within another project's does not.
fn is_tracked(folder: &Path) -> bool {
    git(folder, &["ls-files", "--error-unmatch", "Cargo.toml"]).is_some()
}

/// What git prints on one line; `None` where there is no git, no repository or no answer.
fn git(folder: &Path, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new("git");
    command.arg("-C").arg(folder).args(arguments);
    for name in OF_HOOKS {
        command.env_remove(name);
    }
    let output = command.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim_end().to_owned())
}
