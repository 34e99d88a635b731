//! A teacher's scores: what another model, such as a cross-encoder, says of queries and documents. Training distils them.
//!
//! One score a line, plain or gzipped, in either of two formats that the first line tells apart:
//!
//! ```text
//! query-id <tab> corpus-id <tab> score           with or without a header of these names, then in any order
//! {"query-id": "q1", "corpus-id": "d7", "score": 8.25}
//! ```
//!
//! Other columns and fields are ignored, and so are blank lines. A larger score says that the document fits better; the
//! scale is the teacher's own. Left out: whether ids are a collection's, and pairs that are scored twice.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::{
    Error,
    collection::{describe, id_of, parse_object},
    lines::{Fault, Lines},
    qrels::tsv,
};

/// The names of the columns, in the order that they have without a header.
const COLUMNS: [&str; 3] = ["query-id", "corpus-id", "score"];

/// What a line of a table should hold.
const ROW: &str = "`query-id`, `corpus-id`, `score` between tabs";

/// One score.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoredPair {
    /// The query, never empty.
    pub query: String,
    /// The document, never empty.
    pub document: String,
    /// Finite.
    pub score: f32,
    /// The line on which it stands, counted from 1.
    pub line: u64,
}

/// The scores of a file, streamed.
///
/// A malformed line yields an error that names file, line and what was expected; the lines after it still come. After
/// a failure of the file itself (a truncated `.gz`), nothing more comes.
pub struct Scores {
    lines: Lines,
    format: Format,
    /// The first line, when it told the format and is a score itself.
    first: Option<Result<ScoredPair, Error>>,
}

#[derive(Clone, Copy)]
enum Format {
    Json,
    /// The places of [`COLUMNS`] on a line.
    Table([usize; 3]),
}

impl Scores {
    /// Opens a file of scores, plain or gzipped, and reads its first line.
    ///
    /// # Errors
    /// The file cannot be opened, or it holds no line.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let mut lines = Lines::open(path)?;
        let first = loop {
            match lines.next_line()? {
                None => return Err(Error::Empty { path: path.to_owned(), expected: "a score a line" }),
                Some(line) if line.trim().is_empty() => {}
                Some(line) => break line.to_owned(),
            }
        };
        let header = header(&first);
        let format = match header {
            Some(places) => Format::Table(places),
            None if first.trim_start().starts_with('{') => Format::Json,
            None => Format::Table([0, 1, 2]),
        };
        let first = header.is_none().then(|| located(format.parse(&first), &lines));
        Ok(Self { lines, format, first })
    }
}

impl Iterator for Scores {
    type Item = Result<ScoredPair, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        loop {
            let parsed = match self.lines.next_line() {
                Ok(None) => return None,
                Ok(Some(line)) if line.trim().is_empty() => continue,
                Ok(Some(line)) => self.format.parse(line),
                Err(error) => return Some(Err(error)),
            };
            return Some(located(parsed, &self.lines));
        }
    }
}

/// A query, a document and the score, before it is known where they stand.
type Parsed = Result<(String, String, f32), Fault>;

impl Format {
    fn parse(self, line: &str) -> Parsed {
        match self {
            Self::Json => parse_json(line),
            Self::Table(places) => parse_row(line, places),
        }
    }
}

fn located(parsed: Parsed, lines: &Lines) -> Result<ScoredPair, Error> {
    let (query, document, score) = parsed.map_err(|fault| lines.malformed(fault))?;
    Ok(ScoredPair { query, document, score, line: lines.number() })
}

/// Where the columns stand, if the line is a header.
fn header(line: &str) -> Option<[usize; 3]> {
    let fields = tsv::fields(line).ok()?;
    let place = |name: &str| fields.iter().position(|field| field.trim() == name);
    let [query, document, score] = COLUMNS.map(place);
    Some([query?, document?, score?])
}

fn parse_row(line: &str, places: [usize; 3]) -> Parsed {
    let fields = tsv::fields(line)?;
    let [Some(query), Some(document), Some(score)] = places.map(|place| fields.get(place)) else {
        return Err(Fault::new(ROW, format!("{} fields", fields.len())));
    };
    for (name, id) in [("query-id", query), ("corpus-id", document)] {
        if id.is_empty() {
            return Err(Fault::new(format!("a `{name}`"), "an empty field"));
        }
    }
    let number = score.trim().parse().ok().and_then(finite);
    let score = number.ok_or_else(|| Fault::new(FINITE, format!("`{score}`")))?;
    Ok((query.clone().into_owned(), document.clone().into_owned(), score))
}

/// What a score must be.
const FINITE: &str = "a finite number as the `score`";

#[derive(Deserialize)]
struct Fields {
    #[serde(rename = "query-id")]
    query: Option<Value>,
    #[serde(rename = "corpus-id")]
    document: Option<Value>,
    score: Option<Value>,
}

fn parse_json(line: &str) -> Parsed {
    let fields: Fields = parse_object(line)?;
    let number = fields.score.as_ref().and_then(Value::as_f64).and_then(finite);
    let score = number.ok_or_else(|| Fault::new(FINITE, describe(fields.score.as_ref())))?;
    Ok((id_of("query-id", fields.query)?, id_of("corpus-id", fields.document)?, score))
}

/// The number in single precision, in which scores are compared; `None` where that is not finite.
fn finite(number: f64) -> Option<f32> {
    let number = number as f32;
    number.is_finite().then_some(number)
}
