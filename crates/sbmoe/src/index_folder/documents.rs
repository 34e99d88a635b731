//! Ids, titles and snippets of an index's documents, read a row at a time from a mapped file.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sbmoe_index::{ByteRows, DocOrdinal};
use serde::{Deserialize, Serialize};

/// The file of the rows, within the index folder.
pub const DOCUMENTS_FILE: &str = "documents.jsonl";

/// Characters of a text that its snippet keeps.
const SNIPPET_CHARACTERS: usize = 200;

/// What an index keeps of a document besides its vector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentRow {
    /// The document's id: any string, line breaks included.
    pub id: String,
    /// Its title, empty where it has none.
    pub title: String,
    /// The beginning of its text, on one line.
    pub snippet: String,
}

impl DocumentRow {
    /// The row of a document: of `text` the first 200 characters stay, white space made single spaces, with `…`
    /// where something was cut.
    pub fn new(id: &str, title: &str, text: &str) -> Self {
        let mut snippet = String::new();
        let mut characters = 0;
        for word in text.split_whitespace() {
            if !snippet.is_empty() {
                snippet.push(' ');
                characters += 1;
            }
            for character in word.chars() {
                if characters >= SNIPPET_CHARACTERS {
                    snippet.truncate(snippet.trim_end().len());
                    snippet.push('…');
                    return Self { id: id.to_owned(), title: title.to_owned(), snippet };
                }
                snippet.push(character);
                characters += 1;
            }
        }
        Self { id: id.to_owned(), title: title.to_owned(), snippet }
    }

    /// The row's line, line break included.
    pub(super) fn to_line(&self) -> Result<Vec<u8>> {
        let mut line = serde_json::to_vec(self)?;
        line.push(b'\n');
        Ok(line)
    }
}

/// The part of a row that most readers need.
#[derive(Deserialize)]
struct Id<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
}

/// The id at the beginning of a row's line: the bytes between its quotes, unless one of them had to be escaped.
fn plain_id(line: &[u8]) -> Option<&[u8]> {
    let rest = line.strip_prefix(b"{\"id\":\"")?;
    let end = rest.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
    (rest[end] == b'"').then_some(&rest[..end])
}

/// The rows of an index's documents.
#[derive(Debug)]
pub struct Documents {
    path: PathBuf,
    rows: ByteRows,
}

impl Documents {
    /// Opens the rows in an index folder.
    ///
    /// # Errors
    /// A file is missing or was cut short.
    pub fn open(folder: &Path) -> Result<Self> {
        let path = folder.join(DOCUMENTS_FILE);
        let rows = ByteRows::open(&path)?;
        Ok(Self { path, rows })
    }

    /// Number of documents.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Id, title and snippet of a document.
    ///
    /// # Errors
    /// There is no such document, or its line was damaged.
    pub fn row(&self, document: DocOrdinal) -> Result<DocumentRow> {
        serde_json::from_slice(self.line(document)?).with_context(|| self.damaged(document))
    }

    /// A document's id.
    ///
    /// # Errors
    /// There is no such document, or its line was damaged.
    pub fn id(&self, document: DocOrdinal) -> Result<String> {
        Ok(self.parse_id(document)?.into_owned())
    }

    /// The order of two documents by id, byte by byte; documents of one id by their place.
    ///
    /// A line whose id cannot be read has none and stands first: whoever asks for its row is told.
    pub fn compare_ids(&self, a: DocOrdinal, b: DocOrdinal) -> Ordering {
        self.id_bytes(a).cmp(&self.id_bytes(b)).then(a.cmp(&b))
    }

    /// A document's id where its line says one. Among documents of one score this is asked for each of them, and reading
    /// the whole line would take longer than the search.
    fn id_bytes(&self, document: DocOrdinal) -> Option<Cow<'_, [u8]>> {
        if let Some(id) = self.rows.row(document as usize).and_then(plain_id) {
            return Some(Cow::Borrowed(id));
        }
        Some(match self.parse_id(document).ok()? {
            Cow::Borrowed(id) => Cow::Borrowed(id.as_bytes()),
            Cow::Owned(id) => Cow::Owned(id.into_bytes()),
        })
    }

    fn parse_id(&self, document: DocOrdinal) -> Result<Cow<'_, str>> {
        let id: Id<'_> =
            serde_json::from_slice(self.line(document)?).with_context(|| self.damaged(document))?;
        Ok(id.id)
    }

    fn line(&self, document: DocOrdinal) -> Result<&[u8]> {
        self.rows.row(document as usize).with_context(|| self.damaged(document))
    }

    fn damaged(&self, document: DocOrdinal) -> String {
        format!("`{}` has no readable row {document}: check it with `sbmoe index check`", self.path.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_without_escapes_is_read_where_it_stands() {
        for id in ["", "doc1", "ä/é", "a,b:{}", "quote\"", "back\\slash", "line\nbreak", "\u{1}"] {
            let line = DocumentRow::new(id, "t", "\"text\"").to_line().unwrap();
            let escaped = id.contains(['"', '\\', '\n', '\u{1}']);
            assert_eq!(plain_id(&line), (!escaped).then_some(id.as_bytes()), "{id}");
        }
        for line in ["", "{\"id\":\"cut", "{\"title\":\"\",\"id\":\"a\"}", "{\"id\":1}"] {
            assert_eq!(plain_id(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn a_snippet_is_the_beginning_on_one_line() {
        let check =
            |text: &str, expected: &str| assert_eq!(DocumentRow::new("d", "", text).snippet, expected);
        check("", "");
        check("  two\n\twords ", "two words");
        check(&"ä".repeat(200), &"ä".repeat(200));
        check(&"ä".repeat(201), &format!("{}…", "ä".repeat(200)));
        check(&format!("{} tail", "x".repeat(199)), &format!("{}…", "x".repeat(199)));
    }
}
