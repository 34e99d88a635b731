//! A temporary folder of small files that the program runs in, and what it said there.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output};

use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;

use crate::program::sbmoe;

/// A folder that the program runs in, so that outputs name files as a user would.
pub(crate) struct Folder(TempDir);

impl Folder {
    /// A folder with these files: relative path and content.
    pub(crate) fn with<C: AsRef<[u8]>>(files: &[(&str, C)]) -> Self {
        let folder = Self(TempDir::new().expect("a temporary folder"));
        for (name, content) in files {
            let path = folder.path().join(name);
            fs_err::create_dir_all(path.parent().expect("a file is in a folder")).expect("a writable folder");
            fs_err::write(path, content).expect("a writable folder");
        }
        folder
    }

    /// The folder's path.
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// The program with arguments that are separated by blanks, ready to run here.
    pub(crate) fn command(&self, arguments: &str) -> Command {
        let mut command = sbmoe();
        command.args(arguments.split_whitespace()).current_dir(self.path());
        command
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, arguments: &str) -> Ran {
        Ran::from(self.command(arguments).output().expect("the program starts"))
    }
}

/// How a run of the program ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ran {
    /// The exit code; `None` when a signal ended it.
    pub(crate) code: Option<i32>,
    /// Standard output.
    pub(crate) out: String,
    /// Standard error.
    pub(crate) err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("the program prints UTF-8");
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

impl Ran {
    /// Asserts every byte of what was printed.
    #[track_caller]
    pub(crate) fn check(&self, code: i32, out: &str, err: &str) {
        assert_eq!((self.out.as_str(), self.err.as_str(), self.code), (out, err, Some(code)));
    }

    /// Asserts an error: exit code 2, nothing on standard output, one message.
    #[track_caller]
    pub(crate) fn check_error(&self, message: &str) {
        self.check(2, "", &format!("error: {message}\n"));
    }
}

/// The content as a gzip file.
pub(crate) fn gzipped(content: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content.as_bytes()).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}
