//! Comma-separated values as RFC 4180 has them: a header, and fields in quotes that may hold commas, quotes (doubled)
//! and line breaks.
//!
//! Where the standard is silent: a byte order mark and blank lines are passed over, a line break in a text is one
//! `\n`, and a quote inside a field that does not begin with one is a character like others.

use super::{
    Pair,
    columns::{Role, roles},
};
use crate::{
    Error,
    lines::{Fault, Lines},
};

/// Rows of a CSV file.
pub(super) struct CsvRows {
    lines: Lines,
    roles: Vec<Role>,
}

impl CsvRows {
    /// Reads the header.
    pub(super) fn new(mut lines: Lines) -> Result<Self, Error> {
        let header = next_record(&mut lines)?;
        let Some((line, names)) = header else {
            let path = lines.path().to_owned();
            return Err(Error::Empty { path, expected: "a header that names the columns" });
        };
        let roles =
            roles(names.iter().map(String::as_str)).map_err(|fault| lines.malformed_at(line, fault))?;
        Ok(Self { lines, roles })
    }

    pub(super) fn next_row(&mut self) -> Result<Option<Pair>, Error> {
        let Some((line, fields)) = next_record(&mut self.lines)? else { return Ok(None) };
        if fields.len() != self.roles.len() {
            let fault = Fault::new(
                format!("{} fields, as the header has", self.roles.len()),
                format!("{} in the row that begins here", fields.len()),
            );
            return Err(self.lines.malformed_at(line, fault));
        }
        let mut pair = Pair::default();
        for (role, text) in self.roles.iter().zip(fields) {
            pair.put(*role, text);
        }
        Ok(Some(pair))
    }
}

/// The next record and the line on which it begins.
fn next_record(lines: &mut Lines) -> Result<Option<(u64, Vec<String>)>, Error> {
    let mut record = Record::default();
    let mut first = 0;
    loop {
        let taken = match lines.next_line()? {
            None if first == 0 => return Ok(None),
            None => {
                return Err(
                    lines.malformed_at(first, Fault::new("a closing `\"`", "none up to the end of the file"))
                );
            }
            Some(line) if first == 0 && line.trim().is_empty() => continue,
            Some(line) => record.take(line),
        };
        first = if first == 0 { lines.number() } else { first };
        match taken {
            Ok(true) => return Ok(Some((first, record.fields))),
            Ok(false) => {}
            Err(fault) => return Err(lines.malformed(fault)),
        }
    }
}

/// A record of which some lines are read.
#[derive(Default)]
struct Record {
    fields: Vec<String>,
    /// The field whose closing quote has not come yet.
    open: Option<String>,
}

impl Record {
    /// Takes a line; returns whether the record ends with it.
    fn take(&mut self, line: &str) -> Result<bool, Fault> {
        let mut rest = line;
        let mut open = self.open.take();
        if let Some(field) = &mut open {
            field.push('\n');
        }
        loop {
            if open.is_none()
                && let Some(after) = rest.strip_prefix('"')
            {
                (rest, open) = (after, Some(String::new()));
            }
            let after = if let Some(mut field) = open.take() {
                let Some(after) = unquote(rest, &mut field) else {
                    self.open = Some(field);
                    return Ok(false);
                };
                self.fields.push(field);
                after
            } else {
                let end = rest.find(',').unwrap_or(rest.len());
                self.fields.push(rest[..end].to_owned());
                &rest[end..]
            };
            match after.strip_prefix(',') {
                Some(next) => rest = next,
                None if after.is_empty() => return Ok(true),
                None => {
                    let found: String = after.chars().take(20).collect();
                    let expected = "a comma or the end of the line after a closing `\"`";
                    return Err(Fault::new(expected, format!("`{found}`")));
                }
            }
        }
    }
}

/// Adds to `field` what stands before its closing quote, and returns what follows that; `None` when it does not come.
fn unquote<'a>(mut text: &'a str, field: &mut String) -> Option<&'a str> {
    loop {
        let Some((part, after)) = text.split_once('"') else {
            field.push_str(text);
            return None;
        };
        field.push_str(part);
        text = match after.strip_prefix('"') {
            Some(next) => next,
            None => return Some(after),
        };
        field.push('"');
    }
}
