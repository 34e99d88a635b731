//! Judgments line by line: both formats, told apart by their first line.
//!
//! A malformed line is an error after which reading goes on, so that a checker can list them all.

use std::{borrow::Cow, path::Path};

use super::{GRADES, Grade, QrelsFormat, tsv};
use crate::{
    Error,
    lines::{Fault, Lines},
};

/// A judgment as it stands on a line.
pub(crate) struct JudgmentLine {
    pub(crate) query: String,
    pub(crate) document: String,
    pub(crate) grade: Grade,
    pub(crate) line: u64,
}

/// A file of judgments being read.
pub(crate) struct JudgmentLines {
    lines: Lines,
    format: QrelsFormat,
    /// The first line, when it told the format and is a judgment itself.
    first: Option<Result<JudgmentLine, Error>>,
    skipped_judgment: Option<String>,
    is_blank: bool,
}

impl JudgmentLines {
    /// Opens a file of either format.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let mut lines = Lines::open(path)?;
        let first = loop {
            match lines.next_line()? {
                None => return Ok(Self::blank(lines)),
                Some(line) if is_blank(line) || line.starts_with('#') => {}
                Some(line) => break line.to_owned(),
            }
        };
        if begins_trec(&first) {
            return Ok(Self::trec(lines, &first));
        }
        if first.split('\t').count() == 3 {
            return Ok(Self {
                lines,
                format: QrelsFormat::Beir,
                first: None,
                skipped_judgment: lost_judgment(&first),
                is_blank: false,
            });
        }
        Err(lines.malformed(Fault::new(
            "judgments: `query-id`, `corpus-id`, `score` between tabs, or `query iteration document grade`",
            format!("{} fields", first.split_ascii_whitespace().count()),
        )))
    }

    /// Opens a file of a known format. What stands in BEIR's place but begins with TREC's four columns is TREC's: as BEIR's
    /// its second column, the iteration, would be taken for the document.
    pub(crate) fn open_as(path: &Path, format: QrelsFormat) -> Result<Self, Error> {
        let mut lines = Lines::open(path)?;
        if format == QrelsFormat::Trec {
            return Ok(Self { lines, format, first: None, skipped_judgment: None, is_blank: false });
        }
        let Some(first) = lines.next_line()?.map(str::to_owned) else { return Ok(Self::blank(lines)) };
        if begins_trec(&first) && first.split('\t').count() != 3 {
            return Ok(Self::trec(lines, &first));
        }
        let skipped_judgment = lost_judgment(&first);
        Ok(Self { lines, format, first: None, skipped_judgment, is_blank: false })
    }

    /// TREC's judgments, whose first line has been read.
    fn trec(lines: Lines, first: &str) -> Self {
        let first = Some(judgment(&lines, parse_trec(first)));
        Self { lines, format: QrelsFormat::Trec, first, skipped_judgment: None, is_blank: false }
    }

    fn blank(lines: Lines) -> Self {
        Self { lines, format: QrelsFormat::Trec, first: None, skipped_judgment: None, is_blank: true }
    }

    pub(crate) fn path(&self) -> &Path {
        self.lines.path()
    }

    /// Whether the file holds nothing, not even a header.
    pub(crate) fn is_blank(&self) -> bool {
        self.is_blank
    }

    /// The header line, when it looks like a judgment.
    pub(crate) fn skipped_judgment(&self) -> Option<&str> {
        self.skipped_judgment.as_deref()
    }

    pub(crate) fn into_skipped_judgment(self) -> Option<String> {
        self.skipped_judgment
    }
}

impl Iterator for JudgmentLines {
    type Item = Result<JudgmentLine, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        loop {
            let is_trec = self.format == QrelsFormat::Trec;
            let parsed = match self.lines.next_line() {
                Ok(None) => return None,
                Ok(Some(line)) if is_blank(line) || (is_trec && line.starts_with('#')) => continue,
                Ok(Some(line)) if is_trec => parse_trec(line),
                Ok(Some(line)) => parse_beir(line),
                Err(error) => return Some(Err(error)),
            };
            return Some(judgment(&self.lines, parsed));
        }
    }
}

/// Whether a first line has TREC's four columns, the last of them a grade.
fn begins_trec(line: &str) -> bool {
    let columns: Vec<&str> = line.split_ascii_whitespace().collect();
    matches!(columns[..], [_, _, _, grade] if grade.parse::<Grade>().is_ok())
}

fn is_blank(line: &str) -> bool {
    line.trim().is_empty()
}

/// The header's text when its third field is a grade, as no header's is.
fn lost_judgment(header: &str) -> Option<String> {
    parse_beir(header).is_ok().then(|| header.to_owned())
}

fn judgment(lines: &Lines, parsed: Result<(String, String, Grade), Fault>) -> Result<JudgmentLine, Error> {
    let (query, document, grade) = parsed.map_err(|fault| lines.malformed(fault))?;
    Ok(JudgmentLine { query, document, grade, line: lines.number() })
}

fn parse_trec(line: &str) -> Result<(String, String, Grade), Fault> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let [query, _, document, grade] = fields[..] else {
        return Err(Fault::new("`query iteration document grade`", format!("{} fields", fields.len())));
    };
    Ok((query.to_owned(), document.to_owned(), parse_grade(grade)?))
}

/// As BEIR's own reader, takes the first three fields and leaves the rest.
fn parse_beir(line: &str) -> Result<(String, String, Grade), Fault> {
    let fields = tsv::fields(line)?;
    let [query, document, grade, ..] = &fields[..] else {
        return Err(Fault::new(
            "`query-id`, `corpus-id`, `score` between tabs",
            format!("{} fields", fields.len()),
        ));
    };
    let id = |name: &str, id: &Cow<'_, str>| {
        if id.is_empty() {
            return Err(Fault::new(format!("a `{name}`"), "an empty field"));
        }
        Ok(id.clone().into_owned())
    };
    Ok((id("query-id", query)?, id("corpus-id", document)?, parse_grade(grade.trim())?))
}

fn parse_grade(field: &str) -> Result<Grade, Fault> {
    field.parse().ok().filter(|grade| GRADES.contains(grade)).ok_or_else(|| {
        Fault::new(
            format!("a whole number in {}…{} as the grade", GRADES.start(), GRADES.end()),
            format!("`{field}`"),
        )
    })
}
