//! `sbmoe mine`, by what it writes and prints. Which hits are negatives is proven in `sbmoe-ir`.

use serde_json::json;

use crate::folder::{Folder, Ran};
use crate::program::{fails, sbmoe, stderr, stdout, succeeds};
use crate::tiny_model::Place;

const QRELS: &str = "query-id\tcorpus-id\tscore\nq1\tp\t1\nq1\tn\t0\nq2\tp\t1\nq3\tx\t0\nq4\tp\t1\n";

/// q1: a positive at rank 3, a copy of it at rank 4, one too close at rank 5. q2 lacks its positive, q3 has none.
const RUN: &str = "\
q1 Q0 a 1 9 t
q1 Q0 b 2 8.5 t
q1 Q0 p 3 8 t
q1 Q0 copy 4 7.9 t
q1 Q0 c 5 7.8 t
q1 Q0 n 6 7.125 t
q1 Q0 d 7 6 t
q1 Q0 e 8 0.1 t
q2 Q0 a 1 5 t
q3 Q0 a 1 5 t
";
const CORPUS: &str =
    "{\"_id\": \"p\", \"text\": \"Tides rise.\"}\n{\"_id\": \"copy\", \"text\": \"Tides rise.\"}\n";

const NOTES: &str = "\
3 negatives for 1 of 3 queries → `negatives.jsonl`
left out at ranks 3-100: 1 known positives, 1 copies of them, 1 too close to the best positive (`--relative 0.95`)
queries without negatives: 1 without a positive in `qrels.tsv`, 1 whose positive is not among the hits, 0 with nothing left
queries with a positive that were not ranked: 1
";
const NEGATIVES: &str =
    "{\"query-id\":\"q1\",\"corpus-ids\":[\"n\",\"d\",\"e\"],\"scores\":[7.125,6.0,0.1]}\n";

fn files() -> Folder {
    Folder::with(&[("qrels.tsv", QRELS), ("run.trec", RUN), ("corpus.jsonl", CORPUS)])
}

fn mine(folder: &Folder, arguments: &str) -> Ran {
    folder.run(&format!("mine --run run.trec --qrels qrels.tsv --out negatives.jsonl {arguments}"))
}

fn written(folder: &Folder) -> String {
    fs_err::read_to_string(folder.path().join("negatives.jsonl")).expect("negatives were written")
}

#[test]
fn a_run_gives_negatives_and_every_hit_that_is_none_is_counted() {
    let folder = files();
    mine(&folder, "--ranks 3-100 --corpus corpus.jsonl").check(0, "", NOTES);
    assert_eq!(written(&folder), NEGATIVES);
}

#[test]
fn json_holds_the_counts() {
    let ran = mine(&files(), "--ranks 3-100 --corpus corpus.jsonl --json");
    let counts: serde_json::Value = serde_json::from_str(&ran.out).expect("standard output is JSON alone");
    let expected = json!({
        "out": "negatives.jsonl", "queries": 3, "mined": 1, "without_positives": 1, "positive_not_ranked": 1,
        "nothing_left": 0, "not_ranked": 1, "negatives": 3, "known_positives": 1, "duplicates": 1, "too_similar": 1,
    });
    assert_eq!(counts, expected);
}

#[test]
fn a_file_that_is_there_is_replaced_only_on_request() {
    let folder = files();
    assert_eq!(mine(&folder, "--ranks 7-8").code, Some(0));
    let first = written(&folder);
    mine(&folder, "").check_error("`negatives.jsonl` is there already: `--overwrite` replaces it");
    assert_eq!(written(&folder), first);
    assert_eq!(mine(&folder, "--overwrite --ranks 8-8").code, Some(0));
    assert_eq!(written(&folder), "{\"query-id\":\"q1\",\"corpus-ids\":[\"e\"],\"scores\":[0.1]}\n");
    let ran = mine(&folder, "--overwrite --ranks 90-99");
    let message = "error: no query has a negative, so that `negatives.jsonl` is not written\n";
    assert!(ran.err.ends_with(message), "{}", ran.err);
    assert_eq!((ran.code, written(&folder).lines().count()), (Some(2), 1));
}

#[test]
fn relative_off_asks_nothing_of_scores() {
    let folder = files();
    mine(&folder, "--ranks 1-2 --relative off");
    let lines = "{\"query-id\":\"q1\",\"corpus-ids\":[\"a\",\"b\"],\"scores\":[9.0,8.5]}\n\
        {\"query-id\":\"q2\",\"corpus-ids\":[\"a\"],\"scores\":[5.0]}\n";
    assert_eq!(written(&folder), lines);
}

#[test]
fn a_random_sample_follows_from_the_seed_and_stands_in_the_order_of_the_run() {
    use std::fmt::Write as _;
    let mut run = String::from("q1 Q0 p 1 100 t\n");
    for number in 2..=90 {
        writeln!(run, "q1 Q0 d{number:02} {number} {} t", 91 - number).expect("memory takes it");
    }
    let folder = Folder::with(&[("qrels.tsv", QRELS), ("run.trec", &run)]);
    let sample = |seed: &str| {
        let ran = mine(&folder, &format!("--sampling random --overwrite --negatives 20 {seed}"));
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        let line: serde_json::Value = serde_json::from_str(&written(&folder)).expect("one line");
        let ids: Vec<String> = serde_json::from_value(line["corpus-ids"].clone()).expect("ids");
        ids
    };
    let first = sample("--seed 1");
    assert_eq!(first, sample("--seed 1"));
    assert_ne!(first, sample("--seed 2"));
    assert_eq!(sample(""), sample("--seed 42"));
    assert!(first.len() == 20 && first.is_sorted(), "{first:?}");
    assert!(first.last().is_some_and(|id| id.as_str() > "d40"), "not the first of the window: {first:?}");
}

#[test]
fn arguments_that_do_not_go_together_are_refused() {
    let folder = files();
    let refused = |arguments: &str, message: &str| {
        let ran = folder.run(&format!("mine --qrels qrels.tsv --out out.jsonl {arguments}"));
        assert!(ran.err.starts_with("error: ") && ran.err.contains(message), "{arguments}: {}", ran.err);
        assert_eq!((ran.out.as_str(), ran.code), ("", Some(2)), "{arguments}");
        assert!(!folder.path().join("out.jsonl").exists());
    };
    refused("", "--run <FILE>");
    refused("--run run.trec --index i --model m --queries q", "cannot be used with");
    refused("--index i --model m", "--queries <FILE|DIR>");
    refused("--run run.trec --split train", "--index <INDEX>");
    refused(
        "--run run.trec --ranks 9-1",
        "expected two ranks from 1 on, the smaller first, such as `10-100`",
    );
    refused("--run run.trec --relative 1.5", "expected a number above 0 and up to 1, or `off`");
    refused("--run run.trec --negatives 0", "--negatives");
    refused("--run run.trec --seed 3", "`--seed` belongs to `--sampling random`");
    refused("--run absent", "failed to open file `absent`");
    let ran = folder.run("mine --run run.trec --qrels qrels.tsv --out ./run.trec --overwrite");
    assert!(ran.err.contains("`--out ./run.trec` is a file that is read"), "{}", ran.err);
    assert_eq!(fs_err::read_to_string(folder.path().join("run.trec")).unwrap(), RUN);
}

#[test]
fn an_index_gives_the_negatives_of_its_own_run_and_training_takes_them() {
    let place = Place::new();
    let path = |name: &str| place.folder.path().join(name);
    let mut encode = sbmoe();
    encode.arg("encode").arg("--model").arg(&place.model).arg("--corpus").arg(&place.data);
    succeeds(encode.arg("--out").arg(path("index")));
    let mine = |source: &[&str], out: &str| {
        let mut command = sbmoe();
        command.arg("mine").args(source).arg("--qrels").arg(&place.data).arg("--out").arg(path(out));
        command.args(["--ranks", "2-15", "--negatives", "3", "--relative", "off", "--corpus"]);
        command.arg(&place.data);
        command
    };
    let (index, run) = (path("index").display().to_string(), path("run.trec").display().to_string());
    let (model, data) = (place.model.display().to_string(), place.data.display().to_string());
    let queries = ["--model", &model, "--queries", &data, "--split", "train"];
    succeeds(sbmoe().args(["search", "--index", &index, "--k", "15", "--out", &run]).args(queries));
    let mined = succeeds(&mut mine(&[&["--index", &index], &queries[..]].concat(), "from-index.jsonl"));
    succeeds(&mut mine(&["--run", &run], "from-run.jsonl"));
    let lines = fs_err::read_to_string(path("from-index.jsonl")).expect("negatives");
    assert_eq!(lines, fs_err::read_to_string(path("from-run.jsonl")).expect("negatives"));
    assert_eq!(lines.lines().count(), 12);
    assert!(stderr(&mined).starts_with("36 negatives for 12 of 12 queries"), "{}", stderr(&mined));

    fs_err::copy(path("from-index.jsonl"), place.data.join("negatives.jsonl")).expect("a writable folder");
    let checked = succeeds(sbmoe().args(["data", "check", &data]));
    assert!(stdout(&checked).contains("negatives: 36 on 12 lines"), "{}", stdout(&checked));
    let mut train = sbmoe();
    train.args([
        "train",
        "--freeze-encoder",
        "--epochs",
        "1",
        "--keep",
        "last",
        "--negatives",
        "2",
        "--data",
        &data,
    ]);
    let trained = succeeds(train.args(["--model", &model]).arg("--out").arg(path("run")));
    assert!(stderr(&trained).contains("12 positives, 36 negatives"), "{}", stderr(&trained));

    // An index is searched with its own model, here as in `sbmoe search`.
    let other = path("run").join("model").display().to_string();
    let queries = ["--model", &other, "--queries", &data];
    let message = fails(&mut mine(&[&["--index", &index], &queries[..]].concat(), "other.jsonl"));
    assert!(message.contains("was made with another model"), "{message}");
}
