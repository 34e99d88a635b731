//! Documents and queries, one JSON object a line.
//!
//! Ids are strings; a whole number is taken as its digits. Fields that are not named here are ignored.

use std::{
    borrow::Cow,
    io::Read,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use serde_json::Value;

use crate::{
    Error,
    lines::{Fault, Lines},
};

/// A document of a corpus.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// `_id`, never empty.
    pub id: String,
    /// `title`; empty when it is missing or null.
    pub title: String,
    /// `text`; may be empty.
    pub text: String,
    /// `metadata` as it stands; null when it is missing.
    pub metadata: Value,
}

impl Document {
    /// What an encoder reads: title and text joined by a space, or the text alone when there is no title.
    pub fn joined(&self) -> Cow<'_, str> {
        if self.title.is_empty() {
            Cow::Borrowed(&self.text)
        } else {
            Cow::Owned(format!("{} {}", self.title, self.text))
        }
    }
}

/// A query.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// `_id`, never empty.
    pub id: String,
    /// `text`.
    pub text: String,
    /// `metadata` as it stands; null when it is missing.
    pub metadata: Value,
}

/// The documents of a corpus file, streamed.
pub type Documents = Records<Document>;

/// The queries of a queries file, streamed.
pub type Queries = Records<Query>;

/// Opens one file of documents, plain or gzipped.
///
/// # Errors
/// The file cannot be opened.
pub fn documents_of(path: &Path) -> Result<Documents, Error> {
    Records::open(path, parse_document)
}

/// The documents of a file that is open already: what `reader` gives, which stands at `path`.
///
/// # Errors
/// The beginning of the file cannot be read.
pub fn documents_from(reader: impl Read + Send + 'static, path: &Path) -> Result<Documents, Error> {
    Ok(Records { lines: Lines::from_reader(reader, path)?, parse: parse_document })
}

/// Opens one file of queries, plain or gzipped.
///
/// # Errors
/// The file cannot be opened.
pub fn queries_of(path: &Path) -> Result<Queries, Error> {
    Records::open(path, parse_query)
}

/// The records of a file, one a line; blank lines are passed over.
///
/// A malformed line yields an error that names file, line and what was expected; the lines after it still come. After
/// a failure of the file itself (a truncated `.gz`), nothing more comes.
pub struct Records<T> {
    lines: Lines,
    parse: fn(&str) -> Result<T, Fault>,
}

impl<T> Records<T> {
    pub(super) fn open(path: &Path, parse: fn(&str) -> Result<T, Fault>) -> Result<Self, Error> {
        Ok(Self { lines: Lines::open(path)?, parse })
    }

    /// The file that is read.
    pub fn path(&self) -> PathBuf {
        self.lines.path().to_owned()
    }

    /// The line of the record that came last, counted from 1.
    pub fn line(&self) -> u64 {
        self.lines.number()
    }
}

impl<T> Iterator for Records<T> {
    type Item = Result<T, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let parsed = match self.lines.next_line() {
                Ok(None) => return None,
                Ok(Some(line)) if line.trim().is_empty() => continue,
                Ok(Some(line)) => (self.parse)(line),
                Err(error) => return Some(Err(error)),
            };
            return Some(parsed.map_err(|fault| self.lines.malformed(fault)));
        }
    }
}

/// The fields of both kinds of record, before their types are looked at.
#[derive(Deserialize)]
struct Fields {
    #[serde(rename = "_id")]
    id: Option<Value>,
    title: Option<Value>,
    text: Option<Value>,
    metadata: Option<Value>,
}

fn parse_document(line: &str) -> Result<Document, Fault> {
    let fields: Fields = parse_object(line)?;
    let title = match fields.title {
        None => String::new(),
        title => string_of("title", title)?,
    };
    Ok(Document {
        id: id_of("_id", fields.id)?,
        title,
        text: string_of("text", fields.text)?,
        metadata: fields.metadata.unwrap_or_default(),
    })
}

fn parse_query(line: &str) -> Result<Query, Fault> {
    let fields: Fields = parse_object(line)?;
    Ok(Query {
        id: id_of("_id", fields.id)?,
        text: string_of("text", fields.text)?,
        metadata: fields.metadata.unwrap_or_default(),
    })
}

/// Parses a line as a JSON object.
pub(crate) fn parse_object<T: for<'de> Deserialize<'de>>(line: &str) -> Result<T, Fault> {
    let expected = "a JSON object on one line";
    // Serde would take an array for a struct.
    if !line.trim_start().starts_with('{') {
        let start: String = line.trim_start().chars().take(20).collect();
        return Err(Fault::new(expected, format!("a line that begins with `{start}`")));
    }
    serde_json::from_str(line).map_err(|error| {
        let message = error.to_string();
        let place = format!(" at line {} column {}", error.line(), error.column());
        let reason = message.strip_suffix(&place).unwrap_or(&message);
        Fault::new(expected, format!("an error at column {} ({reason})", error.column()))
    })
}

/// An id: a string that is not empty, or a whole number.
pub(crate) fn id_of(key: &str, value: Option<Value>) -> Result<String, Fault> {
    match value {
        Some(Value::String(id)) if !id.is_empty() => Ok(id),
        Some(Value::Number(number)) if number.is_u64() || number.is_i64() => Ok(number.to_string()),
        other => Err(Fault::new(
            format!("an id under `{key}`, a string that is not empty"),
            describe(other.as_ref()),
        )),
    }
}

fn string_of(key: &str, value: Option<Value>) -> Result<String, Fault> {
    match value {
        Some(Value::String(string)) => Ok(string),
        other => Err(Fault::new(format!("a string under `{key}`"), describe(other.as_ref()))),
    }
}

/// What stands where something else was expected, in a few words.
pub(crate) fn describe(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "none".to_owned(),
        Some(Value::Bool(value)) => format!("`{value}`"),
        Some(Value::Number(number)) => format!("the number `{number}`"),
        Some(Value::String(string)) if string.is_empty() => "an empty string".to_owned(),
        Some(Value::String(_)) => "a string".to_owned(),
        Some(Value::Array(_)) => "an array".to_owned(),
        Some(Value::Object(_)) => "an object".to_owned(),
    }
}
