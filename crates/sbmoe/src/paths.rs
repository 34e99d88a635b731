//! Inputs that an output would destroy, refused before anything is written.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

/// Refuses inputs that lie within the folder `out`, which is going to be written; each is named with its switch.
///
/// Names of models on a hub are no paths and pass.
///
/// # Errors
/// The first input that lies there.
pub fn refuse_inputs_inside<'a>(
    out: &Path,
    inputs: impl IntoIterator<Item = (&'static str, Option<&'a Path>)>,
) -> Result<()> {
    let folder = resolved(out);
    for (switch, path) in inputs {
        let Some(path) = path.filter(|path| path.exists()) else { continue };
        ensure!(
            !resolved(path).starts_with(&folder),
            "`{switch} {}` lies in `{}`, which is written: what is read would be lost; choose another `--out`, or copy it \
             elsewhere first",
            path.display(),
            out.display()
        );
    }
    Ok(())
}

/// Refuses to write the file `out` over one of the files that are read.
///
/// # Errors
/// `out` is one of `inputs`.
pub fn refuse_writing_over(out: &Path, inputs: impl IntoIterator<Item = PathBuf>) -> Result<()> {
    let target = resolved(out);
    for path in inputs {
        ensure!(
            !path.is_file() || resolved(&path) != target,
            "`--out {}` is a file that is read: choose another name",
            out.display()
        );
    }
    Ok(())
}

/// The path without links and `..`, as far as it exists.
fn resolved(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    for there in absolute.ancestors() {
        if let Ok(canonical) = fs_err::canonicalize(there) {
            let rest = absolute.strip_prefix(there).unwrap_or(Path::new(""));
            // Joining nothing would end the path with a separator.
            return if rest.as_os_str().is_empty() { canonical } else { canonical.join(rest) };
        }
    }
    absolute
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_within_the_output_are_refused_by_their_switch() {
        let place = tempfile::tempdir().unwrap();
        let (run, elsewhere) = (place.path().join("run"), place.path().join("run-2"));
        fs_err::create_dir_all(run.join("last")).unwrap();
        fs_err::create_dir_all(&elsewhere).unwrap();
        let refuse = |path: &Path| refuse_inputs_inside(&run, [("--data", None), ("--model", Some(path))]);
        for inside in [run.join("last"), run.clone(), elsewhere.join("../run/last")] {
            let message = refuse(&inside).unwrap_err().to_string();
            assert!(message.contains("--model") && message.contains("--out"), "{message}");
        }
        refuse(&elsewhere).unwrap();
        refuse(Path::new("sentence-transformers/all-MiniLM-L6-v2")).unwrap();
    }

    #[test]
    fn a_file_that_is_read_is_not_written_over() {
        let place = tempfile::tempdir().unwrap();
        let (queries, run) = (place.path().join("queries.jsonl"), place.path().join("run.trec"));
        fs_err::write(&queries, "{}").unwrap();
        refuse_writing_over(&run, [queries.clone()]).unwrap();
        refuse_writing_over(&place.path().join("./queries.jsonl"), [run, queries]).unwrap_err();
    }
}
