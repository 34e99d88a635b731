//! Integration tests of the library, one module a subject. `trec_eval` and `real_collections` need data that stands
//! beside the project and say so when it is not there; everything else runs on what is committed.

mod check;
mod collection;
mod evaluation;
mod measures;
mod mine;
mod pairs;
mod qrels;
mod real_collections;
mod runs;
mod scores;
mod trec_eval;

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use flate2::{Compression, write::GzEncoder};

/// A file of `tests/fixtures`.
fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// A folder of the data that stands beside the project, or `None` with a word on stderr.
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
fn shared(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared").join(name);
    if !path.is_dir() {
        eprintln!("skipped: {} is not there", path.display());
        return None;
    }
    Some(path)
}

/// A folder with the given files; a name that ends in `.gz` is compressed.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    for (name, content) in files {
        let path = folder.path().join(name);
        fs_err::create_dir_all(path.parent().expect("a file has a folder")).expect("folders can be made");
        fs_err::write(&path, bytes_of(name, content)).expect("a file can be written");
    }
    folder
}

fn bytes_of(name: &str, content: &str) -> Vec<u8> {
    if Path::new(name).extension().is_none_or(|extension| extension != "gz") {
        return content.as_bytes().to_vec();
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content.as_bytes()).expect("memory takes all");
    encoder.finish().expect("memory takes all")
}

/// The message of an error, with the folder cut from it.
fn message<T>(result: Result<T, sbmoe_ir::Error>, folder: &Path) -> String {
    match result {
        Ok(_) => panic!("an error was expected"),
        Err(error) => error.to_string().replace(&format!("{}/", folder.display()), ""),
    }
}
