//! The texts that a run needs, in the order of the collection, and where each id stands among them.
//!
//! A frozen encoder's vectors are computed for the whole collection, so that later runs find them, and a trained one is
//! judged over all of it. Otherwise only what is judged, named as a negative or drawn for validation is held in memory.

use std::collections::{BinaryHeap, HashMap, HashSet};
use std::path::Path;

use anyhow::{Result, bail};
use sbmoe_ir::{Collection, Document, Qrels};
use sbmoe_kernels::Key;

use super::config::RunConfig;
use super::judgments::Judgments;
use super::teaching;

/// Ids and texts, by ordinal.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Texts {
    pub(super) ids: Vec<String>,
    pub(super) contents: Vec<String>,
    ordinals: HashMap<String, u32>,
}

impl Texts {
    /// The ordinal of an id.
    pub(super) fn ordinal(&self, id: &str) -> Option<u32> {
        self.ordinals.get(id).copied()
    }

    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    fn push(&mut self, id: String, text: String) {
        self.ordinals.insert(id.clone(), self.ids.len() as u32);
        self.ids.push(id);
        self.contents.push(text);
    }
}

/// The queries that are judged, or all when the encoder is frozen.
pub(super) fn read_queries(
    collection: &Collection,
    judgments: &Judgments,
    config: &RunConfig,
) -> Result<Texts> {
    let path = collection.queries_file()?;
    let mut queries = Texts::default();
    for query in collection.queries()? {
        let query = query?;
        if config.freeze_encoder || judgments.read.iter().any(|qrels| qrels.get(&query.id).is_some()) {
            if queries.ordinal(&query.id).is_some() {
                bail!(repeated("query", &query.id, &path, collection.folder()));
            }
            queries.push(query.id, query.text);
        }
    }
    for qrels in &judgments.read {
        qrels.refuse_unknown_queries(&path.display().to_string(), |id| queries.ordinal(id).is_some())?;
    }
    Ok(queries)
}

/// The documents that a run reads.
#[derive(Debug, Default)]
pub(super) struct Documents {
    /// Titles and texts, joined.
    pub(super) texts: Texts,
    /// What each may be looked for by without a query: its title, else its first words. Empty where nobody asks for them.
    pub(super) beginnings: Vec<String>,
    /// Ordinals of those that validation queries are ranked over.
    pub(super) ranked: Vec<u32>,
}

/// Words of a text's beginning, where there is no title.
const BEGINNING: usize = 24;

/// Whether a run holds the whole corpus.
pub(super) fn reads_all(judgments: &Judgments, config: &RunConfig) -> bool {
    config.freeze_encoder || (!judgments.held_out.is_empty() && config.validation_documents.is_none())
}

fn beginning(document: &Document) -> String {
    if document.title.trim().is_empty() {
        document.text.split_whitespace().take(BEGINNING).collect::<Vec<_>>().join(" ")
    } else {
        document.title.clone()
    }
}

/// The documents that the run reads.
pub(super) fn read_documents(
    collection: &Collection,
    judgments: &Judgments,
    config: &RunConfig,
) -> Result<Documents> {
    let path = collection.corpus_file()?;
    let named = Named::new(judgments);
    let all = reads_all(judgments, config);
    let room = if judgments.held_out.is_empty() { 0 } else { config.validation_documents.unwrap_or(0) };
    let mut sample = Sample::new(room.saturating_sub(named.ranked.len()), config.seed);
    let mut kept: Vec<(u64, String, String, Option<String>)> = Vec::new();
    let mut seen: HashSet<String> = HashSet::new();
    for (place, document) in (0u64..).zip(collection.documents()?) {
        let document = document?;
        let id = document.id.as_str();
        let is_named = named.checked.contains(id);
        if (is_named || all) && !seen.insert(id.to_owned()) {
            bail!(repeated("document", id, &path, collection.folder()));
        }
        let is_drawn = !all && !named.ranked.contains(id) && sample.offer(place);
        if all || is_drawn || named.needed.contains(id) {
            let beginning = (config.anchor > 0).then(|| beginning(&document));
            kept.push((place, document.joined().into_owned(), document.id, beginning));
        }
        // Texts that fell out of the sample are dropped now and then, so that memory follows what is needed.
        if !all && kept.len() > 2 * (sample.size + named.needed.len()) {
            let drawn = sample.places();
            kept.retain(|(place, _, id, _)| named.needed.contains(id.as_str()) || drawn.contains(place));
        }
    }
    for qrels in &judgments.read {
        qrels.refuse_unknown_documents(&path.display().to_string(), |id| seen.contains(id))?;
    }
    let learned = judgments.training.iter().chain(&judgments.held_back);
    if let Some(scores) = &config.distill {
        teaching::refuse_unknown_documents(scores, learned.clone(), &path, |id| seen.contains(id))?;
    }
    for query in learned {
        if let Some(id) = query.negatives.iter().find(|id| !seen.contains(*id)) {
            bail!(
                "`negatives.jsonl`: document `{id}` of query `{}` is not in `{}`",
                query.id,
                path.display()
            );
        }
    }
    let drawn = sample.places();
    let mut documents = Documents::default();
    for (place, text, id, beginning) in kept {
        let is_ranked = all || named.ranked.contains(id.as_str()) || drawn.contains(&place);
        if is_ranked || named.needed.contains(id.as_str()) {
            if is_ranked {
                documents.ranked.push(documents.texts.len() as u32);
            }
            documents.texts.push(id, text);
            documents.beginnings.extend(beginning);
        }
    }
    Ok(documents)
}

/// The documents that judgments and negatives name.
struct Named<'a> {
    /// Those that must exist.
    checked: HashSet<&'a str>,
    /// Those whose texts are read: positives, negatives, and what is judged for a held-out query.
    needed: HashSet<&'a str>,
    /// Those that are judged for a held-out query.
    ranked: HashSet<&'a str>,
}

impl<'a> Named<'a> {
    fn new(judgments: &'a Judgments) -> Self {
        let judged = judgments.read.iter().flat_map(Qrels::iter).flat_map(|query| &query.judgments);
        let learned = judgments.training.iter().chain(&judgments.held_back);
        let learned = learned.flat_map(|query| query.positives.iter().chain(&query.negatives));
        let ranked = judgments.held_out.iter().flat_map(|query| &query.judged.judgments);
        let ranked: HashSet<&str> = ranked.map(|judgment| &*judgment.document).collect();
        let needed: HashSet<&str> = learned.map(String::as_str).chain(ranked.iter().copied()).collect();
        let checked = judged.map(|judgment| &*judgment.document).chain(needed.iter().copied()).collect();
        Self { checked, needed, ranked }
    }
}

/// A sample of places drawn by key while they go by: those with the smallest draws.
struct Sample {
    size: usize,
    key: Key,
    /// The largest draw is on top, since it is the first to go.
    drawn: BinaryHeap<(u64, u64)>,
}

impl Sample {
    fn new(size: usize, seed: u64) -> Self {
        Self { size, key: Key::new(seed).purpose("validation documents"), drawn: BinaryHeap::new() }
    }

    /// Whether the place is in the sample of those offered so far.
    fn offer(&mut self, place: u64) -> bool {
        self.drawn.push((self.key.with(place).bits(), place));
        let out = if self.drawn.len() > self.size { self.drawn.pop() } else { None };
        out.is_none_or(|(_, out)| out != place)
    }

    fn places(&self) -> HashSet<u64> {
        self.drawn.iter().map(|(_, place)| *place).collect()
    }
}

fn repeated(kind: &str, id: &str, path: &Path, folder: &Path) -> String {
    format!(
        "{kind} `{id}` stands twice in `{}`; `sbmoe data check {}` lists all such",
        path.display(),
        folder.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_has_its_size_and_follows_the_seed() {
        let drawn = |size: usize, seed: u64| {
            let mut sample = Sample::new(size, seed);
            let last = (0..100).filter(|place| sample.offer(*place)).count();
            assert!(last >= size.min(100), "what ends in the sample was told so when it was offered");
            sample.places()
        };
        for size in [0, 1, 30, 100, 200] {
            assert_eq!(drawn(size, 1).len(), size.min(100));
        }
        assert_eq!(drawn(30, 1), drawn(30, 1));
        assert_ne!(drawn(30, 1), drawn(30, 2));
    }
}
