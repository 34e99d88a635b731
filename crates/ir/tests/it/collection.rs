//! Collections: plain and gzipped, what may be missing, and lines that are refused.

use sbmoe_ir::{
    Collection, Document, Error, Split,
    collection::{documents_of, queries_of},
};
use serde_json::{Value, json};

use super::{folder, message};

const CORPUS: &str = concat!(
    "{\"_id\": \"d1\", \"title\": \"Tides\", \"text\": \"The moon pulls.\", \"metadata\": {\"area\": \"sea\"}}\n",
    "\n",
    "{\"_id\": 2, \"title\": null, \"text\": \"\", \"url\": \"ignored\"}\r\n",
    "{\"_id\": \"d3\", \"text\": \"Ebb and flow.\"}",
);
const QUERIES: &str = "{\"_id\": \"q1\", \"text\": \"what pulls?\"}\n{\"_id\": \"q2\", \"text\": \"ebb?\"}\n";
const HEADER: &str = "query-id\tcorpus-id\tscore\n";

#[test]
fn plain_and_gzipped_folders_read_alike() {
    let test = format!("{HEADER}q2\td3\t1\n");
    let plain = folder(&[("corpus.jsonl", CORPUS), ("queries.jsonl", QUERIES), ("qrels/test.tsv", &test)]);
    let zipped =
        folder(&[("corpus.jsonl.gz", CORPUS), ("queries.jsonl.gz", QUERIES), ("qrels/test.tsv.gz", &test)]);
    let document = |id: &str, title: &str, text: &str, metadata: Value| Document {
        id: id.to_owned(),
        title: title.to_owned(),
        text: text.to_owned(),
        metadata,
    };
    let expected = [
        document("d1", "Tides", "The moon pulls.", json!({"area": "sea"})),
        document("2", "", "", Value::Null),
        document("d3", "", "Ebb and flow.", Value::Null),
    ];
    for folder in [plain, zipped] {
        let collection = Collection::open(folder.path()).expect("a collection");
        let documents: Vec<_> =
            collection.documents().expect("a corpus").collect::<Result<_, _>>().expect("well-formed");
        assert_eq!(documents, expected);
        assert_eq!(collection.splits(), [Split::Test]);
        let qrels = collection.qrels(Split::Test).expect("judgments");
        let judged = collection.judged_queries(&qrels).expect("the judged query exists");
        assert_eq!(judged.iter().map(|query| query.id.as_str()).collect::<Vec<_>>(), ["q2"]);
        assert_eq!(collection.queries().expect("queries").count(), 2);
        assert!(collection.negatives().expect("no negatives").is_none());
    }
}

#[test]
fn titles_are_joined_to_texts() {
    let folder = folder(&[("corpus.jsonl", CORPUS)]);
    let documents = documents_of(&folder.path().join("corpus.jsonl")).expect("a corpus");
    let joined: Vec<_> =
        documents.map(|document| document.expect("well-formed").joined().into_owned()).collect();
    assert_eq!(joined, ["Tides The moon pulls.", "", "Ebb and flow."]);
}

#[test]
fn gzip_is_told_by_content_and_members_are_joined() {
    let mut bytes = super::bytes_of("a.gz", QUERIES);
    bytes.extend(super::bytes_of("b.gz", "{\"_id\": \"q3\", \"text\": \"more\"}\n"));
    let folder = folder(&[]);
    let path = folder.path().join("queries.jsonl");
    fs_err::write(&path, bytes).expect("a file can be written");
    assert_eq!(queries_of(&path).expect("readable").count(), 3);
}

#[test]
fn a_byte_order_mark_is_passed_over() {
    let folder = folder(&[("queries.jsonl", &format!("\u{feff}{QUERIES}"))]);
    let queries = queries_of(&folder.path().join("queries.jsonl")).expect("readable");
    assert_eq!(queries.collect::<Result<Vec<_>, _>>().expect("well-formed").len(), 2);
}

fn check_refused(line: &str, expected: &str) {
    let folder = folder(&[("corpus.jsonl", &format!("{{\"_id\": \"d1\", \"text\": \"a\"}}\n{line}\n"))]);
    let mut documents = documents_of(&folder.path().join("corpus.jsonl")).expect("readable");
    documents.next().expect("a first line").expect("a well-formed line");
    let second = documents.next().expect("a second line");
    assert_eq!(
        message(second, folder.path()),
        format!("corpus.jsonl:2: expected {expected}"),
        "for {line:?}"
    );
    assert_eq!(documents.line(), 2);
}

#[test]
fn bad_records_are_refused_with_file_and_line() {
    check_refused("d2 Tides", "a JSON object on one line, found a line that begins with `d2 Tides`");
    check_refused(
        "[\"d2\", \"t\", \"x\", {}]",
        "a JSON object on one line, found a line that begins with `[\"d2\", \"t\", \"x\", {}]`",
    );
    check_refused(
        "{\"_id\": \"d2\", \"text\": \"a\"",
        "a JSON object on one line, found an error at column 25 (EOF while parsing an object)",
    );
    check_refused("{\"text\": \"a\"}", "an id under `_id`, a string that is not empty, found none");
    check_refused(
        "{\"_id\": \"\", \"text\": \"a\"}",
        "an id under `_id`, a string that is not empty, found an empty string",
    );
    check_refused(
        "{\"_id\": 1.5, \"text\": \"a\"}",
        "an id under `_id`, a string that is not empty, found the number `1.5`",
    );
    check_refused("{\"_id\": \"d2\"}", "a string under `text`, found none");
    check_refused("{\"_id\": \"d2\", \"text\": [\"a\"]}", "a string under `text`, found an array");
    check_refused(
        "{\"_id\": \"d2\", \"title\": 7, \"text\": \"a\"}",
        "a string under `title`, found the number `7`",
    );
}

#[test]
fn a_line_that_is_not_utf8_is_refused_and_the_next_is_read() {
    let folder = folder(&[]);
    let path = folder.path().join("queries.jsonl");
    fs_err::write(&path, b"{\"_id\": \"q\xff\", \"text\": \"a\"}\n{\"_id\": \"q2\", \"text\": \"b\"}\n")
        .expect("written");
    let mut queries = queries_of(&path).expect("readable");
    let first = queries.next().expect("a first line");
    assert_eq!(
        message(first, folder.path()),
        "queries.jsonl:1: expected UTF-8 text, found an invalid byte at column 11"
    );
    assert_eq!(queries.next().expect("a second line").expect("well-formed").id, "q2");
}

#[test]
fn a_truncated_gzip_file_is_an_error_and_then_the_end() {
    let content = QUERIES.repeat(1000);
    let bytes = super::bytes_of("queries.jsonl.gz", &content);
    let folder = folder(&[]);
    let path = folder.path().join("queries.jsonl.gz");
    fs_err::write(&path, &bytes[..bytes.len() - 12]).expect("written");
    let records: Vec<_> = queries_of(&path).expect("readable").collect();
    let failures: Vec<_> = records.iter().filter_map(|record| record.as_ref().err()).collect();
    assert!(matches!(failures[..], [Error::Read { .. }]), "{failures:?}");
    assert!(records.last().expect("records").is_err());
}

#[test]
fn what_is_missing_is_named() {
    let nothing = folder(&[]);
    assert!(matches!(Collection::open(&nothing.path().join("no")), Err(Error::NotAFolder { .. })));
    assert!(
        matches!(Collection::open(nothing.path()), Err(Error::MissingFile { name, .. }) if name == "corpus.jsonl")
    );
    let corpus = folder(&[("corpus.jsonl", CORPUS)]);
    let collection = Collection::open(corpus.path()).expect("a corpus alone is enough");
    assert!(matches!(collection.queries(), Err(Error::MissingFile { name, .. }) if name == "queries.jsonl"));
    let missing = collection.qrels(Split::Dev).expect_err("no judgments");
    assert!(
        missing.to_string().ends_with("holds neither `qrels/dev.tsv` nor `qrels/dev.tsv.gz`"),
        "{missing}"
    );
}

#[test]
fn a_judgment_of_an_unknown_query_is_refused() {
    let test = format!("{HEADER}q1\td1\t1\nq7\td1\t1\n");
    let folder = folder(&[("queries.jsonl", QUERIES), ("qrels/test.tsv", &test)]);
    let collection = Collection::open(folder.path()).expect("a collection");
    let qrels = collection.qrels(Split::Test).expect("well-formed");
    assert_eq!(
        message(collection.judged_queries(&qrels), folder.path()),
        "qrels/test.tsv:3: query `q7` is not in `queries.jsonl`"
    );
}

#[test]
fn explicit_negatives_add_up_by_query() {
    let lines = "{\"query-id\": \"q1\", \"corpus-ids\": [\"d3\", 2]}\n\
                 {\"query-id\": \"q2\", \"corpus-ids\": []}\n\
                 {\"query-id\": \"q1\", \"corpus-ids\": [\"d1\"]}\n";
    let whole = folder(&[("queries.jsonl", QUERIES), ("negatives.jsonl", lines)]);
    let collection = Collection::open(whole.path()).expect("a collection");
    let negatives = collection.negatives().expect("well-formed").expect("there are some");
    assert_eq!(negatives.of("q1"), ["d3", "2", "d1"]);
    assert!(negatives.of("q9").is_empty());
    assert_eq!(negatives.iter().map(|(query, _)| query).collect::<Vec<_>>(), ["q1", "q2"]);

    let broken = folder(&[
        ("queries.jsonl", QUERIES),
        ("negatives.jsonl", "{\"query-id\": \"q1\", \"corpus-ids\": \"d1\"}"),
    ]);
    let collection = Collection::open(broken.path()).expect("a collection");
    assert_eq!(
        message(collection.negatives(), broken.path()),
        "negatives.jsonl:1: expected an array of ids under `corpus-ids`, found a string"
    );
}

#[test]
fn splits_are_read_and_written_by_name() {
    for split in Split::ALL {
        assert_eq!(split.to_string().parse::<Split>().expect("its own name"), split);
    }
    let error = "validation".parse::<Split>().expect_err("no split");
    assert_eq!(error.to_string(), "there is no split `validation`: the splits are `train`, `dev` and `test`");
}
