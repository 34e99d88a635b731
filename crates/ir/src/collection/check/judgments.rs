//! Judgments and explicit negatives, held against the documents and queries that exist.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::{Findings, Severity, hash_of, texts::Ids};
use crate::{
    Error,
    collection::{Split, negatives::negatives_lines},
    qrels::{Grade, JudgmentLine, JudgmentLines, QrelsFormat},
};

/// The ids that exist; `None` where there is no file to know them from.
pub(super) struct KnownIds<'a> {
    pub(super) documents: Option<&'a Ids>,
    pub(super) queries: Option<&'a Ids>,
}

impl KnownIds<'_> {
    fn has_document(&self, id: &str) -> bool {
        self.documents.is_none_or(|ids| ids.contains_key(&hash_of(id)))
    }

    fn has_query(&self, id: &str) -> bool {
        self.queries.is_none_or(|ids| ids.contains_key(&hash_of(id)))
    }
}

/// The judgments of a split.
#[derive(Clone, Debug, Serialize)]
pub struct SplitReport {
    /// The split.
    pub split: Split,
    /// The file.
    pub path: PathBuf,
    /// Judged queries.
    pub queries: u64,
    /// Well-formed judgments.
    pub judgments: u64,
    /// How many judgments have each grade.
    pub grades: BTreeMap<Grade, u64>,
    /// Lines that are no judgment, and a first line that is one (it is skipped as the header).
    pub malformed: Findings,
    /// Judgments of queries that do not exist.
    pub unknown_queries: Findings,
    /// Judgments of documents that do not exist.
    pub unknown_documents: Findings,
    /// Judgments of a pair that an earlier line judged differently.
    pub conflicting: Findings,
    /// Judgments of a pair that an earlier line judged alike.
    pub repeated: Findings,
    /// Queries of which no document is judged above 0, each at its first judgment.
    pub without_positives: Findings,
}

impl SplitReport {
    pub(super) fn findings(&self) -> impl Iterator<Item = (&'static str, Severity, &Findings)> {
        [
            ("malformed lines", Severity::Error, &self.malformed),
            ("judgments of unknown queries", Severity::Error, &self.unknown_queries),
            ("judgments of unknown documents", Severity::Error, &self.unknown_documents),
            ("conflicting judgments", Severity::Error, &self.conflicting),
            ("repeated judgments", Severity::Remark, &self.repeated),
            ("queries without positives", Severity::Remark, &self.without_positives),
        ]
        .into_iter()
    }
}

/// The explicit negatives.
#[derive(Clone, Debug, Serialize)]
pub struct NegativesReport {
    /// The file.
    pub path: PathBuf,
    /// Well-formed lines.
    pub lines: u64,
    /// Negatives on them.
    pub negatives: u64,
    /// Lines that are malformed.
    pub malformed: Findings,
    /// Lines of queries that do not exist.
    pub unknown_queries: Findings,
    /// Negatives that do not exist.
    pub unknown_documents: Findings,
}

impl NegativesReport {
    pub(super) fn findings(&self) -> impl Iterator<Item = (&'static str, Severity, &Findings)> {
        [
            ("malformed lines", Severity::Error, &self.malformed),
            ("negatives of unknown queries", Severity::Error, &self.unknown_queries),
            ("unknown documents among the negatives", Severity::Error, &self.unknown_documents),
        ]
        .into_iter()
    }
}

/// What the judgments have said of a query so far.
struct SeenQuery {
    first_line: u64,
    has_positive: bool,
}

pub(super) fn split(path: &Path, split: Split, known: &KnownIds<'_>) -> Result<SplitReport, Error> {
    let mut report = SplitReport {
        split,
        path: path.to_owned(),
        queries: 0,
        judgments: 0,
        grades: BTreeMap::new(),
        malformed: Findings::default(),
        unknown_queries: Findings::default(),
        unknown_documents: Findings::default(),
        conflicting: Findings::default(),
        repeated: Findings::default(),
        without_positives: Findings::default(),
    };
    let mut queries: BTreeMap<String, SeenQuery> = BTreeMap::new();
    let mut pairs: HashMap<u64, (Grade, u32)> = HashMap::new();
    let lines = match JudgmentLines::open_as(path, QrelsFormat::Beir) {
        Ok(lines) => lines,
        Err(error) => {
            report.malformed.add_malformed(error)?;
            return Ok(report);
        }
    };
    if lines.is_blank() {
        report.malformed.add(path, 1, || "the file is empty: not even a header".to_owned());
    } else if let Some(judgment) = lines.skipped_judgment() {
        report.malformed.add(path, 1, || {
            format!("the first line is skipped as a header, but it is a judgment: `{judgment}`")
        });
    }
    for line in lines {
        let JudgmentLine { query, document, grade, line } = match line {
            Ok(line) => line,
            Err(error) => {
                report.malformed.add_malformed(error)?;
                continue;
            }
        };
        report.judgments += 1;
        *report.grades.entry(grade).or_default() += 1;
        if !known.has_query(&query) {
            report.unknown_queries.add(path, line, || format!("there is no query `{query}`"));
        }
        if !known.has_document(&document) {
            report.unknown_documents.add(path, line, || format!("there is no document `{document}`"));
        }
        match pairs.get(&hash_of((&query, &document))) {
            None => drop(pairs.insert(hash_of((&query, &document)), (grade, line as u32))),
            Some((first, first_line)) => {
                let findings = if *first == grade { &mut report.repeated } else { &mut report.conflicting };
                findings.add(path, line, || {
                    format!(
                        "query `{query}`, document `{document}`: {grade} here, {first} on line {first_line}"
                    )
                });
            }
        }
        let seen = queries.entry(query).or_insert(SeenQuery { first_line: line, has_positive: false });
        seen.has_positive |= grade > 0;
    }
    report.queries = queries.len() as u64;
    let mut without: Vec<_> = queries.into_iter().filter(|(_, seen)| !seen.has_positive).collect();
    without.sort_by_key(|(_, seen)| seen.first_line);
    for (query, seen) in without {
        report
            .without_positives
            .add(path, seen.first_line, || format!("no document of query `{query}` is judged above 0"));
    }
    Ok(report)
}

pub(super) fn negatives(path: &Path, known: &KnownIds<'_>) -> Result<NegativesReport, Error> {
    let mut report = NegativesReport {
        path: path.to_owned(),
        lines: 0,
        negatives: 0,
        malformed: Findings::default(),
        unknown_queries: Findings::default(),
        unknown_documents: Findings::default(),
    };
    let mut lines = negatives_lines(path)?;
    while let Some(record) = lines.next() {
        let line = lines.line();
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                report.malformed.add_malformed(error)?;
                continue;
            }
        };
        report.lines += 1;
        report.negatives += record.documents.len() as u64;
        if !known.has_query(&record.query) {
            report.unknown_queries.add(path, line, || format!("there is no query `{}`", record.query));
        }
        for id in record.documents.iter().filter(|id| !known.has_document(id)) {
            report.unknown_documents.add(path, line, || format!("there is no document `{id}`"));
        }
    }
    Ok(report)
}
