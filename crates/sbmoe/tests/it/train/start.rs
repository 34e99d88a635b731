//! Where training starts: at the encoder, so that a block which learns nothing changes nothing.

use serde_json::Value;

use crate::program::{bytes, fails, stdout, succeeds};
use crate::tiny_model::{Place, write_modules};

/// One epoch in which nothing moves.
const STILL: [&str; 8] = ["--freeze-encoder", "--keep", "last", "--lr", "0", "--epochs", "1", "--max-length"];

const LENGTH: [&str; 1] = ["64"];

const BLOCKS: [&[&str]; 3] =
    [&["--experts", "3", "--combine", "sum"], &["--block", "linear"], &["--block", "linear", "--rank", "2"]];

#[track_caller]
fn assert_same(left: &[f32], right: &[f32]) {
    assert_eq!(left.len(), right.len());
    let most = left.iter().zip(right).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(most <= 1e-6, "a difference of {most:e}");
}

#[test]
fn a_block_that_has_not_learnt_gives_the_encoder_s_vectors() {
    for (place, by_cosine) in [(Place::new(), false), (Place::new(), true)] {
        if by_cosine {
            write_modules(&place.model, &["Transformer", "Pooling", "Normalize"]);
        }
        let encoder = place.vectors(&place.model, "encoder", &["--max-length", "64"]);
        for (number, block) in BLOCKS.iter().enumerate() {
            let run = format!("run{number}");
            let zero = [&STILL[..], &LENGTH, &["--start", "zero"], block].concat();
            succeeds(place.train_only(&run).args(zero));
            assert_same(
                &place.vectors(&place.run(&run).join("model"), &format!("{run}-index"), &[]),
                &encoder,
            );
        }
        // A random start is another matter, else nothing is shown.
        let random = [&STILL[..], &LENGTH, &["--start", "random"], BLOCKS[0]].concat();
        succeeds(place.train_only("random").args(random));
        let random = place.vectors(&place.run("random/model"), "random-index", &[]);
        assert!(random.iter().zip(&encoder).any(|(a, b)| (a - b).abs() > 1e-3));
    }
}

#[test]
fn an_encoder_that_is_kept_gives_its_own_vectors_to_the_byte() {
    for (place, classes) in
        [(Place::new(), None), (Place::new(), Some(["Transformer", "Pooling", "Normalize"]))]
    {
        if let Some(classes) = classes {
            write_modules(&place.model, &classes);
        }
        for (run, more) in [("frozen", &["--freeze-encoder"][..]), ("full", &[])] {
            let output = succeeds(place.train(run, &["--accept", "1000", "--json"]).args(more));
            let report: Value = serde_json::from_str(&stdout(&output)).unwrap();
            assert_eq!(report["kept"], "encoder");
            let model = place.run(run).join("model");
            place.vectors(&place.model, &format!("{run}-base"), &[]);
            place.vectors(&model, &format!("{run}-kept"), &[]);
            let vectors = |index: &str| bytes(&place.run(&format!("{run}-{index}")).join("vectors.npy"));
            assert!(vectors("base") == vectors("kept"), "{run}");
            let modules = String::from_utf8(bytes(&model.join("modules.json"))).unwrap();
            assert!(!modules.contains("SBMoE"), "{modules}");
            assert_eq!(modules.contains("Normalize"), classes.is_some(), "{modules}");
        }
    }
}

#[test]
fn a_start_that_a_combination_cannot_leave_is_refused() {
    for combine in ["normalize-mixture", "normalize-experts"] {
        let place = Place::new();
        let refused = fails(&mut place.train("run", &["--start", "zero", "--combine", combine]));
        assert!(refused.contains("`start` is zero") && refused.contains(combine), "{refused}");
        assert!(!place.run("run").exists());
    }
}

#[test]
fn what_only_experts_have_is_refused_beside_a_linear_map_by_its_key() {
    let place = Place::new();
    for (key, switches) in [
        ("experts", ["--experts", "3"]),
        ("expert_width", ["--expert-width", "4"]),
        ("train_gate", ["--train-gate", "uniform"]),
        ("gate", ["--gate", "top1"]),
        ("combine", ["--combine", "sum"]),
        ("gate_noise", ["--gate-noise", "1"]),
        ("balance", ["--balance", "0.1"]),
        ("start", ["--start", "random"]),
    ] {
        let refused = fails(place.train_only("run").args(["--block", "linear"]).args(switches));
        assert!(refused.contains(&format!("`{key}` has no meaning for `block` linear")), "{refused}");
    }
    let refused = fails(&mut place.train("run", &["--rank", "2"]));
    assert!(refused.contains("`rank` 2 belongs to a linear map"), "{refused}");
    assert!(!place.run("run").exists());
}
