//! A file of a teacher's scores, joined with the training queries.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use anyhow::{Result, bail, ensure};
use sbmoe_ir::scores::{ScoredPair, Scores};
use sbmoe_ir::{Collection, Error};

use super::super::judgments::{Judgments, TrainingQuery};

/// A document that the teacher scored for a query.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::training) struct Scored {
    pub(in crate::training) document: String,
    pub(in crate::training) score: f32,
    /// Of the file.
    pub(in crate::training) line: u64,
}

/// Gives each training query its scores of the file, and to its negatives those of the scored documents that are no
/// positives, so that batches can hold them. Scores of other queries of the collection are passed over.
///
/// # Errors
/// A file that cannot be read, a malformed line, a query that is not in the collection, a document that is scored twice for
/// a training query, or no score of any; the message names file and line.
pub(in crate::training) fn join(
    path: &Path,
    collection: &Collection,
    judgments: &mut Judgments,
) -> Result<()> {
    let Judgments { training, held_back, .. } = judgments;
    // A query may be trained on and be held back, where two splits judge it.
    let mut lists = [training, held_back];
    let places = lists.each_ref().map(|queries| {
        let ids = queries.iter().map(|query| query.id.clone());
        ids.zip(0usize..).collect::<HashMap<String, usize>>()
    });
    let mut others: BTreeMap<String, u64> = BTreeMap::new();
    let mut rows = 0u64;
    for pair in Scores::open(path)? {
        let ScoredPair { query, document, score, line } = pair?;
        rows += 1;
        let mut is_trained = false;
        for (queries, places) in lists.iter_mut().zip(&places) {
            if let Some(&place) = places.get(&query) {
                queries[place].scores.push(Scored { document: document.clone(), score, line });
                is_trained = true;
            }
        }
        if !is_trained {
            others.entry(query).or_insert(line);
        }
    }
    refuse_unknown_queries(path, collection, others)?;
    for query in lists.iter_mut().flat_map(|queries| queries.iter_mut()) {
        refuse_repeated(path, query)?;
        let TrainingQuery { positives, negatives, scores, .. } = query;
        for Scored { document, .. } in scores {
            if !positives.contains(document) && !negatives.contains(document) {
                negatives.push(document.clone());
            }
        }
    }
    ensure!(
        lists[0].iter().any(|query| !query.scores.is_empty()),
        "none of the {rows} scores in `{}` is of a training query",
        path.display()
    );
    Ok(())
}

/// Refuses scores of queries that the collection does not have; `scored` are those that are not trained on, with a line.
fn refuse_unknown_queries(
    path: &Path,
    collection: &Collection,
    mut scored: BTreeMap<String, u64>,
) -> Result<()> {
    if scored.is_empty() {
        return Ok(());
    }
    for query in collection.queries()? {
        scored.remove(&query?.id);
    }
    match scored.into_iter().min_by_key(|(_, line)| *line) {
        None => Ok(()),
        Some((id, line)) => Err(unknown((path, line), "query", id, &collection.queries_file()?).into()),
    }
}

/// Refuses scores of documents that `known` denies.
pub(in crate::training) fn refuse_unknown_documents<'a>(
    path: &Path,
    queries: impl Iterator<Item = &'a TrainingQuery>,
    corpus: &Path,
    known: impl Fn(&str) -> bool,
) -> Result<()> {
    let scored = queries.flat_map(|query| &query.scores).filter(|scored| !known(&scored.document));
    match scored.min_by_key(|scored| scored.line) {
        None => Ok(()),
        Some(first) => Err(unknown((path, first.line), "document", first.document.clone(), corpus).into()),
    }
}

fn unknown((path, line): (&Path, u64), kind: &'static str, id: String, searched: &Path) -> Error {
    let origin = format!("{}:{line}", path.display());
    Error::UnknownId { origin, kind, id, searched: format!("`{}`", searched.display()) }
}

fn refuse_repeated(path: &Path, query: &TrainingQuery) -> Result<()> {
    let mut lines: HashMap<&str, u64> = HashMap::with_capacity(query.scores.len());
    for Scored { document, line, .. } in &query.scores {
        if let Some(first) = lines.insert(document, *line) {
            bail!(
                "{}:{line}: document `{document}` of query `{}` is scored on line {first} already; keep one of the two",
                path.display(),
                query.id
            );
        }
    }
    Ok(())
}
