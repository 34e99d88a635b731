//! `sbmoe data`, by what it prints and its exit code.

use crate::folder::{Folder, Ran, gzipped};

const CORPUS: &str = r#"{"_id": "d1", "title": "Tides", "text": "The moon pulls at the sea."}
{"_id": "d2", "title": null, "text": "Harbours silt up."}
{"_id": 3, "text": ""}
"#;
const QUERIES: &str =
    "{\"_id\": \"q1\", \"text\": \"why tides\"}\n{\"_id\": \"q2\", \"text\": \"harbour mud\"}\n";
const TEST: &str = "query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td2\t0\nq2\td2\t1\n";
const TRAIN: &str = "query-id\tcorpus-id\tscore\nq2\td1\t1\n";

const SOUND: &str = "\
texts    records  min words  median  mean  max  file
corpus         3          0       3   3.3    7  beir/corpus.jsonl
queries        2          2       2   2.0    2  beir/queries.jsonl

split  queries  judgments  grades            file
train        1          1  1: 1              beir/qrels/train.tsv
test         2          3  0: 1, 1: 1, 2: 1  beir/qrels/test.tsv

remark: corpus: empty texts: 1
  beir/corpus.jsonl:3: `3` has no text

sound: errors 0, remarks 1
";

/// A collection in the folder `beir`, sound but for what the files in `instead` change.
fn check<C: AsRef<[u8]>>(instead: &[(&str, C)], arguments: &str) -> Ran {
    let sound = [("corpus.jsonl", CORPUS), ("queries.jsonl", QUERIES), ("qrels/test.tsv", TEST)];
    let kept = sound
        .iter()
        .filter(|(name, _)| !instead.iter().any(|(other, _)| other.trim_end_matches(".gz") == *name));
    let files = kept.map(|(name, text)| (*name, text.as_bytes()));
    let files = files.chain(instead.iter().map(|(name, content)| (*name, content.as_ref())));
    let files: Vec<(String, &[u8])> =
        files.map(|(name, content)| (format!("beir/{name}"), content)).collect();
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, content)| (name.as_str(), *content)).collect();
    Folder::with(&files).run(&format!("data check {arguments}"))
}

/// The lines of the report after the tables.
fn findings(ran: &Ran) -> &str {
    ran.out.rsplit_once("tsv\n\n").map_or(ran.out.as_str(), |(_, findings)| findings)
}

#[test]
fn a_sound_collection_is_counted_and_ends_with_exit_code_0() {
    check(&[("qrels/train.tsv", TRAIN)], "beir").check(0, SOUND, "");
}

#[test]
fn gzipped_files_are_read_as_they_are() {
    let gz = [
        ("corpus.jsonl.gz", gzipped(CORPUS)),
        ("queries.jsonl.gz", gzipped(QUERIES)),
        ("qrels/train.tsv.gz", gzipped(TRAIN)),
        ("qrels/test.tsv.gz", gzipped(TEST)),
    ];
    let report = SOUND.replace(".jsonl\n", ".jsonl.gz\n").replace(".tsv\n", ".tsv.gz\n");
    check(&gz, "beir").check(0, &report.replace(".jsonl:3", ".jsonl.gz:3"), "");
}

#[test]
fn a_judgment_of_an_unknown_document_is_an_error_with_its_line() {
    let ran = check(&[("qrels/test.tsv", format!("{TEST}q2\td7\t1\nq5\td1\t1\n"))], "beir");
    let expected = "\
remark: corpus: empty texts: 1
  beir/corpus.jsonl:3: `3` has no text
error: test: judgments of unknown queries: 1
  beir/qrels/test.tsv:6: there is no query `q5`
error: test: judgments of unknown documents: 1
  beir/qrels/test.tsv:5: there is no document `d7`

not sound: errors 2, remarks 1
";
    assert_eq!((findings(&ran), ran.code), (expected, Some(1)));
}

#[test]
fn a_corpus_line_that_is_not_json_is_an_error_and_the_lines_after_it_are_read() {
    let corpus =
        "d1\tThe moon\n{\"_id\": \"d1\", \"text\": \"pulls\"\n{\"_id\": \"d2\", \"text\": \"silt\"}\n";
    let ran = check(&[("corpus.jsonl", corpus)], "beir");
    let expected = "\
error: corpus: malformed lines: 2
  beir/corpus.jsonl:1: expected a JSON object on one line, found a line that begins with `d1\tThe moon`
  beir/corpus.jsonl:2: expected a JSON object on one line, found an error at column 29 (EOF while parsing an object)
error: test: judgments of unknown documents: 1
  beir/qrels/test.tsv:2: there is no document `d1`

not sound: errors 3, remarks 0
";
    assert_eq!((findings(&ran), ran.code), (expected, Some(1)));
}

#[test]
fn an_empty_query_file_leaves_every_judgment_pointing_nowhere() {
    let ran = check(&[("queries.jsonl", "")], "beir");
    let (table, _) = ran.out.split_once("\n\n").expect("a table of the texts comes first");
    assert_eq!(
        table.lines().last(),
        Some("queries        0                                beir/queries.jsonl")
    );
    assert!(findings(&ran).contains("error: test: judgments of unknown queries: 3\n"), "{}", ran.out);
    assert_eq!(ran.code, Some(1));
}

#[test]
fn many_findings_of_a_kind_are_cut_short_but_counted() {
    let corpus = format!("{CORPUS}{}", "{\"_id\": \"d1\", \"text\": \"\"}\n".repeat(30));
    let ran = check(&[("corpus.jsonl", corpus)], "beir");
    let start = "\
error: corpus: duplicate ids: 30
  beir/corpus.jsonl:4: id `d1` stands on line 1 too
  beir/corpus.jsonl:5: id `d1` stands on line 1 too
  beir/corpus.jsonl:6: id `d1` stands on line 1 too
  beir/corpus.jsonl:7: id `d1` stands on line 1 too
  beir/corpus.jsonl:8: id `d1` stands on line 1 too
  and 25 more
remark: corpus: empty texts: 31
";
    assert!(findings(&ran).starts_with(start), "{}", ran.out);
    assert_eq!(ran.code, Some(1));
}

#[test]
fn negatives_are_counted_and_held_against_the_corpus() {
    let negatives = "{\"query-id\": \"q1\", \"corpus-ids\": [\"d2\", \"d8\"]}\n";
    let ran = check(&[("negatives.jsonl", negatives)], "beir");
    assert!(ran.out.contains("\nnegatives: 2 on 1 lines of beir/negatives.jsonl\n"), "{}", ran.out);
    let error = "error: negatives: unknown documents among the negatives: 1\n  \
        beir/negatives.jsonl:1: there is no document `d8`\n";
    assert!(ran.out.contains(error), "{}", ran.out);
    assert_eq!(ran.code, Some(1));
}

#[test]
fn files_that_a_whole_collection_has_are_missed_in_a_remark() {
    let ran = Folder::with(&[("beir/queries.jsonl", QUERIES)]).run("data check beir");
    let report = "\
texts    records  min words  median  mean  max  file
queries        2          2       2   2.0    2  beir/queries.jsonl

remark: there is no corpus.jsonl
remark: there is no qrels/test.tsv

sound: errors 0, remarks 2
";
    ran.check(0, report, "");
}

#[test]
fn json_holds_the_whole_report_and_the_verdict() {
    let ran = check(&[("qrels/test.tsv", format!("{TEST}q2\td7\t1\n"))], "beir --json");
    let report: serde_json::Value = serde_json::from_str(&ran.out).expect("standard output is JSON alone");
    assert_eq!(report["sound"], false);
    assert_eq!(report["documents"]["count"], 3);
    assert_eq!(report["queries"]["words"]["max"], 2);
    let split = &report["splits"][0];
    assert_eq!((&split["split"], &split["judgments"]), (&"test".into(), &4.into()));
    assert_eq!(split["grades"], serde_json::json!({"0": 1, "1": 2, "2": 1}));
    assert_eq!(split["unknown_documents"]["examples"][0]["line"], 5);
    assert_eq!((ran.err.as_str(), ran.code), ("", Some(1)));
}

#[test]
fn what_is_no_collection_is_an_error() {
    let folder = Folder::with(&[("beir/readme.txt", "")]);
    folder.run("data check beir").check_error("`beir` holds neither `corpus.jsonl` nor `corpus.jsonl.gz`");
    folder.run("data check absent").check_error(
        "`absent` is not a folder: a collection is a folder with `corpus.jsonl`, `queries.jsonl` and `qrels/`",
    );
}

#[test]
fn an_empty_collection_is_not_sound() {
    let no_judgments = "query-id\tcorpus-id\tscore\n";
    let ran = check(&[("corpus.jsonl", ""), ("queries.jsonl", ""), ("qrels/test.tsv", no_judgments)], "beir");
    assert_eq!(
        findings(&ran),
        "error: corpus: no records: 1\n  beir/corpus.jsonl:1: the file holds no records\n\
         error: queries: no records: 1\n  beir/queries.jsonl:1: the file holds no records\n\n\
         not sound: errors 2, remarks 0\n"
    );
    assert_eq!(ran.code, Some(1));
}

const TRIPLETS: &str =
    "anchor,positive,negative\nwhy tides,\"The moon,\npulling.\",Silt.\nwhy silt,Silt.,\n ,Lost.,\n";

#[test]
fn pairs_become_a_sound_collection() {
    let folder = Folder::with(&[("triplets.csv.gz", gzipped(TRIPLETS))]);
    let counts = "\
rows               3
rows without text  1
queries            2
documents          2
positives          2
negatives          1
";
    let note = "the collection is in `made`: `sbmoe train --data made` trains on it\n";
    folder.run("data pairs triplets.csv.gz made").check(0, counts, note);
    let checked = folder.run("data check made");
    assert!(checked.out.contains("negatives: 1 on 1 lines of made/negatives.jsonl\n"), "{}", checked.out);
    assert_eq!(checked.code, Some(0), "{}", checked.out);
    folder
        .run("data pairs triplets.csv.gz made")
        .check_error("`made` is not empty: name a folder that is not there yet");
    let ran = folder.run("data pairs triplets.csv.gz other --json");
    let counts: serde_json::Value = serde_json::from_str(&ran.out).expect("standard output is JSON alone");
    let expected = serde_json::json!({
        "rows": 3, "blank": 1, "queries": 2, "documents": 2, "positives": 2, "negatives": 1,
    });
    assert_eq!((counts, ran.code), (expected, Some(0)));
}

#[test]
fn pairs_with_a_column_too_many_are_refused() {
    let folder =
        Folder::with(&[("pairs.jsonl", "{\"sentence1\": \"a\", \"sentence2\": \"b\", \"score\": 0.1}\n")]);
    let ran = folder.run("data pairs pairs.jsonl made");
    assert!(ran.err.starts_with("error: pairs.jsonl:1: expected a column `anchor`"), "{}", ran.err);
    assert!(ran.err.ends_with(", found the column `score`\n"), "{}", ran.err);
    assert_eq!((ran.out.as_str(), ran.code), ("", Some(2)));
    assert!(!folder.path().join("made").exists());
}
