//! What a run learns from besides its judgments: the loss's directions, a teacher's scores, another model.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::killed::{has_lines, kill_when, resumed};
use super::{assert_same_weights, lines, weights};
use crate::program::{bytes, fails, stderr, succeeds};
use crate::tiny_model::{Place, write_model};

/// Keeps what was trained, whatever it scores.
const LAST: [&str; 4] = ["--keep", "last", "--seed", "3"];

impl Place {
    /// A teacher's scores as a table: of each training query's positive and of nine other documents.
    fn scores_file(&self) -> String {
        let mut text = "query-id\tcorpus-id\tscore\n".to_owned();
        for query in 1..=12 {
            writeln!(text, "q{query}\td{query}\t9").unwrap();
            for step in 0..9 {
                // An odd distance is never the positive's.
                let (document, score) = ((query + 2 * step) % 20 + 1, f64::from(step * 7 % 5) - 2.5);
                writeln!(text, "q{query}\td{document}\t{score}").unwrap();
            }
        }
        self.file_of("scores.tsv", &text)
    }

    fn file_of(&self, name: &str, text: &str) -> String {
        let path = self.run(name);
        fs_err::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// Another encoder, which orders words otherwise: every number of the embeddings is turned round.
    fn teacher(&self) -> String {
        let parent = self.run("other");
        fs_err::create_dir_all(&parent).unwrap();
        let folder = write_model(&parent);
        let (path, mut text) = (folder.join("vocab.txt"), String::new());
        let vocabulary = fs_err::read_to_string(&path).unwrap();
        let (special, words): (Vec<&str>, Vec<&str>) = vocabulary.lines().partition(|w| w.starts_with('['));
        for word in special.into_iter().chain(words.into_iter().rev()) {
            writeln!(text, "{word}").unwrap();
        }
        fs_err::write(path, text).unwrap();
        folder.display().to_string()
    }
}

/// The mean distillation loss of the first and of the last epoch, three steps each.
fn distilled(run: &Path) -> (f64, f64) {
    let steps = lines(&run.join("train.jsonl"));
    let losses: Vec<f64> = steps.iter().map(|line| line["distill"].as_f64().unwrap()).collect();
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
    (mean(&losses[..3]), mean(&losses[losses.len() - 3..]))
}

fn environment(run: &Path) -> Value {
    serde_json::from_slice(&bytes(&run.join("env.json"))).unwrap()
}

#[test]
fn every_switch_of_the_objective_changes_the_model() {
    let place = Place::new();
    let (scores, teacher) = (place.scores_file(), place.teacher());
    let taught = ["--distill", &scores, "--negatives", "4"];
    let variants: [&[&str]; 8] = [
        &[],
        &["--directions", "one-way"],
        &["--directions", "both"],
        &taught,
        &[&taught[..], &["--distill-loss", "margin-mse"]].concat(),
        &[&taught[..], &["--distill-temperature", "3"]].concat(),
        &[&taught[..], &["--distill-weight", "0.5"]].concat(),
        &["--teacher", &teacher],
    ];
    let mut seen: Vec<Vec<(String, Vec<u8>)>> = Vec::new();
    for (number, arguments) in variants.iter().enumerate() {
        let name = format!("run{number}");
        succeeds(&mut place.train(&name, &[&LAST[..], &["--freeze-encoder"], arguments].concat()));
        seen.push(weights(&place.run(&name)));
    }
    assert!(seen[0] == seen[1], "one way is the default");
    for later in 2..seen.len() {
        for earlier in 1..later {
            assert!(seen[later] != seen[earlier], "{:?} and {:?}", variants[later], variants[earlier]);
        }
    }
}

#[test]
fn distillation_from_scores_and_from_a_model_comes_nearer_to_the_teacher() {
    let place = Place::new();
    let (scores, teacher) = (place.scores_file(), place.teacher());
    let of_scores = ["--distill", scores.as_str(), "--negatives", "4"];
    let of_model = ["--teacher", teacher.as_str(), "--distill-temperature", "1"];
    let margins = ["--distill-loss", "margin-mse"];
    for (name, source, loss) in [
        ("scores-kl", &of_scores[..], &[][..]),
        ("scores-mse", &of_scores, &margins),
        ("model-kl", &of_model, &[]),
        ("model-mse", &of_model[..2], &margins),
    ] {
        let often = ["--set", "epochs=30", "--set", "lr=0.01", "--freeze-encoder", "--validation", "0"];
        let weight = ["--distill-weight", "10"];
        let output = succeeds(&mut place.train(name, &[&often[..], &weight, source, loss].concat()));
        let run = place.run(name);
        let (first, last) = distilled(&run);
        assert!(last < 0.9 * first && last > 0.0, "{name}: {first} to {last}");
        let text = stderr(&output);
        assert!(text.contains("distillation: ") && text.contains("weight 10"), "{text}");
        let environment = environment(&run);
        if source[0] == "--distill" {
            assert_eq!(environment["teacher"]["scores"]["sha256"].as_str().map(str::len), Some(64));
            assert!(text.contains("scores of 12 queries in `"), "{text}");
        } else {
            assert_eq!(environment["teacher"]["model"]["name"], *teacher);
            assert_eq!(environment["teacher"]["model"]["fingerprint"].as_str().map(str::len), Some(64));
        }
    }
    assert_eq!(environment(&place.run("scores-kl"))["teacher"]["model"], Value::Null);
}

#[test]
fn json_lines_of_scores_are_the_same_teacher() {
    let place = Place::new();
    let table = place.scores_file();
    let rows = fs_err::read_to_string(&table).unwrap();
    let mut text = String::new();
    for row in rows.lines().skip(1) {
        let fields: Vec<&str> = row.split('\t').collect();
        let (query, document, score) = (fields[0], fields[1], fields[2]);
        writeln!(text, "{{\"query-id\": \"{query}\", \"corpus-id\": \"{document}\", \"score\": {score}}}")
            .unwrap();
    }
    let json = place.file_of("scores.jsonl", &text);
    succeeds(&mut place.train("table", &[&LAST[..], &["--distill", &table]].concat()));
    succeeds(&mut place.train("json", &[&LAST[..], &["--distill", &json]].concat()));
    assert_same_weights(&place.run("table"), &place.run("json"));
    let refused = fails(&mut place.train("table", &[&LAST[..], &["--distill", &json, "--resume"]].concat()));
    assert!(refused.contains("other settings"), "{refused}");
}

#[test]
fn a_teachers_vectors_are_stored_beside_the_runs() {
    let place = Place::new();
    let teacher = place.teacher();
    let stored = |output: &str, what: &str| output.matches(&format!("pooled vectors: {what}")).count();
    let arguments = ["--teacher", &teacher, "--validation", "0", "--batching", "random"];
    let first = stderr(&succeeds(&mut place.train("first", &arguments)));
    assert_eq!((stored(&first, "stored in"), stored(&first, "reused from")), (2, 0), "{first}");
    let second = stderr(&succeeds(&mut place.train("second", &arguments)));
    assert_eq!((stored(&second, "stored in"), stored(&second, "reused from")), (0, 2), "{second}");
    assert_same_weights(&place.run("first"), &place.run("second"));
}

#[test]
fn folds_and_a_training_on_everything_learn_from_the_teacher_too() {
    let place = Place::new();
    let (scores, teacher) = (place.scores_file(), place.teacher());
    fs_err::remove_file(place.data.join("qrels/dev.tsv")).unwrap();
    for (name, source) in [("scores", ["--distill", &scores]), ("model", ["--teacher", &teacher])] {
        // Whatever is gained is enough.
        let any = ["--set", "accept=0", "--freeze-encoder", "--set", "folds=3"];
        let text = stderr(&succeeds(&mut place.train(name, &[&any[..], &source].concat())));
        assert!(text.contains("3 folds: best after "), "{text}");
        let retrain = ["--set", "accept=0", "--retrain", "--validation", "0.25"];
        succeeds(&mut place.train(&format!("{name}-again"), &[&retrain[..], &source].concat()));
    }
}

#[test]
fn distillation_does_not_show_threads_or_a_kill() {
    let place = Place::new();
    let (scores, teacher) = (place.scores_file(), place.teacher());
    for (name, source) in [("scores", ["--distill", &scores]), ("model", ["--teacher", &teacher])] {
        let arguments =
            [&LAST[..], &["--directions", "both", "--set", "epochs=60", "--patience", "0"], &source].concat();
        let whole = format!("{name}-whole");
        succeeds(&mut place.train(&whole, &[&arguments[..], &["--threads", "1"]].concat()));

        let killed = place.run(name);
        let command = place.train(name, &[&arguments[..], &["--threads", "2"]].concat());
        kill_when(command, has_lines(killed.join("train.jsonl"), 25));
        let output = resumed(&killed);
        assert!(stderr(&output).contains("resuming after step "), "{}", stderr(&output));
        assert_same_weights(&place.run(&whole), &killed);
        let losses = |run: &PathBuf| -> Vec<Value> {
            lines(&run.join("train.jsonl")).into_iter().map(|line| line["distill"].clone()).collect()
        };
        assert_eq!(losses(&place.run(&whole)), losses(&killed));
    }
}

#[test]
fn scores_that_cannot_be_learned_from_are_refused_before_anything_is_written() {
    let place = Place::new();
    let check = |text: &str, expected: &str| {
        let file = place.file_of("scores.tsv", text);
        for frozen in [&[][..], &["--freeze-encoder"]] {
            let message = fails(&mut place.train("run", &[&["--distill", &file], frozen].concat()));
            assert!(message.contains(expected), "`{expected}` is not in {message}");
            assert!(!place.run("run").exists(), "{message}");
        }
    };
    check("q1\td1\t2\nq1\td2\n", "scores.tsv:2: expected `query-id`, `corpus-id`, `score` between tabs");
    check("q1\td1\thigh\n", "scores.tsv:1: expected a finite number");
    check("q1\td1\t2\nq99\td2\t1\n", "scores.tsv:2: query `q99` is not in `");
    check("q1\td1\t2\nq1\td99\t1\n", "scores.tsv:2: document `d99` is not in `");
    check(
        "q1\td1\t2\n\nq1\td1\t3\n",
        "scores.tsv:3: document `d1` of query `q1` is scored on line 1 already",
    );
    // A query of the test split is known, but not trained on.
    check("q20\td1\t2\n", "none of the 1 scores in `");
    let message =
        fails(&mut place.train("run", &["--distill", &place.run("none.tsv").display().to_string()]));
    assert!(message.contains("none.tsv"), "{message}");
    let message = fails(&mut place.train("run", &["--teacher", "./nowhere"]));
    assert!(message.contains("`--teacher`") && message.contains("./nowhere"), "{message}");
    let message = fails(&mut place.train("run", &["--distill-loss", "kl"]));
    assert!(message.contains("`distill_loss`") && message.contains("`--teacher`"), "{message}");
    assert!(!place.run("run").exists());
}
