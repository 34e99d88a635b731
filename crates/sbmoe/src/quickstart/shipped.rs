//! The collection that the project ships, held in the program so that it works wherever it is run from.

use std::path::Path;

use anyhow::{Result, ensure};
use sbmoe_ir::atomic_file::write_bytes;

/// The files of `collection/`, by name within the folder.
const FILES: [(&str, &str); 5] = [
    ("corpus.jsonl", include_str!("../../../../collection/corpus.jsonl")),
    ("queries.jsonl", include_str!("../../../../collection/queries.jsonl")),
    ("qrels/train.tsv", include_str!("../../../../collection/qrels/train.tsv")),
    ("qrels/dev.tsv", include_str!("../../../../collection/qrels/dev.tsv")),
    ("qrels/test.tsv", include_str!("../../../../collection/qrels/test.tsv")),
];

/// Writes the collection into `folder`; a file that is there must be the shipped one, unless it may be replaced.
///
/// # Errors
/// Another file stands in the way, or a file cannot be read or written.
pub(super) fn write(folder: &Path, replace: bool) -> Result<()> {
    fs_err::create_dir_all(folder.join("qrels"))?;
    for (name, content) in FILES {
        let path = folder.join(name);
        if !path.exists() || replace {
            write_bytes(&path, content.as_bytes())?;
            continue;
        }
        ensure!(
            fs_err::read(&path)? == content.as_bytes(),
            "`{}` is not the shipped file: give `--overwrite` to replace it, or another `--work`",
            path.display()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_file_is_replaced_only_when_told_to() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), false).unwrap();
        write(folder.path(), false).unwrap();
        let path = folder.path().join("qrels/dev.tsv");
        fs_err::write(&path, "mine").unwrap();
        let message = write(folder.path(), false).unwrap_err().to_string();
        assert!(message.contains("dev.tsv") && message.contains("`--overwrite`"), "{message}");
        assert_eq!(fs_err::read_to_string(&path).unwrap(), "mine");
        write(folder.path(), true).unwrap();
        assert_eq!(fs_err::read_to_string(&path).unwrap(), FILES[3].1);
    }
}
