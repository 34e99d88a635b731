//! Held-out queries whose answers are trained on are told apart from the others.

use serde_json::Value;

use crate::program::{bytes, stdout, succeeds};
use crate::tiny_model::Place;

fn report(place: &Place, run: &str) -> Value {
    let output = succeeds(&mut place.train(run, &["--freeze-encoder", "--lr", "0.01", "--json"]));
    serde_json::from_str(&stdout(&output)).unwrap()
}

#[test]
fn queries_whose_answers_are_trained_on_are_scored_apart() {
    let place = Place::new();
    let apart = report(&place, "apart");
    assert_eq!((&apart["seen"], &apart["unseen"]), (&Value::Null, &Value::Null), "all are unseen");
    // Twelve documents are training positives. Two queries ask for one of them, one for one and for another document, and
    // of the last nothing is relevant.
    let dev = place.data.join("qrels/dev.tsv");
    let judgments = "q17\td1\t1\nq18\td2\t2\nq19\td19\t2\nq19\td3\t1\nq20\td4\t0\n";
    fs_err::write(&dev, [bytes(&dev), judgments.as_bytes().to_vec()].concat()).unwrap();
    let mixed = report(&place, "mixed");
    let part = |kind: &str, key: &str| mixed[kind][key].as_f64().unwrap();
    assert_eq!((part("seen", "queries"), part("unseen", "queries")), (3.0, 4.0), "{mixed}");
    for key in ["baseline", "best"] {
        let mean = (3.0 * part("seen", key) + 4.0 * part("unseen", key)) / 7.0;
        assert!((mixed[key].as_f64().unwrap() - mean).abs() < 1e-12, "{mixed}");
    }
    // The training is the same: the four that were there score what they did.
    assert!((part("unseen", "baseline") - apart["baseline"].as_f64().unwrap()).abs() < 1e-12, "{mixed}");
    let text = stdout(&succeeds(&mut place.train("said", &["--freeze-encoder", "--lr", "0.01"])));
    for line in
        ["  3 queries whose answers are trained on: encoder ", "  4 queries unseen in training: encoder "]
    {
        assert!(text.contains(line), "{text}");
    }
}
