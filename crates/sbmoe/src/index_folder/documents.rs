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
    /// A damaged line has no id and stands first: whoever asks for its row is told.
    pub fn compare_ids(&self, a: DocOrdinal, b: DocOrdinal) -> Ordering {
        self.parse_id(a).ok().cmp(&self.parse_id(b).ok()).then(a.cmp(&b))
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
