//! Judgments: which document answers which query, and how well.
//!
//! Two formats are read and written: BEIR's tab-separated values after a header line, and TREC's
//! `query iteration document grade`. Queries keep the order of the file, documents of a query too.

mod judgment_lines;
pub(crate) mod tsv;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

pub(crate) use self::judgment_lines::{JudgmentLine, JudgmentLines};
use crate::{Error, atomic_file::write_atomically};

/// How well a document answers a query: 0 not at all, above 0 the better the larger. A negative grade is a judgment
/// of non-relevance everywhere but in [Bpref](crate::measure::Family::Bpref).
pub type Grade = i32;

/// The grades that the standard program holds.
pub const GRADES: std::ops::RangeInclusive<Grade> = -127..=127;

/// A format of judgments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QrelsFormat {
    /// `query-id <tab> corpus-id <tab> score`; the first line is a header.
    Beir,
    /// `query iteration document grade`, separated by blanks; lines that begin with `#` are comments.
    Trec,
}

/// One judgment.
#[derive(Clone, Debug)]
pub struct Judgment {
    /// The document's id.
    pub document: Box<str>,
    /// Its grade.
    pub grade: Grade,
    /// The line of the file it was read from, counted from 1; 0 when it did not come from a file.
    pub line: u32,
}

/// The judgments of one query.
#[derive(Clone, Debug)]
pub struct JudgedQuery {
    /// The query's id.
    pub query: String,
    /// Its judgments; no document occurs twice.
    pub judgments: Vec<Judgment>,
}

/// Judgments of any number of queries.
#[derive(Clone, Debug, Default)]
pub struct Qrels {
    queries: Vec<JudgedQuery>,
    places: HashMap<String, usize>,
    path: Option<PathBuf>,
    skipped_judgment: Option<String>,
}

impl Qrels {
    /// Takes judgments `(query, document, grade)`. A repeated judgment with the same grade counts once.
    ///
    /// # Errors
    /// [`Error::ConflictingGrades`] and [`Error::GradeOutOfRange`].
    pub fn from_judgments<Q, D>(judgments: impl IntoIterator<Item = (Q, D, Grade)>) -> Result<Self, Error>
    where
        Q: Into<String>,
        D: Into<String>,
    {
        let mut qrels = Self::default();
        for (query, document, grade) in judgments {
            let document = document.into();
            if !GRADES.contains(&grade) {
                return Err(Error::GradeOutOfRange { document, grade });
            }
            qrels.push(JudgmentLine { query: query.into(), document, grade, line: 0 });
        }
        qrels.refuse_conflicts()?;
        Ok(qrels)
    }

    /// Reads a file, plain or gzipped, of either format. The first line decides: four fields of which the last is an
    /// integer are TREC's, three fields between tabs are BEIR's (and that line is skipped as the header).
    ///
    /// # Errors
    /// The file cannot be read, is empty, a line is malformed (file and line are named), or two judgments of a pair
    /// disagree.
    pub fn read(path: &Path) -> Result<Self, Error> {
        Self::collect(JudgmentLines::open(path)?)
    }

    /// Reads a file whose format is known.
    ///
    /// # Errors
    /// As [`Qrels::read`].
    pub fn read_as(path: &Path, format: QrelsFormat) -> Result<Self, Error> {
        Self::collect(JudgmentLines::open_as(path, format)?)
    }

    /// The judgment that was lost because it stood on the first line of a BEIR file, where the header belongs.
    pub fn skipped_judgment(&self) -> Option<&str> {
        self.skipped_judgment.as_deref()
    }

    /// The queries in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &JudgedQuery> {
        self.queries.iter()
    }

    /// The judgments of a query, in the order of the file.
    pub fn get(&self, query: &str) -> Option<&[Judgment]> {
        self.places.get(query).map(|&place| self.queries[place].judgments.as_slice())
    }

    /// The number of judged queries.
    pub fn len(&self) -> usize {
        self.queries.len()
    }

    /// Whether there is no judgment at all.
    pub fn is_empty(&self) -> bool {
        self.queries.is_empty()
    }

    /// Refuses judgments of queries that `known` denies; `searched` says where they were looked for.
    ///
    /// # Errors
    /// [`Error::UnknownId`], with the file and line of the first.
    pub fn refuse_unknown_queries(&self, searched: &str, known: impl Fn(&str) -> bool) -> Result<(), Error> {
        self.queries.iter().find(|judged| !known(&judged.query)).map_or(Ok(()), |judged| {
            Err(self.unknown("query", &judged.query, judged.judgments.first(), searched))
        })
    }

    /// Refuses judgments of documents that `known` denies; `searched` says where they were looked for.
    ///
    /// # Errors
    /// [`Error::UnknownId`], with the file and line of the first.
    pub fn refuse_unknown_documents(
        &self,
        searched: &str,
        known: impl Fn(&str) -> bool,
    ) -> Result<(), Error> {
        let mut judgments = self.queries.iter().flat_map(|judged| &judged.judgments);
        judgments.find(|judgment| !known(&judgment.document)).map_or(Ok(()), |judgment| {
            Err(self.unknown("document", &judgment.document, Some(judgment), searched))
        })
    }

    /// Writes BEIR's format, header included, quoting fields that need it. The file appears whole or not at all.
    ///
    /// # Errors
    /// The file cannot be written, or an id holds a line break.
    pub fn write_beir(&self, path: &Path) -> Result<(), Error> {
        const RULE: &str = "hold no line break and not be empty";
        let writable = |id: &str| !id.is_empty() && !id.contains(['\n', '\r']);
        self.refuse_unwritable("BEIR", RULE, writable)?;
        Ok(write_atomically(path, |writer| {
            writeln!(writer, "query-id\tcorpus-id\tscore")?;
            for (query, judgment) in self.judgments() {
                let (query, document) = (tsv::quoted(query), tsv::quoted(&judgment.document));
                writeln!(writer, "{query}\t{document}\t{}", judgment.grade)?;
            }
            Ok(())
        })?)
    }

    /// Writes TREC's format. The file appears whole or not at all.
    ///
    /// # Errors
    /// The file cannot be written, or an id is empty, holds a blank, or begins with `#` or a byte order mark.
    pub fn write_trec(&self, path: &Path) -> Result<(), Error> {
        self.refuse_unwritable("TREC", TREC_RULE, is_trec_field)?;
        Ok(write_atomically(path, |writer| {
            for (query, judgment) in self.judgments() {
                writeln!(writer, "{query} 0 {} {}", judgment.document, judgment.grade)?;
            }
            Ok(())
        })?)
    }

    fn judgments(&self) -> impl Iterator<Item = (&str, &Judgment)> {
        self.queries
            .iter()
            .flat_map(|judged| judged.judgments.iter().map(|judgment| (judged.query.as_str(), judgment)))
    }

    fn collect(mut lines: JudgmentLines) -> Result<Self, Error> {
        let mut qrels = Self { path: Some(lines.path().to_owned()), ..Self::default() };
        for line in lines.by_ref() {
            qrels.push(line?);
        }
        if lines.is_blank() {
            return Err(Error::Empty { path: lines.path().to_owned(), expected: "judgments" });
        }
        qrels.skipped_judgment = lines.into_skipped_judgment();
        qrels.refuse_conflicts()?;
        Ok(qrels)
    }

    fn push(&mut self, JudgmentLine { query, document, grade, line }: JudgmentLine) {
        let judgment = Judgment { document: document.into(), grade, line: line as u32 };
        if let Some(&place) = self.places.get(&query) {
            self.queries[place].judgments.push(judgment);
        } else {
            self.places.insert(query.clone(), self.queries.len());
            self.queries.push(JudgedQuery { query, judgments: vec![judgment] });
        }
    }

    /// Drops repeated judgments that agree and refuses those that do not.
    fn refuse_conflicts(&mut self) -> Result<(), Error> {
        for JudgedQuery { query, judgments } in &mut self.queries {
            let mut grades: HashMap<&str, &Judgment> = HashMap::with_capacity(judgments.len());
            let mut is_repeated = vec![false; judgments.len()];
            for (judgment, is_repeated) in judgments.iter().zip(&mut is_repeated) {
                let Some(first) = grades.insert(&judgment.document, judgment) else { continue };
                if first.grade != judgment.grade {
                    return Err(conflict(self.path.as_deref(), query, first, judgment));
                }
                *is_repeated = true;
            }
            let mut is_repeated = is_repeated.into_iter();
            judgments.retain(|_| is_repeated.next() == Some(false));
        }
        Ok(())
    }

    fn unknown(&self, kind: &'static str, id: &str, judgment: Option<&Judgment>, searched: &str) -> Error {
        let line = judgment.map_or(0, |judgment| judgment.line);
        let origin = match &self.path {
            Some(path) => format!("{}:{line}", path.display()),
            None => "judgments".to_owned(),
        };
        Error::UnknownId { origin, kind, id: id.to_owned(), searched: format!("`{searched}`") }
    }

    fn refuse_unwritable(
        &self,
        format: &'static str,
        rule: &'static str,
        writable: impl Fn(&str) -> bool,
    ) -> Result<(), Error> {
        for (query, judgment) in self.judgments() {
            for (kind, id) in [("query id", query), ("document id", &judgment.document)] {
                if !writable(id) {
                    return Err(Error::UnwritableId { kind, id: id.to_owned(), format, rule });
                }
            }
        }
        Ok(())
    }
}

/// What an id must do to stand in a TREC file.
pub(crate) const TREC_RULE: &str =
    "hold no blank, not begin with `#` or a byte order mark (U+FEFF), and not be empty";

/// Whether an id can stand in a file whose fields are separated by blanks and whose comments begin with `#`. A byte order
/// mark at a file's beginning is no part of its first field, so that no field can begin with one.
pub(crate) fn is_trec_field(id: &str) -> bool {
    !id.is_empty()
        && !id.starts_with(['#', '\u{feff}'])
        && !id.contains(|c: char| c.is_ascii_whitespace() || c == '\x0b')
}

fn conflict(path: Option<&Path>, query: &str, first: &Judgment, second: &Judgment) -> Error {
    match path {
        Some(path) => Error::Malformed {
            path: path.to_owned(),
            line: second.line.into(),
            expected: format!("one grade for document `{}` of query `{query}`", second.document),
            found: format!("{} here and {} on line {}", second.grade, first.grade, first.line),
        },
        None => Error::ConflictingGrades {
            query: query.to_owned(),
            document: second.document.to_string(),
            first: first.grade,
            second: second.grade,
        },
    }
}
