//! What every store of vectors can do, whether it searches all of them or a part.

use rayon::ThreadPool;

use crate::error::IndexError;
use crate::hit::{Hit, IdOrder};

/// A search for the documents nearest to some queries.
#[derive(Clone, Copy)]
pub struct Search<'a> {
    /// The queries' vectors, `[queries, dim]`.
    pub queries: &'a [f32],
    /// How many hits each query gets; fewer where the store holds fewer documents.
    pub k: usize,
    /// The order of the documents' ids, by which equal scores are ordered.
    pub id_order: &'a IdOrder<'a>,
}

/// Documents' vectors that can be searched.
pub trait Store {
    /// Numbers a vector.
    fn dim(&self) -> usize;

    /// Number of documents.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The hits of every query, best first in the total order ([`compare_hits`](crate::compare_hits)).
    ///
    /// Memory grows with queries × k; whoever has very many queries, or wants to be able to stop, hands them over
    /// in blocks of a thousand or so, which costs no speed.
    ///
    /// # Errors
    /// The queries have another dimension, or a query or a score is not finite.
    fn search(&self, search: &Search<'_>, pool: &ThreadPool) -> Result<Vec<Vec<Hit>>, IndexError>;
}
