//! The commit that the build names: the builder's word, else git's, else none.

#[path = "../../build/commit.rs"]
mod commit;

use std::path::Path;
use std::process::Command;

use self::commit::{commit, watched};

/// Runs git in `folder` with nothing of this machine's settings; `false` where there is no git.
fn git(folder: &Path, arguments: &[&str]) -> bool {
    let mut command = Command::new("git");
    command.arg("-C").arg(folder);
    for setting in ["user.name=Test", "user.email=test@example.org", "commit.gpgsign=false", "gc.auto=0"] {
        command.args(["-c", setting]);
    }
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
        command.env_remove(name);
    }
    command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
    command.args(arguments).output().is_ok_and(|output| output.status.success())
}

/// A repository whose folder `crate` is like this crate's; `None` where there is no git.
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
fn repository() -> Option<tempfile::TempDir> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs_err::create_dir(folder.path().join("crate")).expect("a writable folder");
    fs_err::write(folder.path().join("crate/Cargo.toml"), "").expect("a writable folder");
    if !git(folder.path(), &["init", "--quiet"]) {
        eprintln!("skipped: there is no git");
        return None;
    }
    assert!(git(folder.path(), &["add", "."]));
    assert!(git(folder.path(), &["commit", "--quiet", "--message", "first", "--no-verify"]));
    Some(folder)
}

#[test]
fn git_names_the_commit_unless_the_builder_does() {
    let Some(folder) = repository() else { return };
    let own = folder.path().join("crate");
    let first = commit(&own, None).expect("there is a commit");
    assert!(first.len() >= 40 && first.bytes().all(|digit| digit.is_ascii_hexdigit()), "{first}");
    assert_eq!(commit(&own, Some("v1.2\n".to_owned())).as_deref(), Some("v1.2"));
    assert_eq!(commit(&own, Some(String::new())), None, "an empty word names none");

    assert!(git(folder.path(), &["commit", "--quiet", "--allow-empty", "--message", "next", "--no-verify"]));
    assert_ne!(commit(&own, None), Some(first));
}

#[test]
fn this_build_knows_its_commit_where_git_does() {
    let told = option_env!("SBMOE_COMMIT").map(str::to_owned);
    let known = commit(Path::new(env!("CARGO_MANIFEST_DIR")), told);
    // The commit itself may have moved on since the build.
    assert_eq!(option_env!("SBMOE_BUILD_COMMIT").is_some(), known.is_some(), "{known:?}");
}

#[test]
fn without_a_repository_of_its_own_a_folder_has_no_commit() {
    let Some(folder) = repository() else { return };
    let unpacked = folder.path().join("unpacked");
    fs_err::create_dir(&unpacked).expect("a writable folder");
    fs_err::write(unpacked.join("Cargo.toml"), "").expect("a writable folder");
    assert_eq!(commit(&unpacked, None), None, "it lies in a repository that does not hold it");
    assert!(watched(&unpacked).is_empty());
    let outside = tempfile::tempdir().expect("a temporary folder");
    assert_eq!(commit(outside.path(), None), None);
    assert_eq!(commit(outside.path(), Some("v1".to_owned())).as_deref(), Some("v1"));
}

#[test]
fn what_is_watched_changes_with_the_commit_and_is_there() {
    let Some(folder) = repository() else { return };
    let own = folder.path().join("crate");
    for packed in [false, true] {
        assert!(!packed || git(folder.path(), &["pack-refs", "--all"]));
        let paths = watched(&own);
        assert!(!paths.is_empty() && paths.iter().all(|path| path.is_file()), "{paths:?}");
        let contents = || paths.iter().map(|path| fs_err::read(path).ok()).collect::<Vec<_>>();
        let before = contents();
        let next = ["commit", "--quiet", "--allow-empty", "--message", "next", "--no-verify"];
        assert!(git(folder.path(), &next));
        assert_ne!(contents(), before, "packed: {packed}");
    }
}
