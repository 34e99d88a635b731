//! What is wrong with a collection: everything, not only the first thing.
//!
//! Every file is read once, line by line. What is kept in memory of a text is its length and a 64-bit hash, so that
//! memory grows with the number of records and not with their size. Two texts with equal hashes are reported as
//! identical; among ten million texts the chance of one false report is about 3 in a million.

mod judgments;
mod texts;

use std::{
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
};

use serde::Serialize;

pub use self::{
    judgments::{NegativesReport, SplitReport},
    texts::{Lengths, TextsReport},
};
use super::{Collection, Document, Query, Split, documents_of, queries_of};
use crate::Error;

/// How many examples of a problem are kept; all are counted.
pub const MAX_EXAMPLES: usize = 20;

/// Something found at a place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The file.
    pub path: PathBuf,
    /// The line, counted from 1.
    pub line: u64,
    /// What was found.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path.display(), self.line, self.message)
    }
}

/// All findings of one kind: their number and the first [`MAX_EXAMPLES`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Findings {
    /// How many there are.
    pub count: u64,
    /// The first of them.
    pub examples: Vec<Finding>,
}

impl Findings {
    fn add(&mut self, path: &Path, line: u64, message: impl FnOnce() -> String) {
        self.count += 1;
        if self.examples.len() < MAX_EXAMPLES {
            self.examples.push(Finding { path: path.to_owned(), line, message: message() });
        }
    }

    /// Files a malformed line here; a failure of the file itself ends the check.
    fn add_malformed(&mut self, error: Error) -> Result<(), Error> {
        match error {
            Error::Malformed { path, line, expected, found } => {
                self.add(&path, line, || format!("expected {expected}, found {found}"));
                Ok(())
            }
            Error::Read { path, line, source } => {
                self.add(&path, line, || format!("reading failed ({source}); nothing after it was read"));
                Ok(())
            }
            other => Err(other),
        }
    }
}

/// How bad a kind of finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Reading, training or judging will fail or lose something.
    Error,
    /// Legal, but worth knowing.
    Remark,
}

/// What [`check`] found.
#[derive(Clone, Debug, Serialize)]
pub struct CheckReport {
    /// The folder.
    pub folder: PathBuf,
    /// The documents; `None` when there is no corpus.
    pub documents: Option<TextsReport>,
    /// The queries; `None` when there is no queries file.
    pub queries: Option<TextsReport>,
    /// The judgments, by split.
    pub splits: Vec<SplitReport>,
    /// The explicit negatives; `None` when there are none.
    pub negatives: Option<NegativesReport>,
    /// Names of what a whole collection has and this folder lacks.
    pub missing_files: Vec<String>,
}

impl CheckReport {
    /// Every kind of finding: where (`corpus`, `queries`, a split, `negatives`), what, how bad, and which.
    pub fn findings(&self) -> impl Iterator<Item = (&'static str, &'static str, Severity, &Findings)> {
        let texts = [("corpus", &self.documents), ("queries", &self.queries)];
        let texts = texts
            .into_iter()
            .filter_map(|(place, report)| report.as_ref().map(|report| (place, report)))
            .flat_map(|(place, report)| {
                report.findings().map(move |(what, how, which)| (place, what, how, which))
            });
        let splits = self.splits.iter().flat_map(|report| {
            report.findings().map(|(what, how, which)| (report.split.name(), what, how, which))
        });
        let negatives = self
            .negatives
            .iter()
            .flat_map(|report| report.findings().map(|(what, how, which)| ("negatives", what, how, which)));
        texts.chain(splits).chain(negatives)
    }

    /// Whether nothing was found that would fail or lose something.
    pub fn is_sound(&self) -> bool {
        self.findings().all(|(_, _, how, which)| how == Severity::Remark || which.count == 0)
    }
}

/// Reads everything in a collection's folder and reports what is there and what is wrong with it.
///
/// # Errors
/// The folder is no collection, or a file cannot be opened. What is wrong inside the files is in the report.
pub fn check(folder: &Path) -> Result<CheckReport, Error> {
    let collection = Collection::open(folder)?;
    let mut missing_files = Vec::new();
    let documents = if let Ok(path) = collection.corpus_file() {
        let content = |document: &Document| (document.id.clone(), document.joined().into_owned());
        Some(texts::tally(documents_of(&path)?, content)?)
    } else {
        missing_files.push("corpus.jsonl".to_owned());
        None
    };
    let queries = if let Ok(path) = collection.queries_file() {
        let content = |query: &Query| (query.id.clone(), query.text.clone());
        Some(texts::tally(queries_of(&path)?, content)?)
    } else {
        missing_files.push("queries.jsonl".to_owned());
        None
    };
    let known = judgments::KnownIds {
        documents: documents.as_ref().map(|(_, ids)| ids),
        queries: queries.as_ref().map(|(_, ids)| ids),
    };
    let splits = collection
        .splits()
        .into_iter()
        .map(|split| judgments::split(&collection.qrels_file(split)?, split, &known))
        .collect::<Result<Vec<_>, _>>()?;
    if splits.is_empty() {
        missing_files.push(format!("qrels/{}.tsv", Split::Test));
    }
    let negatives = collection
        .file("negatives.jsonl")
        .ok()
        .map(|path| judgments::negatives(&path, &known))
        .transpose()?;
    Ok(CheckReport {
        folder: folder.to_owned(),
        documents: documents.map(|(report, _)| report),
        queries: queries.map(|(report, _)| report),
        splits,
        negatives,
        missing_files,
    })
}

/// The same number for the same value on every run of the same build; never written anywhere.
fn hash_of(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
