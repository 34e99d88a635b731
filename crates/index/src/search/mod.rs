//! Exact search: every document against every query, without an index to build.
//!
//! Documents are walked in tiles that fit the second-level cache, and each tile is scored against panel after panel
//! of queries before the next is read; a kernel compares scores with the queries' floors while they are in
//! registers, so that only the few that may belong among the best leave it. Workers take pieces of documents ×
//! queries until none is left. Which worker takes which piece is left to chance and does not show: the best `k` of
//! a strict total order are one set, and every score is computed by itself.
//!
//! [`exact`] scores from the f32 rows; [`sifter`] estimates scores from rounded rows first and scores what they
//! cannot rule out. The rows come from a copy ([`rounded`]), or are rounded tile by tile where a batch of queries
//! makes that worth it. How the work is cut and shared, and what is refused, is the same for all and stands here.

mod estimates;
mod exact;
mod panel;
mod ranked;
mod rescorer;
mod rounded;
mod selection;
mod shortlist;
mod sift;
mod sifter;
mod tiles;
mod worker;

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::ThreadPool;
use rayon::prelude::*;

use crate::error::IndexError;
use crate::hit::{DocOrdinal, Hit};
use crate::kernel::dot;
use crate::store::{Search, Store};

use self::tiles::Tiles;

pub use self::exact::Exact;
pub use self::rounded::Rounded;

/// Queries that are packed and searched together: their panels stay in the last-level cache.
const QUERIES_AT_ONCE: usize = 1024;

/// Panels that a worker takes at once, at least.
const PANELS_A_PIECE: usize = 8;

/// Pieces that the threads find each, where there are enough: the last of them ends soon after the others.
const PIECES_A_THREAD: usize = 16;

/// A document and the block's query whose score is not a finite number. The first of them is reported.
type Fault = (DocOrdinal, usize);

/// How tiles of documents are scored, and what is kept of them.
trait Scan: Sync {
    /// Some queries, laid out.
    type Panel: Sync;
    /// What one worker keeps of the documents that it saw.
    type Worker: Send + Sync;

    /// The vectors that define the scores.
    fn exact(&self) -> &Exact<'_>;

    /// The documents, cut.
    fn tiles(&self) -> Tiles;

    /// Lays out a block's queries, `[queries, dim]`.
    fn pack(&self, queries: &[f32]) -> Vec<Self::Panel>;

    /// A worker for a block of so many queries.
    fn worker(&self, queries: usize) -> Self::Worker;

    /// Scores a tile against some panels.
    fn scan(
        &self,
        worker: &mut Self::Worker,
        tile: Range<usize>,
        panels: &[Self::Panel],
        search: &Search<'_>,
    );

    /// Whether the scan should end without an answer, because another is faster.
    fn has_given_up(&self) -> bool {
        false
    }

    /// The first fault that a worker met.
    fn fault(worker: &Self::Worker) -> Option<Fault>;

    /// The best hits of a query among all workers' documents, and the first fault met on the way.
    fn merge(
        &self,
        workers: &[Self::Worker],
        panels: &[Self::Panel],
        query: usize,
        search: &Search<'_>,
    ) -> (Vec<Hit>, Option<Fault>);
}

/// Checks a search and has it answered block after block of queries, of which `answer` gets the first one's place.
fn run(
    exact: &Exact<'_>,
    search: &Search<'_>,
    pool: &ThreadPool,
    answer: impl Fn(&Search<'_>, usize) -> Result<Vec<Vec<Hit>>, IndexError> + Sync,
) -> Result<Vec<Vec<Hit>>, IndexError> {
    let dim = exact.dim();
    if !search.queries.len().is_multiple_of(dim) {
        return Err(IndexError::QueryDimension { dim, received: search.queries.len() });
    }
    if let Some(at) = search.queries.iter().position(|value| !value.is_finite()) {
        return Err(IndexError::QueryNotFinite {
            row: at / dim,
            column: at % dim,
            value: search.queries[at],
        });
    }
    if search.k == 0 {
        return Ok(vec![Vec::new(); search.queries.len() / dim]);
    }
    pool.install(|| {
        let mut hits = Vec::with_capacity(search.queries.len() / dim);
        for queries in search.queries.chunks(QUERIES_AT_ONCE * dim) {
            let first_query = hits.len();
            hits.extend(answer(&Search { queries, ..*search }, first_query)?);
        }
        Ok(hits)
    })
}

/// The hits of at most [`QUERIES_AT_ONCE`] queries, of which the first is the search's `first_query`; none where the
/// scan gave up.
fn answer<S: Scan>(
    scan: &S,
    search: &Search<'_>,
    first_query: usize,
) -> Result<Option<Vec<Vec<Hit>>>, IndexError> {
    let dim = scan.exact().dim();
    let panels = scan.pack(search.queries);
    let queries = search.queries.len() / dim;
    let tiles = scan.tiles();
    let threads = rayon::current_num_threads();
    // As many panels as leave every thread some pieces: what a tile is made ready for, it is made ready for once.
    let at_once = tiles.spans() * panels.len() / (threads * PIECES_A_THREAD);
    let groups: Vec<&[S::Panel]> = panels.chunks(at_once.max(PANELS_A_PIECE)).collect();
    let pieces = tiles.spans() * groups.len();
    let next = AtomicUsize::new(0);
    let work = |_| {
        let mut worker = scan.worker(queries);
        loop {
            let piece = next.fetch_add(1, Ordering::Relaxed);
            if piece >= pieces || scan.has_given_up() {
                return worker;
            }
            for tile in tiles.of_span(piece / groups.len()) {
                scan.scan(&mut worker, tile, groups[piece % groups.len()], search);
            }
        }
    };
    let workers: Vec<S::Worker> = (0..threads.min(pieces)).into_par_iter().map(work).collect();
    if scan.has_given_up() {
        return Ok(None);
    }
    let merged: Vec<(Vec<Hit>, Option<Fault>)> =
        (0..queries).into_par_iter().map(|query| scan.merge(&workers, &panels, query, search)).collect();
    let faults = workers.iter().filter_map(S::fault).chain(merged.iter().filter_map(|(_, fault)| *fault));
    if let Some((document, query)) = faults.min() {
        let row = |vectors: &[f32], row: usize| vectors[row * dim..][..dim].to_vec();
        let score = dot(&row(search.queries, query), &row(scan.exact().vectors(), document as usize));
        return Err(IndexError::ScoreNotFinite { query: first_query + query, document, score });
    }
    Ok(Some(merged.into_iter().map(|(hits, _)| hits).collect()))
}

/// Keeps the earlier of two faults.
fn note(known: &mut Option<Fault>, fault: Fault) {
    *known = Some(known.map_or(fault, |known| known.min(fault)));
}
