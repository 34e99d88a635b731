//! The encoder as it came is a candidate: it is replaced by nothing that is not better, unless a user asks for that.

use sbmoe_kernels::Key;
use serde_json::Value;

use super::questions::{answered, kinds};
use crate::program::{bytes, stderr, stdout, succeeds};
use crate::tiny_model::{N_ANIMALS, Place};

/// So much of it that what the encoder knows is lost.
const LONG: [&str; 5] = ["--freeze-encoder", "--lr", "0.1", "--patience", "0"];

/// An encoder that answers nearly every question, and training judgments that pair queries with documents at random; only
/// the dev queries have their answers.
fn useless() -> Place {
    let place = answered();
    let key = Key::new(3).purpose("useless judgments");
    let random = |question: usize| key.with(question as u64).below(N_ANIMALS);
    place.judge("train", kinds(&[0, 1]).map(|(question, _)| (question, random(question))));
    place.judge("dev", kinds(&[2]));
    place
}

fn trained(place: &Place, run: &str, more: &[&str]) -> Value {
    let output = succeeds(place.train(run, &LONG).args(more).arg("--json"));
    serde_json::from_str(&stdout(&output)).unwrap()
}

/// The bytes of the saved block; none where the encoder alone was saved.
fn block(place: &Place, folder: &str) -> Option<Vec<u8>> {
    let weights = place.run(folder).join("2_SBMoE/model.safetensors");
    weights.exists().then(|| bytes(&weights))
}

#[test]
fn useless_judgments_leave_the_encoder_and_the_best_state_beside_it() {
    let place = useless();
    let report = trained(&place, "run", &[]);
    assert_eq!((&report["kept"], &report["finished"]), (&Value::from("encoder"), &Value::from(true)));
    let [baseline, best] = ["baseline", "best"].map(|key| report[key].as_f64().unwrap());
    let [gain, error] = ["difference", "standard_error"].map(|key| report["gain"][key].as_f64().unwrap());
    assert!(baseline > 0.7 && best < baseline, "{report}");
    assert!((best - baseline - gain).abs() < 1e-12 && gain <= error, "{report}");
    assert_eq!(report["other"], place.run("run/best").display().to_string());
    assert!(block(&place, "run/model").is_none() && block(&place, "run/best").is_some());
    assert!(
        bytes(&place.run("run/model/model.safetensors")) == bytes(&place.run("run/best/model.safetensors"))
    );
    place.vectors(&place.run("run/best"), "index", &[]);

    let text = stdout(&succeeds(&mut place.train("said", &LONG)));
    let last = text.lines().last().unwrap();
    assert!(last.starts_with("kept: the encoder as it came, since no trained state was better"), "{text}");
}

#[test]
fn the_trained_state_is_the_model_where_that_is_asked_for() {
    let place = useless();
    let report = trained(&place, "last", &["--keep", "last"]);
    assert_eq!(report["kept"], "epoch 4");
    assert!(report["last"].as_f64().unwrap() < report["baseline"].as_f64().unwrap(), "{report}");
    let last = block(&place, "last/model");
    assert!(last.is_some());

    let output = succeeds(place.train("unjudged", &LONG).args(["--validation", "0", "--json"]));
    let report: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!((&report["kept"], &report["baseline"]), (&Value::from("epoch 4"), &Value::Null));
    assert!(block(&place, "unjudged/model") == last, "validation changes nothing in training");
    let said = stderr(&output);
    assert!(said.contains("warning: nothing says whether this is better than the encoder; "), "{said}");
    let judged = stderr(&succeeds(&mut place.train("judged", &LONG)));
    assert!(!judged.contains("nothing says"), "{judged}");
}

#[test]
fn a_state_that_is_better_beyond_its_noise_is_the_model() {
    let place = Place::new();
    place.ask_everything();
    // Both splits ask about every animal: what is learnt of one question answers the next.
    place.judge("train", kinds(&[0, 1, 2]));
    place.judge("dev", kinds(&[2]));
    let report = trained(&place, "run", &["--set", "lr=0.01", "--set", "epochs=20"]);
    let [gain, error] = ["difference", "standard_error"].map(|key| report["gain"][key].as_f64().unwrap());
    assert!(gain > error, "{report}");
    assert_eq!(report["kept"], format!("epoch {}", report["best_epoch"]));
    assert!(block(&place, "run/model").is_some());
    let stricter =
        trained(&place, "stricter", &["--set", "lr=0.01", "--set", "epochs=20", "--accept", "1000"]);
    assert_eq!((&stricter["kept"], &stricter["gain"]), (&Value::from("encoder"), &report["gain"]));
    assert!(block(&place, "stricter/best") == block(&place, "run/model"));
}
