//! The checker: it finds each kind of fault, counts them all, and says where.

use std::path::Path;

use sbmoe_ir::{
    Error,
    collection::{
        CheckReport, check,
        check::{Lengths, MAX_EXAMPLES, Severity},
    },
};

use super::folder;

const CORPUS: &str = r#"{"_id": "d1", "title": "Tides", "text": "The moon pulls the sea."}
{"_id": "d2", "text": "  "}
{"_id": "d1", "text": "Other words."}
not json
{"_id": "d 4", "title": "Tides", "text": "The moon pulls the sea."}
"#;
const QUERIES: &str = r#"{"_id": "q1", "text": "what pulls the sea?"}
{"_id": "q2", "text": "why?"}
"#;
const TRAIN: &str = "q1\td1\t1\n\
                     q1\td1\t1\n\
                     q1\td9\t2\n\
                     q7\td2\t0\n\
                     q2\td2\tbad\n\
                     q1\td1\t0\n";
const NEGATIVES: &str = r#"{"query-id": "q1", "corpus-ids": ["d2", "d8"]}
{"query-id": "q8", "corpus-ids": []}
{"query-id": "q1"}
"#;

/// Every kind of finding that there is, as `place: what: count, first example`.
fn lines(report: &CheckReport, folder: &Path) -> Vec<String> {
    let findings = report.findings().filter(|(_, _, _, findings)| findings.count > 0);
    findings
        .map(|(place, what, _, findings)| {
            let example = findings.examples[0].to_string().replace(&format!("{}/", folder.display()), "");
            format!("{place}: {what}: {}, {example}", findings.count)
        })
        .collect()
}

#[test]
fn every_kind_of_fault_is_found_with_file_and_line() {
    let folder = folder(&[
        ("corpus.jsonl.gz", CORPUS),
        ("queries.jsonl", QUERIES),
        ("qrels/train.tsv", TRAIN),
        ("negatives.jsonl", NEGATIVES),
    ]);
    let report = check(folder.path()).expect("a collection");
    assert_eq!(
        lines(&report, folder.path()),
        [
            "corpus: malformed lines: 1, corpus.jsonl.gz:4: expected a JSON object on one line, \
             found a line that begins with `not json`",
            "corpus: duplicate ids: 1, corpus.jsonl.gz:3: id `d1` stands on line 1 too",
            "corpus: ids that a TREC file cannot hold: 1, corpus.jsonl.gz:5: id `d 4`",
            "corpus: identical texts: 1, corpus.jsonl.gz:5: `d 4` has the text of line 1",
            "corpus: empty texts: 1, corpus.jsonl.gz:2: `d2` has no text",
            "train: malformed lines: 2, qrels/train.tsv:1: the first line is skipped as a header, \
             but it is a judgment: `q1\td1\t1`",
            "train: judgments of unknown queries: 1, qrels/train.tsv:4: there is no query `q7`",
            "train: judgments of unknown documents: 1, qrels/train.tsv:3: there is no document `d9`",
            "train: conflicting judgments: 1, qrels/train.tsv:6: query `q1`, document `d1`: 0 here, 1 on line 2",
            "train: queries without positives: 1, qrels/train.tsv:4: no document of query `q7` is judged above 0",
            "negatives: malformed lines: 1, negatives.jsonl:3: expected an array of ids under `corpus-ids`, found none",
            "negatives: negatives of unknown queries: 1, negatives.jsonl:2: there is no query `q8`",
            "negatives: unknown documents among the negatives: 1, negatives.jsonl:1: there is no document `d8`",
        ]
    );
    assert!(!report.is_sound());
    let train = &report.splits[0];
    assert_eq!((train.queries, train.judgments), (2, 4));
    assert_eq!(
        train.grades.iter().map(|(grade, count)| (*grade, *count)).collect::<Vec<_>>(),
        [(0, 2), (1, 1), (2, 1)]
    );
    let documents = report.documents.as_ref().expect("there is a corpus");
    assert_eq!(documents.count, 4);
    assert_eq!(documents.words, Some(Lengths { min: 0, median: 2, mean: 3.5, max: 6 }));
    assert_eq!(report.queries.as_ref().expect("there are queries").words.map(|words| words.max), Some(4));
}

#[test]
fn a_sound_collection_is_called_sound() {
    let corpus = "{\"_id\": \"d1\", \"text\": \"a b\"}\n{\"_id\": \"d2\", \"text\": \"a b\"}\n";
    let test = "query-id\tcorpus-id\tscore\nq1\td1\t1\nq2\td2\t0\nq1\td1\t1\n";
    let folder = folder(&[("corpus.jsonl", corpus), ("queries.jsonl", QUERIES), ("qrels/test.tsv", test)]);
    let report = check(folder.path()).expect("a collection");
    assert!(report.is_sound(), "{:?}", lines(&report, folder.path()));
    assert!(report.missing_files.is_empty());
    let remarks: Vec<_> = report
        .findings()
        .filter(|finding| finding.3.count > 0)
        .map(|finding| (finding.1, finding.2))
        .collect();
    assert_eq!(
        remarks,
        [
            ("identical texts", Severity::Remark),
            ("repeated judgments", Severity::Remark),
            ("queries without positives", Severity::Remark)
        ]
    );
}

#[test]
fn a_file_without_records_is_a_fault() {
    let folder =
        folder(&[("corpus.jsonl", ""), ("queries.jsonl.gz", "\n \n"), ("qrels/test.tsv", "a\tb\tc\n")]);
    let report = check(folder.path()).expect("a collection");
    assert_eq!(
        lines(&report, folder.path()),
        [
            "corpus: no records: 1, corpus.jsonl:1: the file holds no records",
            "queries: no records: 1, queries.jsonl.gz:1: the file holds no records",
        ]
    );
    assert!(!report.is_sound());
}

#[test]
fn all_faults_are_counted_and_the_first_kept() {
    let folder = folder(&[("corpus.jsonl", &"{}\n".repeat(MAX_EXAMPLES + 5))]);
    let report = check(folder.path()).expect("a collection");
    let malformed = &report.documents.as_ref().expect("there is a corpus").malformed;
    assert_eq!(malformed.count, MAX_EXAMPLES as u64 + 5);
    assert_eq!(malformed.examples.len(), MAX_EXAMPLES);
    assert_eq!(report.missing_files, ["queries.jsonl", "qrels/test.tsv"]);
}

#[test]
fn files_that_break_off_are_reported() {
    let whole = super::bytes_of("corpus.jsonl.gz", &QUERIES.repeat(100));
    let folder = folder(&[("queries.jsonl", QUERIES), ("qrels/test.tsv", "")]);
    fs_err::write(folder.path().join("corpus.jsonl.gz"), &whole[..whole.len() - 12]).expect("written");
    let report = check(folder.path()).expect("a collection");
    let malformed = &report.documents.as_ref().expect("there is a corpus").malformed;
    assert_eq!(malformed.count, 1);
    assert!(malformed.examples[0].message.starts_with("reading failed"), "{}", malformed.examples[0]);
    assert_eq!(report.splits[0].malformed.examples[0].message, "the file is empty: not even a header");
}

#[test]
fn a_report_is_written_as_json() {
    let folder =
        folder(&[("corpus.jsonl", CORPUS), ("qrels/test.tsv", "query-id\tcorpus-id\tscore\nq1\td1\t1\n")]);
    let report = check(folder.path()).expect("a collection");
    let json = serde_json::to_value(&report).expect("a report is plain data");
    assert_eq!(json["documents"]["duplicate_ids"]["count"], 1);
    assert_eq!(json["documents"]["duplicate_ids"]["examples"][0]["line"], 3);
    assert_eq!(json["splits"][0]["split"], "test");
    assert_eq!(json["splits"][0]["grades"]["1"], 1);
    assert!(json["queries"].is_null());
}

#[test]
fn a_path_that_is_no_collection_is_refused() {
    assert!(matches!(check(Path::new("no such folder")), Err(Error::NotAFolder { .. })));
}
