//! Which states of a run are kept, under which names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::Place;
use crate::program::{bytes, sbmoe, stdout, succeeds};

/// A run whose best state comes before its last, since twelve texts are soon learned by heart; any gain is enough.
const LONG: [&str; 8] =
    ["--freeze-encoder", "--accept", "0", "--set", "epochs=40", "--set", "lr=0.01", "--json"];

/// Every file of a folder, by its path in it.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs_err::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                all.insert(path.strip_prefix(folder).unwrap().to_owned(), bytes(&path));
            }
        }
    }
    all
}

/// The files of a saved model but its card, which names the run.
fn model(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = files(folder);
    files.remove(Path::new("README.md")).expect("a model has a card");
    files
}

fn train(place: &Place, name: &str, more: &[&str]) -> Value {
    let output = succeeds(&mut place.train(name, &[&LONG[..], more].concat()));
    serde_json::from_str(&stdout(&output)).unwrap()
}

#[test]
fn best_and_last_are_both_kept_whichever_is_the_model() {
    let place = Place::new();
    let (by_best, by_last) = (train(&place, "by-best", &[]), train(&place, "by-last", &["--keep", "last"]));
    assert_ne!(by_best["best_step"], by_best["steps"], "the run must have a best state before its last");
    let (best, last) = (place.run("by-best"), place.run("by-last"));
    assert!(model(&best.join("model")) == model(&last.join("best")));
    assert!(model(&best.join("last")) == model(&last.join("model")));
    assert!(model(&best.join("model")) != model(&best.join("last")));
    assert!(!best.join("best").exists() && !last.join("last").exists());
    assert_eq!(by_last["other"], last.join("best").display().to_string());
    let score = format!(": {:.4}.", by_best["best"].as_f64().unwrap());
    let card = String::from_utf8(bytes(&last.join("best/README.md"))).unwrap();
    assert!(card.contains("nDCG@10") && card.contains(&score), "{card}");

    // Without validation, the last state is the only one; what the run before it left is gone.
    let report = train(&place, "by-last", &["--keep", "last", "--validation", "0", "--overwrite"]);
    assert!(report["other"].is_null() && !last.join("best").exists());
}

#[test]
fn resuming_a_run_that_is_over_changes_no_byte_of_its_models() {
    for (keep, folders) in [("best", ["model", "last"]), ("last", ["model", "best"])] {
        let place = Place::new();
        train(&place, "run", &["--keep", keep]);
        let run = place.run("run");
        let before = folders.map(|folder| files(&run.join(folder)));
        let mut resume = sbmoe();
        succeeds(resume.args(["train", "--resume", "--out"]).arg(&run));
        for (folder, before) in folders.iter().zip(before) {
            let after = files(&run.join(folder));
            assert!(after.keys().eq(before.keys()), "{folder}");
            for (path, bytes) in before {
                assert!(after[&path] == bytes, "{folder}/{} with `--keep {keep}`", path.display());
            }
            let card = String::from_utf8(after[Path::new("README.md")].clone()).unwrap();
            assert!(card.contains("nDCG@10 of the validation queries"), "{card}");
        }
    }
}
