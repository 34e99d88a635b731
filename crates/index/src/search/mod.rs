//! Exact search: every document against every query, without an index to build.
//!
//! Documents are walked in tiles that fit the second-level cache, and each tile is scored against panel after panel
//! of queries before the next is read; a kernel compares scores with the queries' floors while they are in
//! registers, so that only the few that may belong among the best leave it. Workers take pieces of documents ×
//! queries until none is left. Which worker takes which piece is left to chance and does not show: the best `k` of
//! a strict total order are one set, and every score is computed by itself.

mod panel;
mod ranked;
mod selection;
mod tiles;
mod worker;

use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::ThreadPool;
use rayon::prelude::*;

use crate::error::IndexError;
use crate::hit::Hit;
use crate::kernel::dot;
use crate::level::SimdLevel;
use crate::store::{Search, Store};

use self::panel::{Panel, pack};
use self::tiles::Tiles;
use self::worker::Worker;

/// Queries that are packed and searched together: their panels stay in the last-level cache.
const QUERIES_AT_ONCE: usize = 1024;

/// Panels that a worker takes at once.
const PANELS_A_PIECE: usize = 8;

/// Vectors searched exactly.
#[derive(Clone, Copy, Debug)]
pub struct Exact<'a> {
    vectors: &'a [f32],
    dim: usize,
    level: SimdLevel,
}

impl<'a> Exact<'a> {
    /// A store over `vectors`, `[documents, dim]`, such as [`Vectors::as_slice`](crate::Vectors::as_slice) gives
    /// them.
    ///
    /// # Errors
    /// `vectors` is not a whole number of rows, `dim` is 0, or the processor lacks the instructions of `level`.
    pub fn new(vectors: &'a [f32], dim: usize, level: SimdLevel) -> Result<Self, IndexError> {
        if dim == 0 {
            return Err(IndexError::ZeroDimension);
        }
        if !vectors.len().is_multiple_of(dim) {
            return Err(IndexError::RowLength { columns: dim, received: vectors.len() });
        }
        if !level.is_available() {
            return Err(IndexError::LevelUnavailable { level: level.name(), best: SimdLevel::best().name() });
        }
        Ok(Self { vectors, dim, level })
    }

    /// The hits of at most [`QUERIES_AT_ONCE`] queries, of which the first is the search's `first_query`.
    fn search_block(&self, search: &Search<'_>, first_query: usize) -> Result<Vec<Vec<Hit>>, IndexError> {
        let panels = pack(search.queries, self.dim, self.level);
        let queries = search.queries.len() / self.dim;
        let tiles = Tiles::new(self.vectors, self.dim);
        let groups: Vec<&[Panel]> = panels.chunks(PANELS_A_PIECE).collect();
        let pieces = tiles.spans() * groups.len();
        let next = AtomicUsize::new(0);
        let work = |_| {
            let mut worker = Worker::new(queries, search.k, search.id_order);
            loop {
                let piece = next.fetch_add(1, Ordering::Relaxed);
                if piece >= pieces {
                    return worker;
                }
                worker.scan(&tiles, piece / groups.len(), groups[piece % groups.len()]);
            }
        };
        let workers = rayon::current_num_threads().min(pieces);
        let workers: Vec<Worker<'_>> = (0..workers).into_par_iter().map(work).collect();
        if let Some((document, query)) = workers.iter().filter_map(Worker::fault).min() {
            let score = dot(self.row(search.queries, query), self.row(self.vectors, document as usize));
            return Err(IndexError::ScoreNotFinite { query: first_query + query, document, score });
        }
        Ok((0..queries).into_par_iter().map(|query| Worker::merge(&workers, query, search)).collect())
    }

    fn row<'v>(&self, vectors: &'v [f32], row: usize) -> &'v [f32] {
        &vectors[row * self.dim..][..self.dim]
    }
}

impl Store for Exact<'_> {
    fn dim(&self) -> usize {
        self.dim
    }

    fn len(&self) -> usize {
        self.vectors.len() / self.dim
    }

    fn search(&self, search: &Search<'_>, pool: &ThreadPool) -> Result<Vec<Vec<Hit>>, IndexError> {
        if !search.queries.len().is_multiple_of(self.dim) {
            return Err(IndexError::QueryDimension { dim: self.dim, received: search.queries.len() });
        }
        if let Some(at) = search.queries.iter().position(|value| !value.is_finite()) {
            return Err(IndexError::QueryNotFinite {
                row: at / self.dim,
                column: at % self.dim,
                value: search.queries[at],
            });
        }
        if search.k == 0 {
            return Ok(vec![Vec::new(); search.queries.len() / self.dim]);
        }
        pool.install(|| {
            let mut hits = Vec::with_capacity(search.queries.len() / self.dim);
            for queries in search.queries.chunks(QUERIES_AT_ONCE * self.dim) {
                let first_query = hits.len();
                hits.extend(self.search_block(&Search { queries, ..*search }, first_query)?);
            }
            Ok(hits)
        })
    }
}
