//! Runs: the order of hits, files that keep it, and lines that are refused.

use std::cmp::Ordering;

use proptest::prelude::*;
use sbmoe_ir::{Error, Hit, Ranking, Run, total_order};

use super::{fixture, folder, message};

fn documents(ranking: &Ranking) -> Vec<&str> {
    ranking.hits().iter().map(|hit| &*hit.document).collect()
}

#[test]
fn ties_are_broken_by_id_from_the_largest() {
    let run = Run::read(&fixture("run.trec")).expect("the fixture is readable");
    let ranking = run.get("q1").expect("q1 is there");
    assert_eq!(documents(ranking), ["d3", "u1", "d2", "d1", "d4"]);
    assert_eq!(run.iter().map(Ranking::query).collect::<Vec<_>>(), ["q2", "q1", "q3", "q9"]);
}

#[test]
fn ids_are_compared_byte_by_byte() {
    let hits = ["10", "9", "é", "z", "Z"].map(|id| Hit::new(id, 1.0)).to_vec();
    let ranking = Ranking::new("q", hits).expect("no repeats");
    assert_eq!(documents(&ranking), ["é", "z", "Z", "9", "10"]);
}

#[test]
fn zeros_of_both_signs_are_equal_and_not_a_number_is_last() {
    assert_eq!(total_order((0.0, "a"), (-0.0, "b")), Ordering::Greater);
    assert_eq!(total_order((f64::NAN, "b"), (f64::NEG_INFINITY, "a")), Ordering::Greater);
    assert_eq!(total_order((f64::NAN, "a"), (f64::NAN, "a")), Ordering::Equal);
}

#[test]
fn bad_hits_are_refused() {
    let nan = Ranking::new("q", vec![Hit::new("d1", 1.0), Hit::new("d2", f32::NAN)]);
    assert!(matches!(nan, Err(Error::NanScore { query, document }) if query == "q" && document == "d2"));
    let repeated = Ranking::new("q", vec![Hit::new("d1", 1.0), Hit::new("d1", 2.0)]);
    assert!(matches!(repeated, Err(Error::RepeatedHit { document, .. }) if document == "d1"));
    let mut run = Run::new();
    run.push(Ranking::new("q", Vec::new()).expect("no hits")).expect("the first ranking");
    let again = run.push(Ranking::new("q", Vec::new()).expect("no hits"));
    assert!(matches!(again, Err(Error::RepeatedQuery { query }) if query == "q"));
}

fn check_refused(content: &str, expected: &str) {
    let folder = folder(&[("run", content)]);
    assert_eq!(message(Run::read(&folder.path().join("run")), folder.path()), expected, "for {content:?}");
}

#[test]
fn bad_lines_are_refused_with_file_and_line() {
    check_refused(
        "q Q0 d 1 2.5 t\nq Q0 e 1 2.5\n",
        "run:2: expected `query Q0 document rank score tag`, found 5 fields",
    );
    let shifted = "expected `query Q0 document rank score tag`, found 7 fields";
    check_refused(
        "q Q0 notes one.txt 1 0.93 bm25\n",
        &format!("run:1: {shifted}, `one.txt` as the rank and `0.93` as the tag; is there a blank in an id?"),
    );
    check_refused(
        "q Q0 d 1 2.5 t\nq Q0 notes 2 1 0.93 bm25\n",
        &format!("run:2: {shifted}, `2` as the rank and `0.93` as the tag; is there a blank in an id?"),
    );
    check_refused("q Q0 d 1 NaN t\n", "run:1: expected a number as the score, found `NaN`");
    check_refused("q Q0 d 1 high t\n", "run:1: expected a number as the score, found `high`");
    check_refused(
        "q Q0 d 1 1 t\np Q0 d 1 1 t\n\nq Q0 d 2 0 t\n",
        "run:4: expected each document once for query `q`, found `d` here and on line 1",
    );
    let folder = folder(&[("run", "\n")]);
    let error = Run::read(&folder.path().join("run")).expect_err("the run is empty");
    assert!(matches!(error, Error::Empty { .. }), "{error}");
}

#[test]
fn gzipped_runs_are_read() {
    let folder = folder(&[("run.gz", "q Q0 d 1 1 t\n")]);
    assert_eq!(Run::read(&folder.path().join("run.gz")).expect("readable").len(), 1);
}

#[test]
fn written_lines_are_ranked_from_one_with_short_scores() {
    let folder = folder(&[]);
    let path = folder.path().join("run.trec");
    let mut run = Run::new();
    let hits = vec![Hit::new("d1", 0.1_f32), Hit::new("d2", 12.0_f32), Hit::new("d3", 0.1_f32)];
    run.push(Ranking::new("q2", hits).expect("no repeats")).expect("the first ranking");
    let hits = vec![Hit::new("d1", 0.1_f64), Hit::new("d2", 1e-9)];
    run.push(Ranking::new("q1", hits).expect("no repeats")).expect("the second ranking");
    run.write(&path, "ours").expect("the run can be written");
    assert_eq!(
        fs_err::read_to_string(&path).expect("the run was written"),
        "q2 Q0 d2 1 12.0 ours\nq2 Q0 d3 2 0.1 ours\nq2 Q0 d1 3 0.1 ours\n\
         q1 Q0 d1 1 0.1 ours\nq1 Q0 d2 2 1e-9 ours\n"
    );
    let names: Vec<_> = fs_err::read_dir(folder.path())
        .expect("the folder is there")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    assert_eq!(names, ["run.trec"], "no partial file stays behind");
}

#[test]
fn ids_that_would_break_a_line_are_not_written() {
    let folder = folder(&[("run.trec", "q Q0 d 1 1 t\n")]);
    let path = folder.path().join("run.trec");
    let mut run = Run::new();
    run.push(Ranking::new("q", vec![Hit::new("d 1", 1.0)]).expect("one hit")).expect("one ranking");
    assert_eq!(
        message(run.write(&path, "ours"), folder.path()),
        "document id `d 1` cannot be written to a TREC file: it must hold no blank, not begin with `#` or a \
         byte order mark (U+FEFF), and not be empty"
    );
    let mut marked = Run::new();
    let hits = vec![Hit::new("d", 1.0)];
    marked.push(Ranking::new("\u{feff}q", hits).expect("one hit")).expect("one ranking");
    assert!(matches!(marked.write(&path, "ours"), Err(Error::UnwritableId { kind: "query id", .. })));
    assert!(matches!(Run::new().write(&path, "my tag"), Err(Error::UnwritableId { kind: "tag", .. })));
    assert_eq!(fs_err::read_to_string(&path).expect("the old run is there"), "q Q0 d 1 1 t\n");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error() {
    let mut run = Run::new();
    run.push(Ranking::new("q", vec![Hit::new("d", 1.0)]).expect("one hit")).expect("one ranking");
    let error = run.write(std::path::Path::new("/dev/full"), "ours").expect_err("the device is full");
    assert!(error.to_string().contains("/dev/full"), "{error}");
}

/// Scores with many ties, both signs, both zeros, and neighbours in the last digit.
fn scores() -> impl Strategy<Value = f64> {
    prop_oneof![
        prop::sample::select(vec![0.0, -0.0, 0.5, 1.0, f64::INFINITY, f64::NEG_INFINITY]),
        any::<f32>().prop_filter("a number", |score| !score.is_nan()).prop_map(f64::from),
        (0_u64..4).prop_map(|step| f64::from_bits(1.0_f64.to_bits() + step)),
        (0_u32..4).prop_map(|step| f64::from(f32::from_bits(1.0_f32.to_bits() + step))),
        any::<f64>().prop_filter("a number", |score| !score.is_nan()),
    ]
}

fn hits() -> impl Strategy<Value = Vec<Hit>> {
    prop::collection::btree_map("[a-c]{1,2}", scores(), 0..12)
        .prop_map(|hits| hits.into_iter().map(|(id, score)| Hit::new(id, score)).collect())
}

fn single_precision_hits() -> impl Strategy<Value = Vec<Hit>> {
    prop::collection::btree_map("[a-c]{1,2}", any::<f32>(), 1..12).prop_map(|hits| {
        let hits = hits.into_iter().filter(|(_, score)| !score.is_nan());
        hits.map(|(id, score)| Hit::new(id, score)).collect()
    })
}

proptest! {
    #[test]
    fn the_order_is_total(a in (scores(), "[ab]{0,2}"), b in (scores(), "[ab]{0,2}"), c in (scores(), "[ab]{0,2}")) {
        let order = |left: &(f64, String), right: &(f64, String)| total_order((left.0, &left.1), (right.0, &right.1));
        prop_assert_eq!(order(&a, &b), order(&b, &a).reverse());
        prop_assert_eq!(order(&a, &b) == Ordering::Equal, a == b);
        if order(&a, &b).is_le() && order(&b, &c).is_le() {
            prop_assert!(order(&a, &c).is_le());
        }
    }

    #[test]
    fn a_ranking_is_the_sorted_hits(hits in hits()) {
        // The naive version: the best of what is left, again and again.
        let mut left: Vec<(f64, String)> = hits.iter().map(|hit| (hit.score, hit.document.to_string())).collect();
        let mut expected = Vec::new();
        while !left.is_empty() {
            let mut best = 0;
            for place in 1..left.len() {
                let (this, that) = (&left[place], &left[best]);
                if this.0 > that.0 || (this.0 >= that.0 && this.1.as_bytes() > that.1.as_bytes()) {
                    best = place;
                }
            }
            expected.push(left.remove(best).1);
        }
        let ranking = Ranking::new("q", hits).expect("no repeats");
        prop_assert_eq!(documents(&ranking), expected);
    }

    #[test]
    fn a_written_run_reads_back_in_the_same_order(
        hits in prop_oneof![hits(), single_precision_hits()].prop_filter("a file needs a line", |hits| !hits.is_empty()),
    ) {
        let folder = folder(&[]);
        let path = folder.path().join("run.trec");
        let ranking = Ranking::new("q", hits).expect("no repeats");
        let mut run = Run::new();
        run.push(ranking.clone()).expect("one ranking");
        run.write(&path, "ours").expect("the run can be written");
        let first = fs_err::read(&path).expect("the run was written");

        let again = Run::read(&path).expect("what was written is readable");
        let read = again.get("q").expect("the query is there");
        prop_assert_eq!(documents(read), documents(&ranking));
        let ties = |ranking: &Ranking| -> Vec<bool> {
            ranking.hits().windows(2).map(|pair| pair[0].score <= pair[1].score).collect()
        };
        prop_assert_eq!(ties(read), ties(&ranking));

        again.write(&path, "ours").expect("the run can be written");
        prop_assert_eq!(fs_err::read(&path).expect("the run was written"), first);
    }
}
