//! Hits and the one order in which they stand.

use std::cmp::Ordering;

/// A document's place in the collection, which is its row in the vectors' file.
pub type DocOrdinal = u32;

/// The order of two documents' ids, ascending.
///
/// Ids belong to whoever holds the documents; it is asked only where two scores are equal.
pub type IdOrder<'a> = dyn Fn(DocOrdinal, DocOrdinal) -> Ordering + Sync + 'a;

/// A document found, with its score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit {
    /// The document.
    pub document: DocOrdinal,
    /// Its inner product with the query: a finite number.
    pub score: f32,
}

/// The total order of hits: score descending, then document id descending, as the standard evaluation program has
/// it.
///
/// [`Ordering::Less`] says that `a` comes before `b`.
pub fn compare_hits(a: &Hit, b: &Hit, id_order: &IdOrder<'_>) -> Ordering {
    // Scores are finite, so they compare; 0 and −0 are the same score.
    b.score.partial_cmp(&a.score).unwrap_or(Ordering::Equal).then_with(|| id_order(b.document, a.document))
}

/// The best `k` of several lists of hits, in the total order: what a search of all the lists' documents at once
/// would find, where each list holds the best `k` of its own documents.
pub fn merge(lists: &[&[Hit]], k: usize, id_order: &IdOrder<'_>) -> Vec<Hit> {
    let mut hits: Vec<Hit> = lists.concat();
    if k < hits.len() && k > 0 {
        hits.select_nth_unstable_by(k - 1, |a, b| compare_hits(a, b, id_order));
    }
    hits.truncate(k);
    hits.sort_unstable_by(|a, b| compare_hits(a, b, id_order));
    hits
}
