//! The checker and the readers on whole published collections.

use std::collections::BTreeMap;

use sbmoe_ir::{Collection, Split, collection::check};

use super::shared;

/// Documents, queries, and judged queries by split.
struct Expected {
    documents: u64,
    queries: u64,
    judged: &'static [(Split, u64)],
    /// Kinds of findings and their numbers, by place.
    findings: &'static [(&'static str, &'static str, u64)],
}

fn check_collection(name: &str, expected: &Expected) {
    let Some(folder) = shared(&format!("data/{name}")) else { return };
    let report = check(&folder).expect("a collection");
    assert_eq!(
        report.documents.as_ref().map(|report| report.count),
        Some(expected.documents),
        "documents of {name}"
    );
    assert_eq!(
        report.queries.as_ref().map(|report| report.count),
        Some(expected.queries),
        "queries of {name}"
    );
    let judged: Vec<_> = report.splits.iter().map(|report| (report.split, report.queries)).collect();
    assert_eq!(judged, expected.judged, "judged queries of {name}");
    let findings: Vec<_> = report
        .findings()
        .filter(|(_, _, _, findings)| findings.count > 0)
        .map(|(place, what, _, findings)| (place, what, findings.count))
        .collect();
    assert_eq!(findings, expected.findings, "findings in {name}");

    let collection = Collection::open(&folder).expect("a collection");
    for split in report.splits {
        let qrels = collection.qrels(split.split).expect("well-formed judgments");
        let mut grades = BTreeMap::new();
        for judgment in qrels.iter().flat_map(|judged| &judged.judgments) {
            *grades.entry(judgment.grade).or_insert(0) += 1;
        }
        assert_eq!(grades, split.grades, "grades of {name}, {}", split.split);
        let queries = collection.judged_queries(&qrels).expect("all judged queries exist");
        assert_eq!(queries.len() as u64, split.queries, "judged queries of {name}, {}", split.split);
    }
}

#[test]
fn scifact_is_read_whole() {
    check_collection(
        "scifact",
        &Expected {
            documents: 5183,
            queries: 1109,
            judged: &[(Split::Train, 809), (Split::Test, 300)],
            findings: &[("queries", "identical texts", 4)],
        },
    );
}

#[test]
fn medquad_is_read_whole() {
    check_collection(
        "medquad",
        &Expected {
            documents: 16407,
            queries: 16407,
            judged: &[(Split::Train, 14882), (Split::Dev, 739), (Split::Test, 786)],
            findings: &[("corpus", "identical texts", 57), ("queries", "identical texts", 1428)],
        },
    );
}

#[test]
fn scitldr_is_read_whole() {
    check_collection(
        "scitldr",
        &Expected {
            documents: 3229,
            queries: 5412,
            judged: &[(Split::Train, 1992), (Split::Dev, 1453), (Split::Test, 1967)],
            findings: &[("corpus", "identical texts", 4), ("queries", "identical texts", 12)],
        },
    );
}

#[test]
fn cranfield_is_read_whole() {
    check_collection(
        "cranfield",
        &Expected {
            documents: 1400,
            queries: 225,
            judged: &[(Split::Test, 225)],
            findings: &[("corpus", "empty texts", 2)],
        },
    );
}

#[test]
fn cisi_is_read_whole() {
    check_collection(
        "cisi",
        &Expected {
            documents: 1460,
            queries: 112,
            judged: &[(Split::Test, 76)],
            findings: &[("corpus", "identical texts", 2)],
        },
    );
}

#[test]
fn medline_is_read_whole() {
    check_collection(
        "medline",
        &Expected { documents: 1033, queries: 30, judged: &[(Split::Test, 30)], findings: &[] },
    );
}

#[test]
fn pubmedqa_is_read_whole() {
    check_collection(
        "pubmedqa",
        &Expected {
            documents: 1000,
            queries: 1000,
            judged: &[(Split::Train, 500), (Split::Test, 500)],
            findings: &[],
        },
    );
}
