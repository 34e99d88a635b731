//! Cross-validation of few queries: what is found, and that neither a kill nor threads change it.

use std::path::Path;

use serde_json::Value;

use super::killed::{has_lines, kill_when, resumed};
use super::questions::{answered, kinds};
use super::{assert_same_weights, lines};
use crate::program::{bytes, stderr, stdout, succeeds};
use crate::tiny_model::{N_ANIMALS, Place};

const FROZEN: [&str; 3] = ["--freeze-encoder", "--lr", "0.01"];

/// All questions are training queries, and there is nothing else to judge by.
fn questions() -> Place {
    let place = Place::new();
    place.ask_everything();
    place.judge("train", kinds(&[0, 1, 2]));
    place
}

/// The lines of `validation.jsonl`.
fn validations(run: &Path) -> Vec<Value> {
    lines(&run.join("validation.jsonl"))
}

#[test]
fn five_folds_judge_every_query_and_choose_an_epoch() {
    let place = questions();
    let output = succeeds(place.train("run", &FROZEN).args(["--accept", "0", "--json"]));
    let said = stderr(&output);
    assert!(said.contains("validation: 60 queries of split `train` in 5 folds"), "{said}");
    assert!(said.contains("5 folds: best after ") && said.contains(" of 4 epochs, "), "{said}");
    let report: Value = serde_json::from_str(&stdout(&output)).unwrap();

    let run = place.run("run");
    let validations = validations(&run);
    let epochs: Vec<_> = validations.iter().map(|line| line["epoch"].as_u64().unwrap()).collect();
    assert_eq!(epochs, [0, 1, 2, 3, 4]);
    assert_eq!(validations[0]["nDCG@10"], report["baseline"]);
    let scores: Vec<f64> = validations.iter().map(|line| line["nDCG@10"].as_f64().unwrap()).collect();
    let best = report["best_epoch"].as_u64().unwrap() as usize;
    assert_eq!(report["best"].as_f64(), scores[1..].iter().copied().reduce(f64::max));
    assert_eq!(report["best"].as_f64(), Some(scores[best]));
    for (epoch, line) in validations.iter().enumerate().skip(1) {
        assert_eq!(line["best"], epoch == best);
        assert!((line["gain"].as_f64().unwrap() - (scores[epoch] - scores[0])).abs() < 1e-12, "{line}");
    }
    // All queries are trained on in the end, for as many epochs as were best.
    assert_eq!(report["kept"], format!("epoch {best}"));
    assert_eq!(report["steps"], best * (60 / 5));
    assert_eq!(lines(&run.join("train.jsonl")).len(), best * (60 / 5));
    assert!(!run.join("checkpoint/beside").exists());
}

#[test]
fn a_query_whose_answer_is_asked_for_by_others_shares_their_fold() {
    let place = questions();
    let said = stderr(&succeeds(&mut place.train("run", &FROZEN)));
    assert!(said.contains("of 60 held-out queries\n"), "no query is seen in its fold: {said}");
    // Without folds a fifth is held out once.
    let said = stderr(&succeeds(place.train("part", &FROZEN).args(["--set", "folds=0"])));
    assert!(said.contains("validation: 12 queries of split `train`, ranked over"), "{said}");
}

#[test]
fn what_a_fold_holds_out_is_not_learnt_with_it() {
    let place = answered();
    // Other answers than the encoder knows: what is held out cannot be guessed, and what is trained on is soon remembered.
    let other = || kinds(&[0, 1, 2]).map(|(question, animal)| (question, (7 * animal + 3) % N_ANIMALS));
    place.judge("train", other());
    let best = |run: &str| {
        let switches = [
            "--freeze-encoder",
            "--sides",
            "query",
            "--combine",
            "sum",
            "--lr",
            "0.03",
            "--set",
            "epochs=20",
            "--patience",
            "0",
        ];
        let report = succeeds(place.train(run, &switches).arg("--json"));
        let report: Value = serde_json::from_str(&stdout(&report)).unwrap();
        report["best"].as_f64().unwrap()
    };
    let held_out = best("folds");
    place.judge("dev", other());
    let remembered = best("remembered");
    assert!(remembered > 0.6 && held_out < remembered - 0.25, "{held_out} of folds, {remembered} remembered");
}

#[test]
fn folds_that_were_killed_go_on_to_the_same_bytes() {
    // The trained state is the model, or stands beside the encoder.
    for accept in ["0", "1000"] {
        let place = questions();
        let arguments = [&FROZEN[..], &["--accept", accept, "--set", "epochs=6"]].concat();
        let whole = place.run("whole");
        succeeds(&mut place.train("whole", &arguments));
        assert_eq!(whole.join("best").exists(), accept == "1000");

        let in_folds = place.run("in-folds");
        let folds = in_folds.join("checkpoint/folds.json");
        kill_when(place.train("in-folds", &arguments), || folds.exists());
        assert!(!in_folds.join("checkpoint/state.safetensors").exists(), "the folds were over");
        let first = bytes(&folds);
        let first: Value = serde_json::from_slice(&first).unwrap();
        resumed(&in_folds);
        let all: Value = serde_json::from_slice(&bytes(&folds)).unwrap();
        let of = |done: &Value| done["values"].as_array().unwrap().clone();
        assert!(of(&first).len() < 5 && of(&all).len() == 5, "it was killed in the middle");
        assert_eq!(of(&all)[..of(&first).len()], of(&first));

        let after = place.run("after");
        kill_when(place.train("after", &arguments), has_lines(after.join("train.jsonl"), 5));
        resumed(&after);
        for run in [&in_folds, &after] {
            assert_same_weights(&whole, run);
            assert!(
                bytes(&whole.join("model/model.safetensors")) == bytes(&run.join("model/model.safetensors"))
            );
            let facts = |run: &Path| -> Vec<_> {
                let keys = ["epoch", "nDCG@10", "gain", "best"];
                validations(run).into_iter().map(|line| keys.map(|key| line[key].clone())).collect()
            };
            assert_eq!(facts(&whole), facts(run), "{}", run.display());
            assert!(!run.join("checkpoint/beside").exists());
        }
    }
}

#[test]
fn threads_do_not_show_in_folds() {
    let place = questions();
    for (name, threads) in [("one", "1"), ("two", "2")] {
        succeeds(place.train(name, &FROZEN).args(["--accept", "0", "--threads", threads]));
    }
    let [one, two] = ["one", "two"].map(|name| place.run(name));
    assert_same_weights(&one, &two);
    assert!(bytes(&one.join("checkpoint/folds.json")) == bytes(&two.join("checkpoint/folds.json")));
}
