//! `sbmoe train`, end to end on a tiny encoder and a tiny collection.

mod killed;
mod questions;
mod vectors;

mod candidate;
mod folds;
mod frozen;
mod kept;
mod objective;
mod pairs;
mod seen;
mod sides;
mod similarity;
mod start;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::program::{bytes, fails, sbmoe, stderr, stdout, succeeds};
use crate::tiny_model::Place;

/// A folder with a collection, an encoder and room for runs.
impl Place {
    fn run(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A run into `name`, with nothing said but where things are.
    fn train_only(&self, name: &str) -> Command {
        let mut command = sbmoe();
        command.arg("train").arg("--data").arg(&self.data).arg("--model").arg(&self.model);
        command.arg("--out").arg(self.run(name));
        command
    }

    /// A small run into `name` with further arguments.
    fn train(&self, name: &str, arguments: &[&str]) -> Command {
        let mut command = self.train_only(name);
        command.args(["--experts", "3", "--epochs", "4", "--batch-size", "5"]);
        // The last word about a switch that stands twice is not allowed, so these come by `--set`.
        command.args(arguments);
        command
    }
}

fn lines(path: &Path) -> Vec<Value> {
    let text = String::from_utf8(bytes(path)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The weights that a run saved, by file.
fn weights(run: &Path) -> Vec<(String, Vec<u8>)> {
    let folders = ["model", "last", "best"].into_iter();
    let files: Vec<String> = folders
        .flat_map(|folder| ["", "2_SBMoE/"].map(|module| format!("{folder}/{module}model.safetensors")))
        .collect();
    let there = files.iter().filter(|file| run.join(file).exists());
    there.map(|file| (file.clone(), bytes(&run.join(file)))).collect()
}

#[track_caller]
fn assert_same_weights(left: &Path, right: &Path) {
    let (left, right) = (weights(left), weights(right));
    let names =
        |weights: &[(String, Vec<u8>)]| weights.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&left), names(&right));
    assert!(!left.is_empty());
    for ((name, left), (_, right)) in left.iter().zip(&right) {
        assert!(left == right, "`{name}` differs");
    }
}

#[test]
fn a_full_run_leaves_its_folder() {
    let place = Place::new();
    // Any gain is enough, and the rate high enough for one.
    let better = ["--accept", "0", "--lr", "0.01", "--patience", "0"];
    let output = succeeds(place.train("run", &["--json"]).args(["--seed", "3"]).args(better));
    let report: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!((&report["finished"], &report["steps"]), (&Value::from(true), &Value::from(12)));

    let run = place.run("run");
    let steps = lines(&run.join("train.jsonl"));
    assert_eq!(
        steps.iter().map(|line| line["step"].as_u64().unwrap()).collect::<Vec<_>>(),
        (1..=12).collect::<Vec<_>>()
    );
    for key in
        ["step", "epoch", "loss", "tokens", "tokens_per_s", "accuracy", "gradient_norm", "rate", "seconds"]
    {
        assert!(steps.iter().all(|line| line[key].is_number()), "{key}");
    }
    let validations = lines(&run.join("validation.jsonl"));
    assert_eq!(validations.len(), 5, "the encoder alone and four epochs");
    assert!(validations.iter().all(|line| (0.0..=1.0).contains(&line["nDCG@10"].as_f64().unwrap())));
    let best = validations[1..].iter().map(|line| line["nDCG@10"].as_f64().unwrap()).fold(0.0, f64::max);
    assert_eq!(report["best"].as_f64(), Some(best));
    assert_eq!(report["kept"], format!("epoch {}", report["best_epoch"]));
    assert_eq!(report["baseline"], validations[0]["nDCG@10"]);

    let environment: Value = serde_json::from_slice(&bytes(&run.join("env.json"))).unwrap();
    assert_eq!(environment["seed"], 3);
    assert_eq!(environment["data"]["qrels/dev.tsv"]["sha256"].as_str().map(str::len), Some(64));
    assert_eq!(environment["commit"].as_str(), option_env!("SBMOE_BUILD_COMMIT"), "the build's own");
    assert_eq!(environment["model"]["fingerprint"].as_str().map(str::len), Some(64));
    let saved: Value = serde_json::from_slice(&bytes(&run.join("model/2_SBMoE/config.json"))).unwrap();
    assert_eq!((&saved["experts"], &saved["gate"]), (&Value::from(3), &Value::from("all")));
    assert_eq!(fs_err::read_dir(run.join("tensorboard")).unwrap().count(), 1);
    assert_eq!(run.join("last").exists(), report["best_step"] != report["steps"]);
}

#[test]
fn a_summary_says_what_to_type_next() {
    let place = Place::new();
    let output = succeeds(&mut place.train("run", &[]));
    let text = stdout(&output);
    for part in
        ["nDCG@10 of the held-out queries: encoder ", ", best ", "the difference: ", "sbmoe encode --model "]
    {
        assert!(text.contains(part), "`{part}` is not in {text}");
    }
    let text = stderr(&output);
    for fact in
        ["12 training queries, 12 positives", "validation: 4 queries of split `dev`", "learning rate 2e-5"]
    {
        assert!(text.contains(fact), "`{fact}` is not in {text}");
    }
}

#[test]
fn parts_of_the_data_can_be_chosen() {
    let check = |arguments: &[&str], facts: &[&str]| {
        let place = Place::new();
        let negatives = "{\"query-id\": \"q1\", \"corpus-ids\": [\"d1\", \"d8\", \"d9\"]}\n";
        fs_err::write(place.data.join("negatives.jsonl"), negatives).unwrap();
        let text = stderr(&succeeds(&mut place.train("run", arguments)));
        for fact in facts {
            assert!(text.contains(fact), "`{fact}` is not in {text}");
        }
    };
    check(
        &[],
        &["12 positives, 2 negatives", "names 1 documents that are judged positive", "over 20 documents"],
    );
    check(&["--negatives", "0"], &["12 positives, 20 documents"]);
    // Five documents are judged for the four dev queries; twelve others are positives of training queries.
    check(
        &["--validation-documents", "8"],
        &["validation: 4 queries of split `dev`, ranked over 8 documents"],
    );
    check(&["--validation-documents", "0"], &["ranked over 5 documents"]);
    check(&["--validation-documents", "0", "--freeze-encoder"], &["ranked over 20 documents"]);
    check(&["--set", "train_queries=6"], &["data: 6 training queries, 6 positives"]);
    check(
        &["--set", "validation_from=train", "--validation", "0.25"],
        &["data: 9 training queries", "validation: 3 queries of split `train`"],
    );
    check(
        &["--preset", "paper", "--max-length", "32", "--validation", "0"],
        &["12 training queries, 24 positives"],
    );
}

#[test]
fn the_number_of_threads_does_not_show() {
    for precision in ["f32", "bf16"] {
        let place = Place::new();
        succeeds(&mut place.train("one", &["--precision", precision, "--threads", "1"]));
        succeeds(&mut place.train("two", &["--precision", precision, "--threads", "2"]));
        assert_same_weights(&place.run("one"), &place.run("two"));
        let config = fs_err::read_to_string(place.run("one").join("config.toml")).unwrap();
        assert!(config.contains(&format!("precision = \"{precision}\"")), "{config}");
    }
}

#[test]
fn eight_bit_integers_are_refused_before_anything_is_written() {
    let place = Place::new();
    let refused = fails(&mut place.train("run", &["--precision", "int8"]));
    assert!(refused.contains("`precision` is int8, which has no gradients; choose f32 or bf16"), "{refused}");
    assert!(!place.run("run").exists());
}

#[test]
fn a_baseline_has_no_block() {
    let place = Place::new();
    let mut command = place.train("run", &["--set", "experts=0", "--no-dropout"]);
    succeeds(&mut command);
    let run = place.run("run");
    assert!(!run.join("model/2_SBMoE").exists());
    assert!(bytes(&run.join("model/model.safetensors")) != bytes(&place.model.join("model.safetensors")));
    let config = String::from_utf8(bytes(&run.join("config.toml"))).unwrap();
    assert!(config.contains("experts = 0\n") && config.contains("dropout = false\n"), "{config}");
    // What a preset or a default leaves open is decided there too.
    assert!(config.contains("epochs = ") && config.contains("gate_noise = 0.0\n"), "{config}");
}

#[test]
fn the_resolved_configuration_repeats_the_run() {
    let place = Place::new();
    succeeds(&mut place.train("first", &["--preset", "paper", "--max-length", "32", "--validation", "0"]));
    let first = place.run("first");
    let mut again = sbmoe();
    again.arg("train").arg("--config").arg(first.join("config.toml")).arg("--out").arg(place.run("again"));
    succeeds(&mut again);
    assert_eq!(bytes(&first.join("config.toml")), bytes(&place.run("again/config.toml")));
    assert_same_weights(&first, &place.run("again"));
    let sentence: Value =
        serde_json::from_slice(&bytes(&first.join("model/sentence_bert_config.json"))).unwrap();
    assert_eq!(
        (&sentence["max_seq_length"], &sentence["do_lower_case"]),
        (&Value::from(32), &Value::from(true))
    );
    assert!(!first.join("validation.jsonl").exists() || lines(&first.join("validation.jsonl")).is_empty());
}

#[test]
fn resuming_without_a_checkpoint_starts_afresh() {
    let place = Place::new();
    let output = succeeds(&mut place.train("run", &["--resume"]));
    assert!(stderr(&output).contains("starting afresh"), "{}", stderr(&output));
    assert!(place.run("run/model").exists());
}

#[test]
fn a_run_is_not_overwritten_unless_told_to() {
    let place = Place::new();
    succeeds(&mut place.train("run", &[]));
    let before = weights(&place.run("run"));
    let message = fails(&mut place.train("run", &["--seed", "7"]));
    assert!(message.contains("`--resume`") && message.contains("`--overwrite`"), "{message}");
    let message = fails(&mut place.train("run", &["--seed", "7", "--resume"]));
    assert!(message.contains("other settings"), "{message}");
    assert!(before == weights(&place.run("run")));
    succeeds(&mut place.train("run", &["--seed", "7", "--overwrite", "--patience", "0"]));
    assert!(before != weights(&place.run("run")));
    assert_eq!(lines(&place.run("run/train.jsonl")).len(), 12);
}

#[test]
fn bad_input_is_refused_before_anything_is_written() {
    let check = |arguments: &[&str], break_it: &dyn Fn(&Place), expected: &[&str]| {
        let place = Place::new();
        break_it(&place);
        let message = fails(&mut place.train("run", arguments));
        for part in expected {
            assert!(message.contains(part), "`{part}` is not in {message}");
        }
        assert!(!place.run("run/config.toml").exists(), "{message}");
    };
    let append = |file: &'static str, line: &'static str| {
        move |place: &Place| {
            let path = place.data.join(file);
            fs_err::write(&path, [bytes(&path), line.as_bytes().to_vec()].concat()).unwrap();
        }
    };
    let nothing = |_: &Place| ();
    check(&["--set", "batchsize=3"], &nothing, &["no key `batchsize`", "`batch_size`"]);
    check(&["--temperature", "0"], &nothing, &["`temperature` is 0"]);
    check(&["--freeze-encoder", "--set", "experts=0"], &nothing, &["leaves nothing to train"]);
    check(&["--max-length", "65"], &nothing, &["a maximum length of 65 tokens", "at most 64"]);
    check(&[], &append("qrels/train.tsv", "q1\td99\t1\n"), &["train.tsv:26", "document `d99`"]);
    check(&[], &append("qrels/train.tsv", "q99\td1\t1\n"), &["train.tsv:26", "query `q99`"]);
    check(
        &["--freeze-encoder"],
        &append("qrels/dev.tsv", "q13\td99\t1\n"),
        &["dev.tsv:10", "document `d99`"],
    );
    check(
        &[],
        &append("corpus.jsonl", "{\"_id\": \"d1\", \"text\": \"again\"}\n"),
        &["document `d1` stands twice"],
    );
    check(&[], &append("corpus.jsonl", "no JSON\n"), &["corpus.jsonl:21", "expected a JSON object"]);
    let no_training = |place: &Place| fs_err::remove_file(place.data.join("qrels/train.tsv")).unwrap();
    check(&[], &no_training, &["`qrels/train.tsv`", "only `dev`, `test`"]);
    let truncated = |place: &Place| {
        let path = place.model.join("model.safetensors");
        let whole = bytes(&path);
        fs_err::write(&path, &whole[..whole.len() / 2]).unwrap();
    };
    check(&[], &truncated, &["truncated"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error_and_the_last_state_stays() {
    let place = Place::new();
    succeeds(&mut place.train("whole", &["--set", "epochs=40"]));
    let mut command = place.train("run", &["--set", "epochs=40", "--set", "checkpoint_seconds=0"]);
    // The journal of 120 steps is longer than the limit, each of the other files is shorter.
    let arguments: Vec<String> =
        command.get_args().map(|argument| argument.to_string_lossy().into_owned()).collect();
    let program = command.get_program().to_owned();
    command = Command::new("bash");
    command.args(["-c", "ulimit -f 40; trap '' XFSZ; exec \"$@\"", "bash"]).arg(program).args(arguments);
    let message = fails(&mut command);
    assert!(message.contains("train.jsonl") || message.contains("state.safetensors"), "{message}");
    assert!(message.contains("--resume"), "{message}");
    let mut resume = sbmoe();
    succeeds(resume.args(["train", "--resume", "--out"]).arg(place.run("run")));
    assert_same_weights(&place.run("whole"), &place.run("run"));
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_says_how_to_go_on() {
    let place = Place::new();
    let mut command = place.train("run", &["--set", "epochs=2000", "--patience", "0"]);
    let child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let journal = place.run("run/train.jsonl");
    let start = Instant::now();
    while fs_err::metadata(&journal).map_or(0, |file| file.len()) == 0
        && start.elapsed() < Duration::from_mins(1)
    {
        sleep(Duration::from_millis(1));
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let text = stderr(&output);
    assert!(
        text.contains("which is saved; go on with: sbmoe train --out ") && text.contains(" --resume"),
        "{text}"
    );
    assert!(place.run("run/checkpoint/state.safetensors").exists());
}
