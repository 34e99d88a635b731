//! Inputs that other tools have tripped over: odd line ends, broken JSON, pipes, a `k` beyond everything.

use std::process::Command;

use serde_json::Value;

use crate::folder::Folder;
use crate::program::{fails, sbmoe, stdout, succeeds};
use crate::tiny_model::write_model;

fn encode(folder: &Folder, corpus: &str, out: &str) -> Command {
    let model = write_model(folder.path());
    let mut command = sbmoe();
    command.arg("encode").arg("--model").arg(model).arg("--corpus").arg(folder.path().join(corpus));
    command.arg("--out").arg(folder.path().join(out));
    command
}

fn search(folder: &Folder, more: &[&str]) -> Command {
    let mut command = sbmoe();
    command.arg("search").arg("--model").arg(folder.path().join("tiny-bert")).arg("--queries").arg("frogs");
    command.arg("--index").arg(folder.path().join("index")).args(more);
    command
}

#[test]
fn unicode_s_line_ends_end_no_record() {
    let line = |id: &str| {
        format!("{{\"_id\": \"{id}\", \"title\": \"a\u{2028}b\", \"text\": \"frogs\u{2029}\u{85}eat\"}}\n")
    };
    let corpus = line("d\u{2028}1") + &line("d\u{85}2");
    let folder = Folder::with(&[("corpus.jsonl", &corpus)]);
    succeeds(&mut encode(&folder, "corpus.jsonl", "index"));
    let output = succeeds(&mut search(&folder, &["--json", "--k", "9"]));
    let found: Value = serde_json::from_str(&stdout(&output)).unwrap();
    let hits = found["hits"].as_array().unwrap();
    assert_eq!(
        hits.iter().map(|hit| hit["id"].as_str().unwrap()).collect::<Vec<_>>(),
        ["d\u{2028}1", "d\u{85}2"]
    );
    assert_eq!(hits[0]["title"], "a\u{2028}b");
}

#[test]
fn json_that_is_broken_is_refused_by_file_and_line() {
    let good = "{\"_id\": \"d1\", \"text\": \"frogs\"}\n";
    for bad in [
        "{\"_id\": \"d2\", \"text\": \"x\", \"metadata\": {\"score\": NaN}}",
        "{\"_id\": \"d2\", \"text\": \"x\", \"metadata\": {\"big\": 1e400}}",
        "{\"_id\": \"d2\", \"text\": \"\\ud800\"}",
        "{\"_id\": \"d2\", \"_id\": \"d3\", \"text\": \"x\"}",
        "{\"_id\": \"d2\", \"text\": \"x\"",
    ] {
        let folder = Folder::with(&[("corpus.jsonl", &format!("{good}{bad}\n"))]);
        let message = fails(&mut encode(&folder, "corpus.jsonl", "index"));
        assert!(message.contains("corpus.jsonl:2"), "{bad}: {message}");
        assert!(!folder.path().join("index").exists(), "{bad}");
    }
}

#[test]
fn any_k_gives_what_there_is() {
    let line = |id: &str| format!("{{\"_id\": \"{id}\", \"text\": \"frogs\"}}\n");
    let lines = ["a", "b", "c"].map(line).concat();
    let folder = Folder::with(&[("corpus.jsonl", &lines)]);
    succeeds(&mut encode(&folder, "corpus.jsonl", "index"));
    for k in ["4", "4294967296", "18446744073709551615"] {
        let output = succeeds(&mut search(&folder, &["--json", "--k", k]));
        let found: Value = serde_json::from_str(&stdout(&output)).unwrap();
        assert_eq!(found["hits"].as_array().map(Vec::len), Some(3), "k {k}");
    }
}

#[cfg(unix)]
#[test]
fn judgments_and_runs_are_read_from_pipes() {
    let folder = Folder::with(&[("qrels", "q1 0 d2 1\n"), ("run", "q1 Q0 d1 1 2 t\nq1 Q0 d2 2 1 t\n")]);
    let mut command = Command::new("bash");
    let script = "\"$0\" evaluate --qrels <(cat qrels) --run <(cat run) -m RR@10 --json";
    command.args(["-c", script]).arg(sbmoe().get_program()).current_dir(folder.path());
    let output = succeeds(&mut command);
    let found: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(found["scores"]["RR@10"], 0.5);
}
