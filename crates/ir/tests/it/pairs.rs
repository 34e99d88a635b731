//! Files of pairs: what their columns may be, what is refused, and the collection that is made of them.

use std::path::Path;

use proptest::prelude::*;
use sbmoe_ir::{
    Collection, Error, Split,
    collection::check,
    pairs::{Pair, Pairs, PairsReport, to_beir},
};

use super::{folder, message};

fn pair(anchor: &str, positives: &[&str], negatives: &[&str]) -> Pair {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    Pair { anchor: anchor.to_owned(), positives: owned(positives), negatives: owned(negatives) }
}

fn rows(name: &str, content: &str) -> Vec<Pair> {
    let folder = folder(&[(name, content)]);
    let rows = Pairs::open(&folder.path().join(name)).expect("pairs");
    rows.collect::<Result<_, _>>().expect("well-formed rows")
}

fn refused(name: &str, content: &str) -> String {
    let folder = folder(&[(name, content)]);
    let read = |path: &Path| Pairs::open(path)?.collect::<Result<Vec<_>, Error>>();
    message(read(&folder.path().join(name)), folder.path())
}

fn text(path: &Path) -> String {
    fs_err::read_to_string(path).expect("the file is there")
}

#[test]
fn objects_arrays_and_tables_say_the_same() {
    let expected = [
        pair("why tides?", &["The moon."], &["Silt.", "Wind."]),
        pair("silt?", &["Silt, \"mud\".\nOr sand."], &[]),
    ];
    for (name, content) in [
        (
            "a.jsonl",
            "{\"anchor\": \"why tides?\", \"positive\": \"The moon.\", \"negative\": [\"Silt.\", \"Wind.\"]}\n\n\
             {\"anchor\": \"silt?\", \"positive\": \"Silt, \\\"mud\\\".\\nOr sand.\", \"negative\": null}\n",
        ),
        (
            "a.json.gz",
            "{\"query\": \"why tides?\", \"pos\": [\"The moon.\"], \"neg\": [\"Silt.\", \"Wind.\"]}\n\
             {\"question\": \"silt?\", \"answer\": \"Silt, \\\"mud\\\".\\nOr sand.\"}",
        ),
        (
            "a.ndjson",
            "[\"why tides?\", \"The moon.\", \"Silt.\", \"Wind.\"]\r\n[\"silt?\", \"Silt, \\\"mud\\\".\\nOr sand.\"]\r\n",
        ),
        (
            "a.csv.gz",
            "\u{feff}Sentence1,sentence2,negative_1,negative_2\r\nwhy tides?,The moon.,Silt.,\"Wind.\"\r\n\r\n\
             \"silt?\",\"Silt, \"\"mud\"\".\r\nOr sand.\",,\r\n",
        ),
        (
            "A.CSV",
            "negative_2,positive,anchor,negative\n\"Silt.\",The moon.,why tides?,Wind.\n\"\",\"Silt, \"\"mud\"\".\nOr sand.\",silt?,",
        ),
    ] {
        assert_eq!(rows(name, content), expected, "{name}");
    }
}

#[test]
fn columns_that_are_unknown_missing_or_twice_are_refused_by_name_and_line() {
    let known = "expected a column `anchor` (`query`, `question`, `sentence1`), `positive` (`pos`, `answer`, `document`, \
        `passage`, `sentence2`) or `negative` (`neg`, `negatives`, `negative_1`)";
    let good = "{\"anchor\": \"a\", \"positive\": \"p\"}\n";
    for (name, content, expected) in [
        (
            "a.jsonl",
            format!("{good}{{\"sentence1\": \"a\", \"sentence2\": \"p\", \"label\": 0}}"),
            format!("a.jsonl:2: {known}, found the column `label`"),
        ),
        (
            "a.csv",
            "anchor,positive,score\n".to_owned(),
            format!("a.csv:1: {known}, found the column `score`"),
        ),
        (
            "a.jsonl",
            "{\"anchor\": \"a\"}".to_owned(),
            "a.jsonl:1: expected a column `positive`, found none by that name or its synonyms".to_owned(),
        ),
        (
            "a.csv",
            "\npositive,negative\n".to_owned(),
            "a.csv:2: expected a column `anchor`, found none by that name or its synonyms".to_owned(),
        ),
        (
            "a.csv",
            "query,answer,passage\n".to_owned(),
            "a.csv:1: expected one column of the positive, found both `answer` and `passage`".to_owned(),
        ),
    ] {
        assert_eq!(refused(name, &content), expected);
    }
    let long = refused("a.csv", &format!("{},b\n", "word ".repeat(30)));
    assert!(long.contains("found the column `word word word word word word word word …`"), "{long}");
}

#[test]
fn rows_that_are_no_pairs_are_refused_with_their_line() {
    let header = "anchor,positive\n";
    for (name, content, expected) in [
        (
            "a.jsonl",
            "{\"anchor\": 3, \"positive\": \"p\"}",
            "a.jsonl:1: expected a text under `anchor`, found the number `3`",
        ),
        (
            "a.jsonl",
            "\n{\"anchor\": \"a\", \"positive\": null}",
            "a.jsonl:2: expected a text under `positive`, found none",
        ),
        (
            "a.jsonl",
            "{\"anchor\": \"a\", \"pos\": []}",
            "a.jsonl:1: expected a positive at least, found an empty list",
        ),
        (
            "a.jsonl",
            "{\"anchor\": \"a\", \"pos\": \"p\", \"neg\": [\"n\", {}]}",
            "a.jsonl:1: expected a text under `neg`, found an object",
        ),
        (
            "a.jsonl",
            "[\"a\"]",
            "a.jsonl:1: expected an array of an anchor, a positive, and negatives if there are any, found 1 elements",
        ),
        (
            "a.jsonl",
            "[\"a\", \"p\", 3]",
            "a.jsonl:1: expected a text under `element 3`, found the number `3`",
        ),
        (
            "a.jsonl",
            "\"a\"",
            "a.jsonl:1: expected a JSON object, or an array of texts, on one line, found a string",
        ),
        (
            "a.jsonl",
            "[\n",
            "a.jsonl:1: expected a JSON object, or an array of texts, on one line, found an error at column 1",
        ),
        (
            "a.csv",
            &format!("{header}\"a\nb\",p\na,p,n\n"),
            "a.csv:4: expected 2 fields, as the header has, found 3 in the row that begins here",
        ),
        (
            "a.csv",
            &format!("{header}a,\"p\n\nmore\n"),
            "a.csv:2: expected a closing `\"`, found none up to the end of the file",
        ),
        (
            "a.csv",
            &format!("{header}\"a\" b,p\n"),
            "a.csv:2: expected a comma or the end of the line after a closing `\"`, found ` b,p`",
        ),
        ("a.csv", "", "`a.csv` is empty: expected a header that names the columns"),
        (
            "a.tsv",
            "",
            "`a.tsv` is no file of pairs: expected a name that ends in `.jsonl`, `.ndjson`, `.json` or `.csv`, perhaps with `.gz` behind it",
        ),
    ] {
        assert_eq!(refused(name, content), expected);
    }
}

#[test]
fn a_collection_holds_every_text_once_in_the_order_of_the_file() {
    let content = "\
[\"q a\", \"d one\", \"d two\", \"d two\"]
[\"q b\", \"d two\"]
[\"q a\", \"d three\", \"d two\", \"q a\"]
[\"q a\", \"d one\"]
[\" \", \"d lost\", \"d lost\"]
[\"q lost\", \"\"]
";
    let folder = folder(&[("pairs.jsonl", content)]);
    let out = folder.path().join("new/collection");
    let report = to_beir(&folder.path().join("pairs.jsonl"), &out).expect("pairs");
    let expected = PairsReport { rows: 6, blank: 2, queries: 2, documents: 4, positives: 3, negatives: 2 };
    assert_eq!(report, expected);
    let document =
        |id: &str, text: &str| format!("{{\"_id\":\"{id}\",\"title\":\"\",\"text\":\"{text}\"}}\n");
    let corpus =
        [document("p1", "d one"), document("p2", "d two"), document("p3", "d three"), document("p4", "q a")]
            .concat();
    assert_eq!(text(&out.join("corpus.jsonl")), corpus);
    let queries = "{\"_id\":\"q1\",\"text\":\"q a\"}\n{\"_id\":\"q2\",\"text\":\"q b\"}\n";
    assert_eq!(text(&out.join("queries.jsonl")), queries);
    let qrels = "query-id\tcorpus-id\tscore\nq1\tp1\t1\nq2\tp2\t1\nq1\tp3\t1\n";
    assert_eq!(text(&out.join("qrels/train.tsv")), qrels);
    let negatives =
        "{\"query-id\":\"q1\",\"corpus-ids\":[\"p2\"]}\n{\"query-id\":\"q1\",\"corpus-ids\":[\"p4\"]}\n";
    assert_eq!(text(&out.join("negatives.jsonl")), negatives);

    let collection = Collection::open(&out).expect("a collection");
    assert_eq!(collection.splits(), [Split::Train]);
    let negatives = collection.negatives().expect("well-formed").expect("negatives");
    assert_eq!(negatives.of("q1"), ["p2", "p4"]);
    assert!(check(&out).expect("a collection").is_sound());
    let beside: Vec<_> = fs_err::read_dir(folder.path().join("new")).expect("a folder").collect();
    assert_eq!(beside.len(), 1, "nothing partial is left");
}

#[test]
fn without_negatives_there_is_no_file_of_them() {
    let folder = folder(&[("pairs.csv", "question,answer\nq,d\n")]);
    let out = folder.path().join("out");
    fs_err::create_dir_all(&out).expect("a writable folder");
    to_beir(&folder.path().join("pairs.csv"), &out).expect("an empty folder is taken");
    assert!(Collection::open(&out).expect("a collection").negatives().expect("none").is_none());
}

#[test]
fn nothing_is_made_where_something_is_or_of_a_faulty_file() {
    let folder = folder(&[
        ("good.jsonl", "[\"q\", \"d\"]\n"),
        ("bad.jsonl", "[\"q\", \"d\"]\n[\"q\"]\n"),
        ("blank.jsonl", "[\"q\", \" \"]\n"),
        ("full/file", ""),
    ]);
    let make = |name: &str, out: &str| {
        message(to_beir(&folder.path().join(name), &folder.path().join(out)), folder.path())
    };
    let full = make("good.jsonl", "full");
    assert!(full.ends_with("full` is not empty: name a folder that is not there yet"), "{full}");
    assert!(make("bad.jsonl", "out").starts_with("bad.jsonl:2: expected an array of an anchor"));
    assert_eq!(
        make("blank.jsonl", "out"),
        "`blank.jsonl` is empty: expected rows of an anchor and a positive"
    );
    let mut left: Vec<String> = fs_err::read_dir(folder.path())
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    left.sort_unstable();
    assert_eq!(left, ["bad.jsonl", "blank.jsonl", "full", "good.jsonl"]);
}

proptest! {
    #[test]
    fn quoted_fields_read_back(
        texts in prop::collection::vec(("[ab,\"\n ]{0,8}", "[ab,\"\n ]{0,8}"), 1..8),
        breaks in prop::sample::select(vec!["\n", "\r\n"]),
    ) {
        let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\"").replace('\n', breaks));
        let mut content = format!("anchor,positive{breaks}");
        for (anchor, positive) in &texts {
            content.extend([quoted(anchor).as_str(), ",", &quoted(positive), breaks]);
        }
        let expected: Vec<Pair> =
            texts.iter().map(|(anchor, positive)| pair(anchor, &[positive.as_str()], &[])).collect();
        prop_assert_eq!(rows("a.csv", &content), expected);
    }
}
