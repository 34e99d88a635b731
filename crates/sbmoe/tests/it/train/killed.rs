//! Runs that are killed and go on: they end with the bytes of an uninterrupted one, whatever makes their batches.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::questions::kinds;
use super::{assert_same_weights, lines};
use crate::program::{sbmoe, stderr, succeeds};
use crate::tiny_model::Place;

/// Starts a run and kills it as soon as `is_time`.
#[track_caller]
pub(super) fn kill_when(mut command: Command, is_time: impl Fn() -> bool) {
    // What a killed run wrote last must be on the disk.
    command.args(["--set", "checkpoint_seconds=0"]);
    let mut child = command.stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    let start = Instant::now();
    while !is_time() {
        assert_eq!(child.try_wait().unwrap(), None, "the run was over before it could be killed");
        assert!(start.elapsed() < Duration::from_mins(1), "the run does not get on");
        sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    assert!(!child.wait().unwrap().success(), "the run was over before it could be killed");
}

/// Whether a journal has so many lines.
pub(super) fn has_lines(journal: PathBuf, least: usize) -> impl Fn() -> bool {
    move || fs_err::read_to_string(&journal).is_ok_and(|text| text.lines().count() >= least)
}

pub(super) fn resumed(run: &Path) -> Output {
    succeeds(sbmoe().args(["train", "--resume", "--out"]).arg(run))
}

/// Runs once as a whole and once killed after `steps` steps; what is left must be the same.
fn check(place: &Place, arguments: &[&str], steps: usize) {
    let [whole, killed] = ["whole", "killed"].map(|name| place.run(name));
    for run in [&whole, &killed] {
        if run.exists() {
            fs_err::remove_dir_all(run).unwrap();
        }
    }
    succeeds(&mut place.train("whole", arguments));
    kill_when(place.train("killed", arguments), has_lines(killed.join("train.jsonl"), steps));
    assert!(!killed.join("model").exists());
    let output = resumed(&killed);
    assert!(stderr(&output).contains("resuming after step "), "{}", stderr(&output));
    assert_same_weights(&whole, &killed);
    for file in ["train.jsonl", "validation.jsonl"] {
        let facts = |run: &Path| -> Vec<_> {
            let keys = ["step", "epoch", "loss", "nDCG@10", "gain", "best"];
            lines(&run.join(file)).into_iter().map(|line| keys.map(|key| line[key].clone())).collect()
        };
        assert_eq!(facts(&whole), facts(&killed), "{file} with {arguments:?}");
    }
}

/// Two questions about each animal to learn from, and one to judge by: enough of them to be near or far.
fn questions() -> Place {
    let place = Place::new();
    place.ask_everything();
    place.judge("train", kinds(&[0, 1]));
    place.judge("dev", kinds(&[2]));
    place
}

const MODES: [&[&str]; 2] = [&[], &["--freeze-encoder"]];

#[test]
fn a_killed_run_ends_with_the_bytes_of_an_uninterrupted_one() {
    for mode in MODES {
        let place = Place::new();
        check(&place, &[&["--set", "epochs=60", "--patience", "0"], mode].concat(), 25);
    }
}

#[test]
fn near_batches_and_anchors_come_back_after_a_kill() {
    for mode in MODES {
        let place = questions();
        let near = ["--set", "epochs=20", "--patience", "0", "--batching", "near", "--anchor", "4"];
        check(&place, &[&near, mode].concat(), 25);
    }
}

#[test]
fn a_run_that_was_killed_while_it_trained_on_everything_does_so_again() {
    for mode in MODES {
        let place = questions();
        let retrain = ["--set", "epochs=12", "--accept", "0", "--retrain", "--patience", "0", "--lr", "0.01"];
        let arguments = [&retrain, mode].concat();
        let [whole, killed] = ["whole", "killed"].map(|name| place.run(name));
        let said = succeeds(&mut place.train("whole", &arguments));
        assert!(whole.join("best").exists(), "the state that was chosen stays: {}", stderr(&said));
        let beside = killed.join("checkpoint/beside/state.safetensors");
        kill_when(place.train("killed", &arguments), || beside.exists());
        resumed(&killed);
        assert_same_weights(&whole, &killed);
        assert!(!killed.join("checkpoint/beside").exists());
    }
}

#[test]
fn threads_do_not_show_in_near_batches_with_anchors_or_in_a_training_on_everything() {
    for mode in MODES {
        let place = questions();
        let with = |run: &str, more: &[&str]| {
            let switches = ["--accept", "0", "--retrain", "--lr", "0.01"];
            succeeds(place.train(run, &[&switches, mode].concat()).args(more));
            place.run(run)
        };
        let near = ["--batching", "near", "--anchor", "4"];
        let one = with("one", &[&near[..], &["--threads", "1"]].concat());
        assert_same_weights(&one, &with("two", &[&near[..], &["--threads", "2"]].concat()));
        // Each of them changes the batches, else nothing is shown.
        let losses = |run: &Path| -> Vec<_> {
            lines(&run.join("train.jsonl")).into_iter().map(|line| line["loss"].clone()).collect()
        };
        let random = with("random", &["--batching", "random", "--anchor", "4"]);
        assert_ne!(losses(&one), losses(&random));
        assert_ne!(losses(&one), losses(&with("without", &["--batching", "near"])));
    }
}
