//! A teacher's scores: both formats, and lines that say something else.

use sbmoe_ir::scores::{ScoredPair, Scores};

use super::folder;

/// Each score as `query document score line`, or the error's text behind the file's name.
fn read(name: &str, content: &str) -> Vec<String> {
    let folder = folder(&[(name, content)]);
    let path = folder.path().join(name);
    let told = |pair: Result<ScoredPair, sbmoe_ir::Error>| match pair {
        Ok(ScoredPair { query, document, score, line }) => format!("{query} {document} {score} {line}"),
        Err(error) => error.to_string().replace(&path.display().to_string(), "FILE"),
    };
    match Scores::open(&path) {
        Ok(scores) => scores.map(told).collect(),
        Err(error) => vec![told(Err(error))],
    }
}

#[test]
fn tables_with_and_without_a_header_and_json_lines_say_the_same() {
    let expected = ["q1 d1 8.25 2", "q1 d 2 -0.5 3", "q2 d1 3000 5"];
    let table = "\nq1\td1\t8.25\nq1\td 2\t-.5\n\nq2\td1\t3e3\n";
    assert_eq!(read("scores.tsv", table), expected);
    assert_eq!(read("scores.tsv.gz", table), expected);
    let headed = "query-id\tcorpus-id\tscore\nq1\td1\t8.25\nq1\td 2\t-.5\n\nq2\td1\t3e3\n";
    assert_eq!(read("scores.tsv", headed), expected);
    let moved = "score\tnote\tcorpus-id\tquery-id\n8.25\tx\td1\tq1\n-.5\t\td 2\tq1\n\n3e3\t\td1\tq2\n";
    assert_eq!(read("scores.tsv", moved), expected);
    let json = r#"
{"query-id": "q1", "corpus-id": "d1", "score": 8.25, "model": "x"}
{"query-id": "q1", "corpus-id": "d 2", "score": -0.5}

{"score": 3000, "query-id": "q2", "corpus-id": "d1"}
"#;
    assert_eq!(read("scores.jsonl", json), expected);
    assert_eq!(read("scores.jsonl.gz", json), expected);
}

#[test]
fn what_is_no_score_is_refused_with_file_and_line() {
    let row = "expected `query-id`, `corpus-id`, `score` between tabs, found";
    let number = "expected a finite number as the `score`, found";
    assert_eq!(read("s.tsv", "q\td\t1\nq\td\n"), ["q d 1 1".to_owned(), format!("FILE:2: {row} 2 fields")]);
    assert_eq!(read("s.tsv", "q d 1\n"), [format!("FILE:1: {row} 1 fields")]);
    assert_eq!(read("s.tsv", "query-id\tcorpus-id\tscores\n"), [format!("FILE:1: {number} `scores`")]);
    for score in ["high", "nan", "inf", "1e39", ""] {
        assert_eq!(read("s.tsv", &format!("q\td\t{score}\n")), [format!("FILE:1: {number} `{score}`")]);
    }
    assert_eq!(read("s.tsv", "\td\t1\n"), ["FILE:1: expected a `query-id`, found an empty field"]);
    let json =
        |score: &str| read("s.jsonl", &format!("{{\"query-id\": \"q\", \"corpus-id\": \"d\"{score}}}\n"));
    assert_eq!(json(""), [format!("FILE:1: {number} none")]);
    assert_eq!(json(", \"score\": \"8\""), [format!("FILE:1: {number} a string")]);
    let lacking = read("s.jsonl", "{\"query-id\": \"q\", \"score\": 1}\n");
    assert!(lacking[0].starts_with("FILE:1: expected an id under `corpus-id`"), "{lacking:?}");
    assert_eq!(read("s.tsv", "\n"), ["`FILE` is empty: expected a score a line"]);
}
