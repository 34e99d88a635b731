//! Which documents have the text of a known positive.

use std::{
    collections::{HashMap, HashSet},
    path::Path,
};

use super::positives;
use crate::{Error, Qrels, collection::documents_of, text_hash::text_hash};

/// The documents that share their text, title included, with a document that some query is answered by.
#[derive(Clone, Debug, Default)]
pub struct PositiveTexts {
    /// A document's text, by its hash.
    of: HashMap<Box<str>, u128>,
}

impl PositiveTexts {
    /// Reads a corpus file twice, first the positives of `qrels` and then who shares their texts; what is kept is an id
    /// and a hash for each of these.
    ///
    /// # Errors
    /// The file cannot be opened or a line is malformed.
    pub fn read(corpus: &Path, qrels: &Qrels) -> Result<Self, Error> {
        let known: HashSet<&str> = qrels.iter().flat_map(|judged| positives(&judged.judgments)).collect();
        let mut hashes = HashSet::new();
        for document in documents_of(corpus)? {
            let document = document?;
            if known.contains(document.id.as_str()) {
                hashes.insert(text_hash(&document.joined()));
            }
        }
        let mut of = HashMap::new();
        for document in documents_of(corpus)? {
            let document = document?;
            let hash = text_hash(&document.joined());
            if hashes.contains(&hash) {
                of.insert(document.id.into_boxed_str(), hash);
            }
        }
        Ok(Self { of })
    }

    /// The texts of those of `documents` that have the text of a positive.
    pub(super) fn of<'a>(&self, documents: impl IntoIterator<Item = &'a str>) -> impl Iterator<Item = u128> {
        documents.into_iter().filter_map(|document| self.of.get(document).copied())
    }
}
