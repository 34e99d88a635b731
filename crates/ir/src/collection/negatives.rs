//! Explicit negatives: documents known not to answer a query, for training.
//!
//! `negatives.jsonl` beside `qrels/`, one `{"query-id": "q1", "corpus-ids": ["d7", "d9"]}` a line. Other fields, such as the `scores`
//! that [mining](crate::mine) adds, are ignored.

use std::{collections::HashMap, path::Path};

use serde::Deserialize;
use serde_json::Value;

use super::records::{Records, describe, id_of, parse_object};
use crate::{Error, lines::Fault};

/// The negatives of each query, in the order of the file. Lines of the same query add up.
#[derive(Clone, Debug, Default)]
pub struct Negatives {
    queries: Vec<(String, Vec<String>)>,
    places: HashMap<String, usize>,
}

impl Negatives {
    /// Reads `negatives.jsonl`, plain or gzipped.
    ///
    /// # Errors
    /// The file cannot be opened or a line is malformed.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let mut negatives = Self::default();
        for line in negatives_lines(path)? {
            let NegativesLine { query, mut documents } = line?;
            if let Some(&place) = negatives.places.get(&query) {
                negatives.queries[place].1.append(&mut documents);
            } else {
                negatives.places.insert(query.clone(), negatives.queries.len());
                negatives.queries.push((query, documents));
            }
        }
        Ok(negatives)
    }

    /// The negatives of a query; empty when it has none.
    pub fn of(&self, query: &str) -> &[String] {
        self.places.get(query).map_or(&[], |&place| &self.queries[place].1)
    }

    /// Queries and their negatives, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.queries.iter().map(|(query, documents)| (query.as_str(), documents.as_slice()))
    }
}

/// One line of the file.
pub(super) struct NegativesLine {
    pub(super) query: String,
    pub(super) documents: Vec<String>,
}

pub(super) fn negatives_lines(path: &Path) -> Result<Records<NegativesLine>, Error> {
    Records::open(path, parse)
}

#[derive(Deserialize)]
struct Fields {
    #[serde(rename = "query-id")]
    query: Option<Value>,
    #[serde(rename = "corpus-ids")]
    documents: Option<Value>,
}

fn parse(line: &str) -> Result<NegativesLine, Fault> {
    let fields: Fields = parse_object(line)?;
    let query = id_of("query-id", fields.query)?;
    let Some(Value::Array(documents)) = fields.documents else {
        return Err(Fault::new("an array of ids under `corpus-ids`", describe(fields.documents.as_ref())));
    };
    let documents =
        documents.into_iter().map(|id| id_of("corpus-ids", Some(id))).collect::<Result<Vec<_>, _>>()?;
    Ok(NegativesLine { query, documents })
}
