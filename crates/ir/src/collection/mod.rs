//! Collections in BEIR layout: a folder of documents, queries and judgments.
//!
//! ```text
//! DIR/corpus.jsonl[.gz]                    {"_id": "d1", "title": "…", "text": "…", "metadata": {…}}
//! DIR/queries.jsonl[.gz]                   {"_id": "q1", "text": "…", "metadata": {…}}
//! DIR/qrels/{train,dev,test}.tsv[.gz]      query-id <tab> corpus-id <tab> score, after a header line
//! DIR/negatives.jsonl[.gz]                 {"query-id": "q1", "corpus-ids": ["d7", "d9"]}, if there are any
//! ```
//!
//! Documents and queries are streamed: one line is in memory at a time. Where a plain file and a `.gz` stand side by
//! side, the plain one is read. Not here: downloads, tokens, the choice of training pairs.

pub mod check;
mod negatives;
mod records;
mod split;

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

pub(crate) use self::records::{describe, id_of, parse_object};
pub use self::{
    check::{CheckReport, check},
    negatives::Negatives,
    records::{Document, Documents, Queries, Query, Records, documents_from, documents_of, queries_of},
    split::{Split, UnknownSplit},
};
use crate::{
    Error,
    qrels::{Qrels, QrelsFormat},
};

/// An opened collection: a folder that holds at least a corpus or a queries file.
#[derive(Clone, Debug)]
pub struct Collection {
    folder: PathBuf,
}

impl Collection {
    /// Opens the folder.
    ///
    /// # Errors
    /// Refuses a path that is not a folder, and a folder with neither corpus nor queries. Either alone is accepted;
    /// the other is missed when it is asked for.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        if !folder.is_dir() {
            return Err(Error::NotAFolder { path: folder.to_owned() });
        }
        let collection = Self { folder: folder.to_owned() };
        collection.corpus_file().or_else(|missing| collection.queries_file().map_err(|_| missing))?;
        Ok(collection)
    }

    /// The collection's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The path of `corpus.jsonl` or `corpus.jsonl.gz`.
    ///
    /// # Errors
    /// The folder has neither.
    pub fn corpus_file(&self) -> Result<PathBuf, Error> {
        self.file("corpus.jsonl")
    }

    /// The path of `queries.jsonl` or `queries.jsonl.gz`.
    ///
    /// # Errors
    /// The folder has neither.
    pub fn queries_file(&self) -> Result<PathBuf, Error> {
        self.file("queries.jsonl")
    }

    /// The path of the split's judgments.
    ///
    /// # Errors
    /// The folder has none for the split.
    pub fn qrels_file(&self, split: Split) -> Result<PathBuf, Error> {
        self.file(&format!("qrels/{split}.tsv"))
    }

    /// The splits that have judgments, in the order train, dev, test.
    pub fn splits(&self) -> Vec<Split> {
        Split::ALL.into_iter().filter(|split| self.qrels_file(*split).is_ok()).collect()
    }

    /// Streams the documents in the order of the file.
    ///
    /// # Errors
    /// The corpus is missing or cannot be opened.
    pub fn documents(&self) -> Result<Documents, Error> {
        documents_of(&self.corpus_file()?)
    }

    /// Streams all queries, whatever split they belong to, in the order of the file.
    ///
    /// # Errors
    /// The queries file is missing or cannot be opened.
    pub fn queries(&self) -> Result<Queries, Error> {
        queries_of(&self.queries_file()?)
    }

    /// Reads the split's judgments. The file's first line is skipped whatever it says, as every reader of the format
    /// does; [`Qrels::skipped_judgment`] tells when that lost a judgment. A first line of TREC's four columns makes it a
    /// TREC file, which some collections have under BEIR's name.
    ///
    /// # Errors
    /// The file is missing or a line of it is malformed.
    pub fn qrels(&self, split: Split) -> Result<Qrels, Error> {
        Qrels::read_as(&self.qrels_file(split)?, QrelsFormat::Beir)
    }

    /// The queries that `qrels` judges, in the order of the queries file.
    ///
    /// # Errors
    /// A query cannot be read, or a judgment names a query that is not there (file and line are named).
    pub fn judged_queries(&self, qrels: &Qrels) -> Result<Vec<Query>, Error> {
        let path = self.queries_file()?;
        let queries = queries_of(&path)?
            .filter(|query| query.as_ref().map_or(true, |query| qrels.get(&query.id).is_some()))
            .collect::<Result<Vec<_>, _>>()?;
        let known: HashSet<&str> = queries.iter().map(|query| query.id.as_str()).collect();
        qrels.refuse_unknown_queries(&path.display().to_string(), |id| known.contains(id))?;
        Ok(queries)
    }

    /// The explicit negatives, when the collection has a `negatives.jsonl`.
    ///
    /// # Errors
    /// The file is there but malformed.
    pub fn negatives(&self) -> Result<Option<Negatives>, Error> {
        match self.file("negatives.jsonl") {
            Ok(path) => Negatives::read(&path).map(Some),
            Err(_) => Ok(None),
        }
    }

    fn file(&self, name: &str) -> Result<PathBuf, Error> {
        [self.folder.join(name), self.folder.join(format!("{name}.gz"))]
            .into_iter()
            .find(|path| path.is_file())
            .ok_or_else(|| Error::MissingFile { folder: self.folder.clone(), name: name.to_owned() })
    }
}
