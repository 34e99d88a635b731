//! The name of a model and its revision, and what they are called in addresses and folders.

use std::fmt::Write as _;

use anyhow::{Result, ensure};

/// A model on the hub at a revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Repository {
    name: String,
    revision: String,
}

impl Repository {
    /// Checks that a name and a revision can be ones, so that they may stand in addresses and paths.
    pub(super) fn parse(name: &str, revision: &str) -> Result<Self> {
        let parts: Vec<&str> = name.split('/').collect();
        ensure!(
            parts.len() <= 2 && parts.iter().all(|part| is_plain(part)),
            "`{name}` is neither a folder nor a name on the hub: names look like `organisation/model`"
        );
        ensure!(
            revision.split('/').all(is_plain),
            "`{revision}` is no revision: give a branch, a tag or a commit"
        );
        Ok(Self { name: name.to_owned(), revision: revision.to_owned() })
    }

    /// The same model at a commit.
    pub(super) fn at(&self, commit: &str) -> Self {
        Self { name: self.name.clone(), revision: commit.to_owned() }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn revision(&self) -> &str {
        &self.revision
    }

    /// The folder in the cache.
    pub(super) fn folder(&self) -> String {
        format!("models--{}", self.name.replace('/', "--"))
    }

    /// The file's address behind the hub's.
    pub(super) fn resource(&self, file: &str) -> String {
        format!("{}/resolve/{}/{}", self.name, escape(&self.revision, ""), escape(file, "/"))
    }
}

/// Whether a revision is a commit and so means the same for ever.
pub(super) fn is_commit(revision: &str) -> bool {
    revision.len() == 40 && revision.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Whether a part of a name may stand in a path as it is.
pub(super) fn is_plain(part: &str) -> bool {
    !part.is_empty()
        && part != "."
        && part != ".."
        && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.+".contains(&byte))
}

/// Percent-encodes what may not stand in a path; characters of `kept` stay.
fn escape(text: &str, kept: &str) -> String {
    text.bytes().fold(String::new(), |mut escaped, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) || kept.as_bytes().contains(&byte) {
            escaped.push(byte as char);
        } else {
            let _ = write!(escaped, "%{byte:02X}");
        }
        escaped
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_addresses_and_folders() {
        let check = |name: &str, revision: &str, resource: &str, folder: &str| {
            let repository = Repository::parse(name, revision).unwrap();
            assert_eq!(repository.resource("1_Pooling/config.json"), resource);
            assert_eq!(repository.folder(), folder);
        };
        check("org/name", "main", "org/name/resolve/main/1_Pooling/config.json", "models--org--name");
        check("gpt2", "refs/pr/2", "gpt2/resolve/refs%2Fpr%2F2/1_Pooling/config.json", "models--gpt2");
    }

    #[test]
    fn what_would_leave_the_cache_is_refused() {
        for name in ["", "a/b/c", "../model", "org/", "/org/model", "org/mo del", "C:\\model"] {
            assert!(Repository::parse(name, "main").is_err(), "{name}");
        }
        for revision in ["", "../../x", "a//b", "main?x"] {
            assert!(Repository::parse("org/name", revision).is_err(), "{revision}");
        }
    }

    #[test]
    fn a_commit_has_forty_digits() {
        assert!(is_commit(&"0a".repeat(20)));
        assert!(!is_commit("main") && !is_commit(&"0A".repeat(20)) && !is_commit(&"0a".repeat(32)));
    }
}
