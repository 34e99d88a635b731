//! Documents or queries, counted: lengths, duplicates, empty and malformed records.

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
};

use serde::Serialize;

use super::{Findings, Severity, hash_of};
use crate::{Error, collection::Records, qrels::is_trec_field};

/// The lines on which ids were seen first, by the ids' hashes.
pub(super) type Ids = HashMap<u64, u32>;

/// Lengths in words, that is, in runs of characters between white space. Empty texts count as 0.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Lengths {
    /// The shortest.
    pub min: u64,
    /// The middle one, or the smaller of the two in the middle.
    pub median: u64,
    /// The mean.
    pub mean: f64,
    /// The longest.
    pub max: u64,
}

/// What is in a file of documents or queries. A document's text is its title and text joined.
#[derive(Clone, Debug, Serialize)]
pub struct TextsReport {
    /// The file.
    pub path: PathBuf,
    /// Well-formed records.
    pub count: u64,
    /// Their lengths; `None` when there are no records.
    pub words: Option<Lengths>,
    /// The file, when it holds nothing: neither records nor malformed lines.
    pub no_records: Findings,
    /// Lines that are no record.
    pub malformed: Findings,
    /// Ids that stood on an earlier line.
    pub duplicate_ids: Findings,
    /// Ids that a TREC file cannot hold: those with a blank in them or a `#` in front.
    pub unwritable_ids: Findings,
    /// Texts equal to that of an earlier line, empty ones aside.
    pub identical_texts: Findings,
    /// Records with nothing but white space to read.
    pub empty: Findings,
}

impl TextsReport {
    pub(super) fn findings(&self) -> impl Iterator<Item = (&'static str, Severity, &Findings)> {
        [
            ("no records", Severity::Error, &self.no_records),
            ("malformed lines", Severity::Error, &self.malformed),
            ("duplicate ids", Severity::Error, &self.duplicate_ids),
            ("ids that a TREC file cannot hold", Severity::Error, &self.unwritable_ids),
            ("identical texts", Severity::Remark, &self.identical_texts),
            ("empty texts", Severity::Remark, &self.empty),
        ]
        .into_iter()
    }
}

/// Reads records to the end; `content` gives a record's id and text.
pub(super) fn tally<T>(
    mut records: Records<T>,
    content: impl Fn(&T) -> (String, String),
) -> Result<(TextsReport, Ids), Error> {
    let mut report = TextsReport {
        path: records.path(),
        count: 0,
        words: None,
        no_records: Findings::default(),
        malformed: Findings::default(),
        duplicate_ids: Findings::default(),
        unwritable_ids: Findings::default(),
        identical_texts: Findings::default(),
        empty: Findings::default(),
    };
    let path = report.path.clone();
    let mut ids = Ids::new();
    let mut texts = Ids::new();
    let mut lengths: BTreeMap<u64, u64> = BTreeMap::new();
    while let Some(record) = records.next() {
        let line = records.line();
        let (id, text) = match record {
            Ok(record) => content(&record),
            Err(error) => {
                report.malformed.add_malformed(error)?;
                continue;
            }
        };
        report.count += 1;
        let n_words = text.split_whitespace().count() as u64;
        *lengths.entry(n_words).or_default() += 1;
        match ids.get(&hash_of(&id)) {
            Some(first) => {
                report.duplicate_ids.add(&path, line, || format!("id `{id}` stands on line {first} too"));
            }
            None => drop(ids.insert(hash_of(&id), line as u32)),
        }
        if !is_trec_field(&id) {
            report.unwritable_ids.add(&path, line, || format!("id `{id}`"));
        }
        if n_words == 0 {
            report.empty.add(&path, line, || format!("`{id}` has no text"));
            continue;
        }
        match texts.get(&hash_of(&text)) {
            Some(first) => {
                report.identical_texts.add(&path, line, || format!("`{id}` has the text of line {first}"));
            }
            None => drop(texts.insert(hash_of(&text), line as u32)),
        }
    }
    if report.count == 0 && report.malformed.count == 0 {
        report.no_records.add(&path, 1, || "the file holds no records".to_owned());
    }
    report.words = summary(&lengths);
    Ok((report, ids))
}

/// Summarises a histogram from length to number of texts.
fn summary(lengths: &BTreeMap<u64, u64>) -> Option<Lengths> {
    let (&min, _) = lengths.first_key_value()?;
    let (&max, _) = lengths.last_key_value()?;
    let count: u64 = lengths.values().sum();
    let total: u64 = lengths.iter().map(|(length, number)| length * number).sum();
    let mut seen = 0;
    let median = lengths
        .iter()
        .find(|(_, number)| {
            seen += **number;
            2 * seen >= count
        })
        .map_or(max, |(length, _)| *length);
    Some(Lengths { min, median, mean: total as f64 / count as f64, max })
}
