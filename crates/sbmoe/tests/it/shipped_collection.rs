//! The collection that the project ships (`collection/`): large enough, judged by the rules, and written, not generated.
//!
//! Every demand is a function from the collection to its faults, and is tested on a collection that breaks it.

mod originality;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use sbmoe_ir::{Collection, Document, Query, Split, collection::check};

use self::originality::{Text, equal_texts, excerpts, near_copies, repeated_openings};

/// What the grades say: 0 looks similar and does not answer, 1 helps, 2 answers.
const GRADES: [i32; 3] = [0, 1, 2];

const LEAST_PASSAGES: usize = 240;
const LEAST_AREAS: usize = 6;
const LEAST_QUERIES: usize = 360;

/// The collection in memory.
#[derive(Clone)]
struct Shipped {
    passages: Vec<Document>,
    queries: Vec<Query>,
    judgments: Vec<Judgment>,
}

#[derive(Clone)]
struct Judgment {
    split: Split,
    query: String,
    passage: String,
    grade: i32,
}

impl Shipped {
    fn read() -> Self {
        let collection = Collection::open(&folder()).expect("the collection opens");
        let mut judgments = Vec::new();
        for split in Split::ALL {
            for judged in collection.qrels(split).expect("the split has judgments").iter() {
                judgments.extend(judged.judgments.iter().map(|judgment| Judgment {
                    split,
                    query: judged.query.clone(),
                    passage: judgment.document.to_string(),
                    grade: judgment.grade,
                }));
            }
        }
        Self {
            passages: collection.documents().and_then(Iterator::collect).expect("passages are well-formed"),
            queries: collection.queries().and_then(Iterator::collect).expect("queries are well-formed"),
            judgments,
        }
    }

    fn passage_texts(&self) -> Vec<Text<'_>> {
        self.passages.iter().map(|passage| (passage.id.as_str(), passage.text.as_str())).collect()
    }

    fn query_texts(&self) -> Vec<Text<'_>> {
        self.queries.iter().map(|query| (query.id.as_str(), query.text.as_str())).collect()
    }
}

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../collection")
}

fn size_faults(shipped: &Shipped) -> Vec<String> {
    let areas: BTreeSet<&str> =
        shipped.passages.iter().filter_map(|passage| passage.metadata["area"].as_str()).collect();
    let judged: BTreeSet<&str> = shipped.judgments.iter().map(|judgment| judgment.query.as_str()).collect();
    let counts = [
        ("passages", shipped.passages.len(), LEAST_PASSAGES),
        ("areas", areas.len(), LEAST_AREAS),
        ("judged queries", judged.len(), LEAST_QUERIES),
    ];
    let small = counts.into_iter().filter(|(_, count, least)| count < least);
    let mut faults: Vec<String> =
        small.map(|(what, count, least)| format!("{count} {what}, {least} are asked for")).collect();
    let nameless =
        shipped.passages.iter().filter(|passage| passage.metadata["area"].as_str().is_none_or(str::is_empty));
    faults.extend(nameless.map(|passage| format!("{} has no area in its metadata", passage.id)));
    faults
}

fn judgment_faults(shipped: &Shipped) -> Vec<String> {
    let passages: BTreeSet<&str> = shipped.passages.iter().map(|passage| passage.id.as_str()).collect();
    let queries: BTreeSet<&str> = shipped.queries.iter().map(|query| query.id.as_str()).collect();
    let mut splits: BTreeMap<&str, BTreeSet<Split>> = BTreeMap::new();
    let mut faults = Vec::new();
    for Judgment { split, query, passage, grade } in &shipped.judgments {
        splits.entry(query).or_default().insert(*split);
        if !queries.contains(query.as_str()) || !passages.contains(passage.as_str()) {
            faults.push(format!("{split}: the judgment of {query} and {passage} points nowhere"));
        }
        if !GRADES.contains(grade) {
            faults.push(format!("{split}: {query} and {passage} are judged {grade}"));
        }
    }
    let answered: BTreeSet<&str> = shipped
        .judgments
        .iter()
        .filter(|judgment| judgment.grade == 2)
        .map(|judgment| judgment.query.as_str())
        .collect();
    for query in queries {
        match splits.get(query).map_or(0, BTreeSet::len) {
            0 => faults.push(format!("{query} is in no split")),
            1 if !answered.contains(query) => faults.push(format!("nothing answers {query}")),
            1 => {}
            _ => faults.push(format!("{query} is in several splits")),
        }
    }
    for split in Split::ALL {
        let own = || shipped.judgments.iter().filter(|judgment| judgment.split == split);
        let unused = GRADES.into_iter().filter(|grade| own().all(|judgment| judgment.grade != *grade));
        faults.extend(unused.map(|grade| format!("{split}: no judgment has grade {grade}")));
    }
    faults
}

fn passage_faults(shipped: &Shipped) -> Vec<String> {
    let texts = shipped.passage_texts();
    let titles: Vec<Text<'_>> =
        shipped.passages.iter().map(|passage| (passage.id.as_str(), passage.title.as_str())).collect();
    [repeated_openings(&texts, 4, 1), near_copies(&texts, 0.2), equal_texts(&titles)].concat()
}

fn query_faults(shipped: &Shipped) -> Vec<String> {
    let texts = shipped.query_texts();
    [
        equal_texts(&texts),
        near_copies(&texts, 0.5),
        repeated_openings(&texts, 3, texts.len() * 4 / 100),
        excerpts(&texts, &shipped.passage_texts(), 0.5),
    ]
    .concat()
}

#[track_caller]
fn assert_no_faults(faults: &[String]) {
    assert!(faults.is_empty(), "{} fault(s):\n{}\n", faults.len(), faults.join("\n"));
}

#[test]
fn the_collection_is_large_and_varied_enough() {
    assert_no_faults(&size_faults(&Shipped::read()));
}

#[test]
fn every_query_is_judged_by_the_rules() {
    assert_no_faults(&judgment_faults(&Shipped::read()));
}

#[test]
fn passages_share_neither_openings_nor_phrases() {
    assert_no_faults(&passage_faults(&Shipped::read()));
}

#[test]
fn queries_are_natural_and_their_own() {
    assert_no_faults(&query_faults(&Shipped::read()));
}

#[test]
fn data_check_finds_nothing_to_remark() {
    let report = check(&folder()).expect("the collection opens");
    let found = report.findings().filter(|(_, _, _, findings)| findings.count > 0);
    let mut faults: Vec<String> =
        found.map(|(place, what, _, findings)| format!("{place}: {what}: {:?}", findings.examples)).collect();
    faults.extend(report.missing_files.iter().map(|name| format!("{name} is missing")));
    assert_no_faults(&faults);
    assert!(report.is_sound());
}

#[test]
fn the_readme_counts_what_is_there() {
    let shipped = Shipped::read();
    let readme = fs_err::read_to_string(folder().join("README.md")).expect("the collection has a README.md");
    let mut areas: BTreeMap<&str, usize> = BTreeMap::new();
    for passage in &shipped.passages {
        *areas.entry(passage.metadata["area"].as_str().unwrap_or_default()).or_default() += 1;
    }
    let mut rows: Vec<String> = areas
        .into_iter()
        .map(|(area, passages)| {
            let queries = shipped.queries.iter().filter(|query| query.metadata["area"] == area).count();
            format!("| {area} | {passages} | {queries} |")
        })
        .collect();
    for split in Split::ALL {
        let own = || shipped.judgments.iter().filter(move |judgment| judgment.split == split);
        let queries = own().map(|judgment| judgment.query.as_str()).collect::<BTreeSet<_>>().len();
        let [zero, one, two] = GRADES.map(|grade| own().filter(|judgment| judgment.grade == grade).count());
        rows.push(format!("| {split} | {queries} | {two} | {one} | {zero} |"));
    }
    let missing: Vec<String> =
        rows.into_iter().filter(|row| !readme.lines().any(|line| line == row)).collect();
    assert_no_faults(&missing);
}

/// The real collection with one thing spoiled must have exactly the faults that name it.
#[track_caller]
fn check_spoiled(spoil: impl FnOnce(&mut Shipped), faults: fn(&Shipped) -> Vec<String>, expected: &str) {
    let mut shipped = Shipped::read();
    spoil(&mut shipped);
    let found = faults(&shipped);
    assert!(!found.is_empty() && found.iter().all(|fault| fault.contains(expected)), "{found:?}");
}

#[test]
fn too_small_a_collection_is_refused() {
    check_spoiled(|shipped| shipped.passages.truncate(239), size_faults, "239 passages");
    check_spoiled(|shipped| shipped.judgments.truncate(300), size_faults, "judged queries");
    let one_area = |shipped: &mut Shipped| {
        shipped
            .passages
            .iter_mut()
            .for_each(|passage| passage.metadata = serde_json::json!({ "area": "Tides" }));
    };
    check_spoiled(one_area, size_faults, "1 areas");
    check_spoiled(
        |shipped| shipped.passages[7].metadata = serde_json::Value::Null,
        size_faults,
        "has no area",
    );
}

#[test]
fn bad_judgments_are_refused() {
    check_spoiled(
        |shipped| shipped.judgments[0].grade = 3,
        |shipped| judgment_faults(shipped)[..1].to_vec(),
        "judged 3",
    );
    let lost =
        |shipped: &mut Shipped| shipped.judgments.retain(|judgment| judgment.query != shipped.queries[5].id);
    check_spoiled(lost, judgment_faults, "is in no split");
    let lowered = |shipped: &mut Shipped| {
        let query = shipped.judgments[0].query.clone();
        let own = shipped.judgments.iter_mut().filter(|judgment| judgment.query == query);
        own.for_each(|judgment| judgment.grade = 1);
    };
    check_spoiled(lowered, judgment_faults, "nothing answers");
    let twice = |shipped: &mut Shipped| {
        let again = Judgment { split: Split::Test, ..shipped.judgments[0].clone() };
        shipped.judgments.push(again);
    };
    check_spoiled(twice, judgment_faults, "is in several splits");
    let nowhere = |shipped: &mut Shipped| {
        let again = Judgment { passage: "nowhere".to_owned(), ..shipped.judgments[0].clone() };
        shipped.judgments.push(again);
    };
    check_spoiled(nowhere, judgment_faults, "points nowhere");
    let flat = |shipped: &mut Shipped| {
        shipped.judgments.retain(|judgment| judgment.split != Split::Dev || judgment.grade != 1);
    };
    check_spoiled(flat, judgment_faults, "no judgment has grade 1");
}

#[test]
fn copied_passages_are_refused() {
    let copied = |shipped: &mut Shipped| {
        let text = shipped.passages[0].text.clone();
        shipped.passages[100].text = format!("As has been said before, {text}");
    };
    check_spoiled(copied, passage_faults, "sequences of three words");
    let opened = |shipped: &mut Shipped| {
        let opening = originality::words(&shipped.passages[0].text)[..4].join(" ");
        shipped.passages[100].text.insert_str(0, &format!("{opening}. "));
    };
    check_spoiled(opened, passage_faults, "opens");
    check_spoiled(
        |shipped| shipped.passages[1].title = shipped.passages[0].title.to_uppercase(),
        passage_faults,
        "has the words of",
    );
}

#[test]
fn copied_and_templated_queries_are_refused() {
    let copied = |shipped: &mut Shipped| shipped.queries[1].text = format!("{}?", shipped.queries[0].text);
    check_spoiled(copied, |shipped| query_faults(shipped)[..1].to_vec(), "has the words of");
    let templated = |shipped: &mut Shipped| {
        for query in shipped.queries.iter_mut().take(20) {
            query.text = format!("tell me about {}", query.id.replace('-', " "));
        }
    };
    check_spoiled(templated, query_faults, "`tell me about` opens");
    let excerpt = |shipped: &mut Shipped| {
        let text = originality::words(&shipped.passages[0].text);
        shipped.queries[0].text = text[..10].join(" ");
    };
    check_spoiled(excerpt, query_faults, "repeats");
}
