//! Ready-made training pairs: one file whose rows are a query's text, an answer's, and perhaps texts that are none.
//!
//! | file | rows |
//! |---|---|
//! | `.jsonl`, `.ndjson`, `.json` | an object a line, keyed by columns; or an array a line, `["anchor", "positive", "negative", …]` |
//! | `.csv` | a header line that names the columns, then fields between commas (RFC 4180), also with line breaks in quotes |
//!
//! Either may be gzipped (`.jsonl.gz`). The columns, whatever their case:
//!
//! | column | names |
//! |---|---|
//! | anchor | `anchor`, `query`, `question`, `sentence1` |
//! | positive | `positive`, `pos`, `answer`, `document`, `passage`, `sentence2` |
//! | negative | `negative`, `negatives`, `neg`, also numbered: `negative_1`, `negative_2`, … |
//!
//! In JSON, a positive or negative may be a list of texts. Any other column is refused: a `label` or `score` would say
//! that not every row is a pair. [`to_beir`] makes a collection of them.

mod beir;
mod columns;
mod csv;
mod json_rows;

use std::path::{Path, PathBuf};

use self::{csv::CsvRows, json_rows::JsonRows};
use crate::{Error, lines::Lines};

pub use self::beir::{PairsReport, to_beir};

/// One row of a file of pairs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pair {
    /// The query's text; may be empty.
    pub anchor: String,
    /// Texts that answer it, at least one; may be empty texts.
    pub positives: Vec<String>,
    /// Texts that do not; empty texts are left out.
    pub negatives: Vec<String>,
}

/// The rows of a file of pairs, streamed. After an error nothing more comes.
pub struct Pairs {
    rows: Option<Rows>,
}

enum Rows {
    Json(JsonRows),
    Csv(CsvRows),
}

impl Pairs {
    /// Opens a file of pairs, plain or gzipped.
    ///
    /// # Errors
    /// The file cannot be opened, its name does not say its format, or a CSV header lacks a column or has one too many.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let rows = match format_of(path) {
            Some("jsonl" | "ndjson" | "json") => Rows::Json(JsonRows::new(Lines::open(path)?)),
            Some("csv") => Rows::Csv(CsvRows::new(Lines::open(path)?)?),
            _ => return Err(Error::UnknownPairsFormat { path: path.to_owned() }),
        };
        Ok(Self { rows: Some(rows) })
    }
}

impl Iterator for Pairs {
    type Item = Result<Pair, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = match self.rows.as_mut()? {
            Rows::Json(rows) => rows.next_row(),
            Rows::Csv(rows) => rows.next_row(),
        };
        if !matches!(next, Ok(Some(_))) {
            self.rows = None;
        }
        next.transpose()
    }
}

/// The ending of a file's name before `.gz`.
fn format_of(path: &Path) -> Option<&'static str> {
    let name = PathBuf::from(path.file_name()?.to_ascii_lowercase());
    let plain = if name.extension().is_some_and(|extension| extension == "gz") {
        name.with_extension("")
    } else {
        name
    };
    let extension = plain.extension()?.to_str()?;
    ["jsonl", "ndjson", "json", "csv"].into_iter().find(|known| *known == extension)
}
