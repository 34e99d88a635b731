//! Runs on ready-made pairs: the collection that is made of them, and when it is reused.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use super::{assert_same_weights, lines};
use crate::program::{bytes, fails, sbmoe, stderr, stdout, succeeds};
use crate::tiny_model::Place;

const ROWS: [[&str; 3]; 6] = [
    ["who lives among reeds", "The heron lives among reeds.", "The otter feeds on crabs."],
    ["what feeds on crabs", "The otter feeds on crabs.", "The heron lives among reeds."],
    ["what feeds on worms", "The badger feeds on worms.", "The falcon, on cliffs, feeds on pigeons."],
    ["who lives on cliffs", "The falcon, on cliffs, feeds on pigeons.", "The badger feeds on worms."],
    ["who lives among lodges", "The beaver lives among lodges.", "The gecko feeds on moths."],
    ["what feeds on moths", "The gecko feeds on moths.", "The beaver lives among lodges."],
];

impl Place {
    /// The rows in one of the formats.
    fn pairs_file(&self, name: &str) -> String {
        let mut text = String::new();
        if Path::new(name).extension().is_some_and(|extension| extension == "csv") {
            text.push_str("anchor,positive,negative\n");
            for [anchor, positive, negative] in ROWS {
                writeln!(text, "\"{anchor}\",\"{positive}\",\"{negative}\"").unwrap();
            }
        } else {
            for [anchor, positive, negative] in ROWS {
                let row = json!({"anchor": anchor, "positive": positive, "negative": negative});
                writeln!(text, "{row}").unwrap();
            }
        }
        let path = self.run(name);
        fs_err::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// A small run on pairs.
    fn train_on_pairs(&self, name: &str, pairs: &str, arguments: &[&str]) -> Command {
        let mut command = sbmoe();
        command.args(["train", "--pairs", pairs, "--keep", "last", "--experts", "3", "--epochs", "4"]);
        command.args(["--batch-size", "3", "--validation", "0", "--model"]).arg(&self.model);
        command.arg("--out").arg(self.run(name)).args(arguments);
        command
    }
}

#[test]
fn comma_separated_pairs_and_json_lines_give_the_model_of_their_collection() {
    let place = Place::new();
    let (csv, json) = (place.pairs_file("pairs.csv"), place.pairs_file("pairs.jsonl"));
    let output = succeeds(&mut place.train_on_pairs("csv", &csv, &[]));
    succeeds(&mut place.train_on_pairs("json", &json, &[]));
    assert_same_weights(&place.run("csv"), &place.run("json"));
    assert!(stderr(&output).contains("data: 6 training queries, 6 positives, 6 negatives, 6 documents"));

    let data = place.run("csv").join("pairs");
    let told = stdout(&output);
    assert!(told.contains(&format!("--corpus {}", data.display())), "{told}");
    assert!(!told.contains("--split test") && told.contains("--queries 'the text of a query'"), "{told}");

    let made = place.run("made");
    succeeds(sbmoe().args(["data", "pairs", &csv]).arg(&made));
    for file in ["corpus.jsonl", "queries.jsonl", "qrels/train.tsv", "negatives.jsonl"] {
        assert!(bytes(&made.join(file)) == bytes(&data.join(file)), "{file}");
    }
    let mut command = sbmoe();
    command.args(["train", "--keep", "last", "--experts", "3", "--epochs", "4", "--batch-size", "3"]);
    command.args(["--validation", "0", "--model"]).arg(&place.model).arg("--data").arg(&made);
    succeeds(command.arg("--out").arg(place.run("by-hand")));
    assert_same_weights(&place.run("csv"), &place.run("by-hand"));
}

#[test]
fn a_resumed_run_reuses_its_collection_and_no_other_takes_its_place() {
    let place = Place::new();
    let pairs = place.pairs_file("pairs.jsonl");
    succeeds(&mut place.train_on_pairs("run", &pairs, &[]));
    let run = place.run("run");
    let before = bytes(&run.join("pairs/corpus.jsonl"));
    let resume = |expected: &str| {
        let mut command = sbmoe();
        let output = succeeds(command.args(["train", "--resume", "--out"]).arg(&run));
        assert!(stderr(&output).contains(expected), "{}", stderr(&output));
    };
    resume("is reused");

    let text = bytes(Path::new(&pairs));
    let row = json!({"anchor": "who is new", "positive": "The yak is new."}).to_string();
    fs_err::write(&pairs, [&text[..], row.as_bytes()].concat()).unwrap();
    let mut command = sbmoe();
    let message = fails(command.args(["train", "--resume", "--out"]).arg(&run));
    assert!(message.contains("was made of another file") && message.contains("`--overwrite`"), "{message}");
    assert!(bytes(&run.join("pairs/corpus.jsonl")) == before);

    // A run that is refused gives the former collection back.
    let message = fails(&mut place.train_on_pairs("run", &pairs, &["--overwrite", "--max-length", "65"]));
    assert!(message.contains("at most 64"), "{message}");
    assert!(bytes(&run.join("pairs/corpus.jsonl")) == before);
    fs_err::remove_file(&pairs).unwrap();
    resume("is reused");

    fs_err::write(&pairs, [&text[..], row.as_bytes()].concat()).unwrap();
    succeeds(&mut place.train_on_pairs("run", &pairs, &["--overwrite"]));
    assert_eq!(lines(&run.join("pairs/corpus.jsonl")).len(), 7);
    let hidden = fs_err::read_dir(&run).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(hidden.into_iter().all(|name| !name.to_string_lossy().starts_with('.')));
}

#[test]
fn pairs_that_cannot_be_trained_on_leave_nothing_behind() {
    let place = Place::new();
    let pairs = place.pairs_file("pairs.jsonl");
    let refused = |command: &mut Command, expected: &str| {
        let message = fails(command);
        assert!(message.contains(expected), "`{expected}` is not in {message}");
        assert!(!place.run("run").exists(), "{message}");
    };
    let mut both = place.train_on_pairs("run", &pairs, &[]);
    refused(both.arg("--data").arg(&place.data), "sbmoe data pairs");
    refused(&mut place.train_on_pairs("run", &pairs, &["--max-length", "65"]), "at most 64");
    let text = String::from_utf8(bytes(Path::new(&pairs))).unwrap() + "{\"anchor\": \"lonely\"}\n";
    fs_err::write(&pairs, text).unwrap();
    refused(&mut place.train_on_pairs("run", &pairs, &[]), "pairs.jsonl:7");
    refused(&mut place.train_on_pairs("run", "pairs.txt", &[]), "pairs.txt");

    let own = place.run("run").join("pairs");
    fs_err::create_dir_all(&own).unwrap();
    let message = fails(&mut place.train_on_pairs("run", &pairs, &["--overwrite"]));
    assert!(message.contains("holds `pairs` and is no run of sbmoe"), "{message}");
    assert!(own.is_dir());
}
