//! Rows in JSON, one a line.

use serde_json::{Map, Value};

use super::{
    Pair,
    columns::{Role, roles},
};
use crate::{
    Error,
    collection::describe,
    lines::{Fault, Lines},
};

/// Rows of a file of JSON lines; blank lines are passed over.
pub(super) struct JsonRows {
    lines: Lines,
}

impl JsonRows {
    pub(super) fn new(lines: Lines) -> Self {
        Self { lines }
    }

    pub(super) fn next_row(&mut self) -> Result<Option<Pair>, Error> {
        loop {
            let parsed = match self.lines.next_line()? {
                None => return Ok(None),
                Some(line) if line.trim().is_empty() => continue,
                Some(line) => parse(line),
            };
            return parsed.map(Some).map_err(|fault| self.lines.malformed(fault));
        }
    }
}

fn parse(line: &str) -> Result<Pair, Fault> {
    let expected = "a JSON object, or an array of texts, on one line";
    match serde_json::from_str(line) {
        Ok(Value::Object(columns)) => from_object(columns),
        Ok(Value::Array(texts)) => from_array(texts),
        Ok(other) => Err(Fault::new(expected, describe(Some(&other)))),
        Err(error) => Err(Fault::new(expected, format!("an error at column {}", error.column()))),
    }
}

fn from_object(columns: Map<String, Value>) -> Result<Pair, Fault> {
    let roles = roles(columns.keys().map(String::as_str))?;
    let mut pair = Pair::default();
    for ((name, value), role) in columns.into_iter().zip(roles) {
        match (role, value) {
            (_, Value::String(text)) => pair.put(role, text),
            // Tables of rows with unlike numbers of negatives fill up with these.
            (Role::Negative, Value::Null) => {}
            (Role::Positive | Role::Negative, Value::Array(texts)) => {
                for text in texts {
                    pair.put(role, text_of(&name, text)?);
                }
            }
            (_, other) => return Err(no_text(&name, &other)),
        }
    }
    if pair.positives.is_empty() {
        return Err(Fault::new("a positive at least", "an empty list"));
    }
    Ok(pair)
}

fn from_array(texts: Vec<Value>) -> Result<Pair, Fault> {
    let count = texts.len();
    if count < 2 {
        return Err(Fault::new(
            "an array of an anchor, a positive, and negatives if there are any",
            format!("{count} elements"),
        ));
    }
    let mut pair = Pair::default();
    let roles = [Role::Anchor, Role::Positive].into_iter().chain(std::iter::repeat(Role::Negative));
    for ((number, text), role) in (1..).zip(texts).zip(roles) {
        pair.put(role, text_of(&format!("element {number}"), text)?);
    }
    Ok(pair)
}

fn text_of(name: &str, value: Value) -> Result<String, Fault> {
    match value {
        Value::String(text) => Ok(text),
        other => Err(no_text(name, &other)),
    }
}

fn no_text(name: &str, value: &Value) -> Fault {
    Fault::new(format!("a text under `{name}`"), describe(Some(value)))
}
