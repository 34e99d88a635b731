//! Judgments: both formats, told apart, written and read back; lines that are refused.

use std::path::Path;

use proptest::prelude::*;
use sbmoe_ir::{
    Error, Grade, Qrels,
    qrels::{JudgedQuery, QrelsFormat},
};

use super::{fixture, folder, message};

fn triples(qrels: &Qrels) -> Vec<(String, String, Grade)> {
    let of_query = |judged: &JudgedQuery| {
        let query = judged.query.clone();
        let triples = judged.judgments.iter().map(|one| (query.clone(), one.document.to_string(), one.grade));
        triples.collect::<Vec<_>>()
    };
    qrels.iter().flat_map(of_query).collect()
}

fn read(content: &str) -> Result<Qrels, String> {
    let folder = folder(&[("qrels", content)]);
    let result = Qrels::read(&folder.path().join("qrels"));
    match result {
        Ok(qrels) => Ok(qrels),
        Err(error) => Err(message::<()>(Err(error), folder.path())),
    }
}

#[test]
fn both_formats_are_told_apart() {
    let trec = Qrels::read(&fixture("qrels.trec")).expect("the fixture is readable");
    let beir = Qrels::read(&fixture("qrels.tsv")).expect("the fixture is readable");
    assert_eq!(triples(&trec), triples(&beir));
    assert_eq!((trec.len(), beir.skipped_judgment()), (4, None));
    let judgments = beir.get("q1").expect("q1 is judged");
    assert_eq!((judgments[5].line, &*judgments[5].document), (7, "d6"), "quoted, on line 7");
}

#[test]
fn a_judgment_in_the_header_s_place_is_skipped_and_told() {
    let qrels = read("q1\td1\t1\nq1\td2\t1\n").expect("readable");
    assert_eq!(triples(&qrels), [("q1".into(), "d2".into(), 1)]);
    assert_eq!(qrels.skipped_judgment(), Some("q1\td1\t1"));
}

#[test]
fn trec_files_with_tabs_comments_and_blank_lines_are_read() {
    let qrels = read("# by hand\n\nq1\t0\td1\t1\r\nq2 Q0  d1   -1\n").expect("readable");
    assert_eq!(triples(&qrels), [("q1".into(), "d1".into(), 1), ("q2".into(), "d1".into(), -1)]);
}

#[test]
fn trec_files_in_beir_s_place_are_read_as_trec_s() {
    // Read as BEIR's, the iteration would be the document, and the first judgment the header.
    let folder = folder(&[("qrels", "11\t0\t3\t1\n12\t0\t4\t1\n")]);
    let qrels = Qrels::read_as(&folder.path().join("qrels"), QrelsFormat::Beir).expect("readable");
    assert_eq!(triples(&qrels), [("11".into(), "3".into(), 1), ("12".into(), "4".into(), 1)]);
    assert_eq!(qrels.skipped_judgment(), None);
}

#[test]
fn a_repeated_judgment_counts_once() {
    let qrels = read("q1 0 d1 1\nq1 0 d2 0\nq1 0 d1 1\n").expect("readable");
    assert_eq!(triples(&qrels), [("q1".into(), "d1".into(), 1), ("q1".into(), "d2".into(), 0)]);
}

fn check_refused(content: &str, expected: &str) {
    assert_eq!(read(content).expect_err(content), expected, "for {content:?}");
}

#[test]
fn bad_lines_are_refused_with_file_and_line() {
    check_refused(
        "q1 d1 1\n",
        "qrels:1: expected judgments: `query-id`, `corpus-id`, `score` between tabs, or \
         `query iteration document grade`, found 3 fields",
    );
    check_refused(
        "q1 0 d1 1\nq1 0 d2\n",
        "qrels:2: expected `query iteration document grade`, found 3 fields",
    );
    check_refused(
        "q1 0 d1 1\nq1 0 d2 high\n",
        "qrels:2: expected a whole number in -127…127 as the grade, found `high`",
    );
    check_refused(
        "query-id\tcorpus-id\tscore\nq1\td1\t1.0\n",
        "qrels:2: expected a whole number in -127…127 as the grade, found `1.0`",
    );
    check_refused(
        "query-id\tcorpus-id\tscore\nq1\td1\t128\n",
        "qrels:2: expected a whole number in -127…127 as the grade, found `128`",
    );
    check_refused(
        "query-id\tcorpus-id\tscore\nq1\td1\n",
        "qrels:2: expected `query-id`, `corpus-id`, `score` between tabs, found 2 fields",
    );
    check_refused(
        "query-id\tcorpus-id\tscore\nq1\t\t1\n",
        "qrels:2: expected a `corpus-id`, found an empty field",
    );
    check_refused(
        "query-id\tcorpus-id\tscore\nq1\t\"d1\t1\n",
        "qrels:2: expected a closing `\"` on the line of its opening, found none",
    );
    check_refused(
        "q1 0 d1 1\nq1 0 d1 2\n",
        "qrels:2: expected one grade for document `d1` of query `q1`, found 2 here and 1 on line 1",
    );
    assert!(read("\n").expect_err("blank").ends_with("is empty: expected judgments"));
}

#[test]
fn judgments_made_in_memory_are_held_to_the_same_rules() {
    let conflicting = Qrels::from_judgments([("q", "d", 1), ("q", "d", 2)]);
    assert!(matches!(conflicting, Err(Error::ConflictingGrades { first: 1, second: 2, .. })));
    let large = Qrels::from_judgments([("q", "d", 128)]);
    assert!(matches!(large, Err(Error::GradeOutOfRange { grade: 128, .. })));
}

#[test]
fn ids_that_would_break_a_line_are_not_written() {
    let folder = folder(&[]);
    let path = folder.path().join("qrels");
    let qrels = Qrels::from_judgments([("q 1", "d\t\"1\"", 1)]).expect("one judgment");
    assert!(matches!(qrels.write_trec(&path), Err(Error::UnwritableId { kind: "query id", .. })));
    qrels.write_beir(&path).expect("quoted, it can be written");
    assert_eq!(triples(&Qrels::read_as(&path, QrelsFormat::Beir).expect("readable")), triples(&qrels));
}

#[test]
fn unknown_ids_are_refused_with_file_and_line() {
    let folder = folder(&[("test.tsv", "query-id\tcorpus-id\tscore\nq1\td1\t1\nq1\td2\t1\n")]);
    let qrels = Qrels::read(&folder.path().join("test.tsv")).expect("readable");
    assert_eq!(
        message(qrels.refuse_unknown_documents("corpus.jsonl", |id| id == "d1"), folder.path()),
        "test.tsv:3: document `d2` is not in `corpus.jsonl`"
    );
    assert_eq!(
        message(qrels.refuse_unknown_queries("queries.jsonl", |_| false), folder.path()),
        "test.tsv:2: query `q1` is not in `queries.jsonl`"
    );
    qrels.refuse_unknown_documents("corpus.jsonl", |_| true).expect("all are known");
}

fn check_round_trip(qrels: &Qrels, path: &Path, format: QrelsFormat) {
    match format {
        QrelsFormat::Beir => qrels.write_beir(path),
        QrelsFormat::Trec => qrels.write_trec(path),
    }
    .expect("the judgments can be written");
    assert_eq!(triples(&Qrels::read(path).expect("readable")), triples(qrels), "{format:?}");
}

proptest! {
    #[test]
    fn written_judgments_read_back(
        judgments in prop::collection::btree_map(("[a-c]{1,2}", "[a-c\"]{1,2}"), -127..=127, 1..12),
    ) {
        let folder = folder(&[]);
        let judgments = judgments.into_iter().map(|((query, document), grade)| (query, document, grade));
        let qrels = Qrels::from_judgments(judgments).expect("no conflicts");
        for format in [QrelsFormat::Beir, QrelsFormat::Trec] {
            check_round_trip(&qrels, &folder.path().join("qrels"), format);
        }
    }
}
