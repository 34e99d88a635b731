//! Mined negatives: which hits are taken, and the file of them.

use proptest::prelude::*;
use sbmoe_ir::{
    Hit, Negatives, Qrels, Ranking,
    mine::{MineCounts, MineOptions, MinedQuery, Miner, PositiveTexts, Ranks, write_negatives},
};

use super::folder;

fn options(ranks: &str, relative: Option<f64>) -> MineOptions<'static> {
    MineOptions { ranks: ranks.parse().expect("two ranks"), negatives: 8, relative, draw: None }
}

fn ranking(query: &str, hits: &[(&str, f64)]) -> Ranking {
    let hits = hits.iter().map(|(document, score)| Hit::new(*document, *score)).collect();
    Ranking::new(query, hits).expect("a ranking")
}

/// The documents taken from one ranking, `p` being the positive.
fn taken(hits: &[(&str, f64)], options: MineOptions<'_>) -> (Vec<String>, MineCounts) {
    let qrels = Qrels::from_judgments([("q", "p", 1), ("q", "n", 0)]).expect("judgments");
    let mut miner = Miner::new(&qrels, None, options);
    let mined = miner.mine(&ranking("q", hits));
    let negatives = mined.map_or_else(Vec::new, |mined| mined.negatives);
    (negatives.iter().map(|hit| hit.document.to_string()).collect(), miner.counts())
}

#[test]
fn negatives_come_from_the_window_and_are_never_known_positives() {
    let hits = [("a", 9.0), ("b", 8.0), ("p", 7.0), ("n", 6.0), ("c", 5.0), ("d", 4.0)];
    let (documents, counts) = taken(&hits, options("2-5", None));
    assert_eq!(documents, ["b", "n", "c"]);
    assert_eq!((counts.queries, counts.mined, counts.negatives, counts.known_positives), (1, 1, 3, 1));
    assert_eq!(taken(&hits, options("6-100", None)).0, ["d"]);
    let (documents, counts) = taken(&hits, options("7-100", None));
    assert!(documents.is_empty());
    assert_eq!((counts.mined, counts.nothing_left), (0, 1));
    let few = MineOptions { negatives: 2, ..options("1-6", None) };
    assert_eq!(taken(&hits, few).0, ["a", "b"]);
}

#[test]
fn negatives_score_below_the_positive_by_a_share_of_its_size_whatever_its_sign() {
    let (documents, counts) =
        taken(&[("a", 3.0), ("p", 2.0), ("b", 1.9), ("c", 1.8), ("d", -5.0)], options("1-9", Some(0.9)));
    assert_eq!((documents, counts.too_similar), (vec!["c".to_owned(), "d".to_owned()], 2));
    let (documents, counts) =
        taken(&[("a", 1.0), ("p", -2.0), ("b", -2.1), ("c", -2.2), ("d", -5.0)], options("1-9", Some(0.9)));
    assert_eq!((documents, counts.too_similar), (vec!["c".to_owned(), "d".to_owned()], 2));
    let (documents, _) = taken(&[("a", 1.0), ("p", 0.0), ("b", -0.1)], options("1-9", Some(0.9)));
    assert_eq!(documents, ["b"]);
    // At R = 1, what scores as the positive does is taken.
    assert_eq!(taken(&[("p", 2.0), ("b", 2.0)], options("1-9", Some(1.0))).0, ["b"]);
}

#[test]
fn a_positive_that_is_not_ranked_leaves_no_hit_below_it() {
    let hits = [("a", 3.0), ("b", 0.1)];
    let (documents, counts) = taken(&hits, options("1-9", Some(0.95)));
    assert!(documents.is_empty());
    assert_eq!((counts.positive_not_ranked, counts.nothing_left), (1, 0));
    assert_eq!(taken(&hits, options("1-9", None)).0, ["a", "b"]);
}

#[test]
fn queries_without_positives_are_skipped_and_those_not_ranked_counted() {
    let qrels = Qrels::from_judgments([("q1", "p", 1), ("q2", "p", 0), ("q3", "p", 2)]).expect("judgments");
    let mut miner = Miner::new(&qrels, None, options("1-9", None));
    for query in ["q1", "q2", "unknown"] {
        assert_eq!(miner.mine(&ranking(query, &[("a", 1.0)])).is_some(), query == "q1");
    }
    let counts = miner.counts();
    assert_eq!((counts.queries, counts.mined, counts.without_positives, counts.not_ranked), (3, 1, 2, 1));
}

#[test]
fn documents_with_the_text_of_a_positive_of_the_query_are_no_negatives() {
    let corpus = "\
{\"_id\": \"p\", \"title\": \"Tides\", \"text\": \"rise\"}
{\"_id\": \"same\", \"text\": \"Tides rise\"}
{\"_id\": \"other\", \"text\": \"Tides fall\"}
{\"_id\": \"r\", \"text\": \"Harbours\"}
{\"_id\": \"same as r\", \"text\": \"Harbours\"}
";
    let folder = folder(&[("corpus.jsonl", corpus)]);
    let qrels =
        Qrels::from_judgments([("q1", "p", 1), ("q2", "r", 1), ("q2", "other", 0)]).expect("judgments");
    let texts = PositiveTexts::read(&folder.path().join("corpus.jsonl"), &qrels).expect("a corpus");
    let mut miner = Miner::new(&qrels, Some(&texts), options("1-9", None));
    let hits = [("p", 5.0), ("same", 4.0), ("other", 3.0), ("r", 2.0), ("same as r", 1.0)];
    let mut documents = |query: &str| -> Vec<String> {
        let mined = miner.mine(&ranking(query, &hits)).expect("negatives are left");
        mined.negatives.iter().map(|hit| hit.document.to_string()).collect()
    };
    assert_eq!(documents("q1"), ["other", "r", "same as r"]);
    assert_eq!(documents("q2"), ["p", "same", "other"]);
    assert_eq!(miner.counts().duplicates, 2);
}

#[test]
fn the_file_reads_back_as_negatives_and_replaces_nothing_halfway() {
    let folder = folder(&[]);
    let path = folder.path().join("negatives.jsonl");
    let mined = [
        MinedQuery {
            query: "q \"1\"".to_owned(),
            negatives: vec![Hit::new("d2", 0.1_f32), Hit::new("d1", 0.1_f64)],
        },
        MinedQuery { query: "q2".to_owned(), negatives: vec![Hit::new("d3", f64::INFINITY)] },
    ];
    write_negatives(&path, &mined).expect("a writable folder");
    let text = fs_err::read_to_string(&path).expect("the file is there");
    let expected = "\
{\"query-id\":\"q \\\"1\\\"\",\"corpus-ids\":[\"d2\",\"d1\"],\"scores\":[0.1,0.1]}
{\"query-id\":\"q2\",\"corpus-ids\":[\"d3\"],\"scores\":[null]}
";
    assert_eq!(text, expected);
    let negatives = Negatives::read(&path).expect("negatives");
    let read: Vec<(&str, Vec<&str>)> = negatives
        .iter()
        .map(|(query, documents)| (query, documents.iter().map(String::as_str).collect()))
        .collect();
    assert_eq!(read, [("q \"1\"", vec!["d2", "d1"]), ("q2", vec!["d3"])]);
    assert_eq!(fs_err::read_dir(folder.path()).expect("a folder").count(), 1);
}

#[test]
fn windows_that_are_none_are_refused() {
    for text in ["", "10", "0-5", "9-3", "1-", "-1-5", "1-5-9", "a-b"] {
        let error = text.parse::<Ranks>().expect_err(text).to_string();
        assert!(error.ends_with(&format!("found `{text}`")), "{error}");
    }
    assert_eq!("10-100".parse::<Ranks>().expect("a window").last(), 100);
}

proptest! {
    #[test]
    fn what_is_drawn_keeps_every_rule(
        scores in prop::collection::vec(-50_i32..50, 1..40),
        positive in 0_usize..40,
        first in 1_usize..20,
        span in 0_usize..30,
        negatives in 1_usize..10,
        turn in 0_usize..40,
    ) {
        let ids: Vec<String> = (0..scores.len()).map(|number| format!("d{number}")).collect();
        let positive = positive % ids.len();
        let hits: Vec<(&str, f64)> =
            ids.iter().map(String::as_str).zip(scores.iter().map(|score| f64::from(*score))).collect();
        let ranking = ranking("q", &hits);
        let qrels = Qrels::from_judgments([("q", ids[positive].as_str(), 1)]).expect("judgments");
        let draw = |_: &str, places: &mut [usize]| {
            let n = places.len();
            if n > 0 {
                places.rotate_left(turn % n);
            }
        };
        let ranks: Ranks = format!("{first}-{}", first + span).parse().expect("a window");
        let options = MineOptions { ranks, negatives, relative: Some(0.5), draw: Some(&draw) };
        let mut miner = Miner::new(&qrels, None, options);
        let taken = miner.mine(&ranking).map_or_else(Vec::new, |mined| mined.negatives);
        let p = f64::from(scores[positive]);
        let allowed: Vec<&Hit> = (1..)
            .zip(ranking.hits())
            .filter(|(rank, hit)| {
                (first..=first + span).contains(rank)
                    && *hit.document != *ids[positive]
                    && hit.score <= p - 0.5 * p.abs()
            })
            .map(|(_, hit)| hit)
            .collect();
        prop_assert_eq!(taken.len(), allowed.len().min(negatives));
        let places: Vec<usize> =
            taken.iter().map(|hit| allowed.iter().position(|other| *other == hit).expect("allowed")).collect();
        prop_assert!(places.is_sorted());
    }
}
