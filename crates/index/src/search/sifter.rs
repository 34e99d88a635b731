//! A search that reads a rounded copy: estimates rule out nearly every document, the others are scored.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::hit::{DocOrdinal, Hit};
use crate::kernel::rounded::{Lanes, sieve};
use crate::kernel::{MOST_ROWS, MOST_WIDTH};
use crate::rounded::bound::{QueryBound, RowBound};
use crate::store::{Search, Store};

use super::estimates::Estimates;
use super::exact::Exact;
use super::ranked::Ranked;
use super::rescorer::Rescorer;
use super::selection::{best, floor_of};
use super::shortlist::{Guess, Shortlist, cut};
use super::tiles::Tiles;
use super::{Fault, Scan, note};

/// What a search for a block of queries reads, and what it counts.
pub(super) struct Sifter<'a, E> {
    exact: &'a Exact<'a>,
    estimates: &'a E,
    rescored: AtomicU64,
    most: u64,
}

/// Some queries, laid out, and what is known of their errors.
pub(super) struct SiftPanel<P> {
    queries: P,
    first: usize,
    bounds: Vec<QueryBound>,
    width: usize,
    units: [f32; MOST_WIDTH],
    shares: [f32; MOST_WIDTH],
}

/// One worker's share of the search.
pub(super) struct SiftWorker<T> {
    shortlists: Vec<Shortlist>,
    ready: T,
    values: [f32; MOST_ROWS * MOST_WIDTH],
    kept: [u32; MOST_ROWS],
    rescorer: Rescorer,
    fault: Option<Fault>,
}

impl<'a, E: Estimates> Sifter<'a, E> {
    /// A search that gives up when it has to score more than `most` documents.
    pub(super) fn new(exact: &'a Exact<'a>, estimates: &'a E, most: u64) -> Self {
        Self { exact, estimates, rescored: AtomicU64::new(0), most }
    }

    /// How many scores were computed from f32 rows.
    pub(super) fn rescored(&self) -> u64 {
        self.rescored.load(Ordering::Relaxed)
    }

    /// Scores documents of a shortlist for good.
    fn score(
        &self,
        rescorer: &mut Rescorer,
        query: &[f32],
        guesses: &[Guess],
        mut take: impl FnMut(DocOrdinal, f32),
    ) {
        self.rescored.fetch_add(guesses.len() as u64, Ordering::Relaxed);
        let documents = guesses.iter().map(|guess| guess.document);
        rescorer.score(self.exact.vectors(), query, documents, &mut take);
    }

    /// Estimates a tile for one panel, and keeps what may be among the best.
    fn sift(
        &self,
        worker: &mut SiftWorker<E::Ready>,
        tile: &Range<usize>,
        panel: &SiftPanel<E::Panel>,
        search: &Search<'_>,
    ) {
        let width = panel.width;
        // Lanes without a query are never of interest.
        let mut floors = [f32::INFINITY; MOST_WIDTH];
        for (floor, list) in floors.iter_mut().zip(&worker.shortlists[panel.first..][..panel.bounds.len()]) {
            *floor = list.floor();
        }
        for start in (0..tile.len()).step_by(MOST_ROWS) {
            let within = start..(start + MOST_ROWS).min(tile.len());
            let mut bounds = [[0.0; RowBound::COLUMNS]; MOST_ROWS];
            let bounds = &mut bounds[..within.len()];
            bounds.copy_from_slice(self.estimates.bounds(tile.start, within.clone(), &worker.ready));
            let values = &mut worker.values[..within.len() * width];
            self.estimates.estimate(&panel.queries, tile.start, within.clone(), &worker.ready, values);
            let lanes = Lanes {
                units: &panel.units[..width],
                shares: &panel.shares[..width],
                floors: &floors[..width],
            };
            sieve(self.exact.level(), values, bounds, &lanes, &mut worker.kept);
            for (row, &mut bound) in bounds.iter_mut().enumerate() {
                let mut kept = worker.kept[row];
                while kept != 0 {
                    let lane = kept.trailing_zeros() as usize;
                    kept &= kept - 1;
                    if lane < panel.bounds.len() {
                        let document = (tile.start + within.start + row) as DocOrdinal;
                        let guess =
                            guess(document, worker.values[row * width + lane], bound, &panel.bounds[lane]);
                        floors[lane] =
                            self.take(worker, panel.first + lane, guess, &panel.bounds[lane], search);
                    }
                }
            }
        }
    }

    /// Takes a document onto a query's shortlist and gives the query's floor from then on.
    fn take(
        &self,
        worker: &mut SiftWorker<E::Ready>,
        query: usize,
        guess: Guess,
        bound: &QueryBound,
        search: &Search<'_>,
    ) -> f32 {
        let list = &mut worker.shortlists[query];
        if list.push(guess, search.k) {
            let guesses = list.take();
            let dim = self.exact.dim();
            let vector = &search.queries[query * dim..][..dim];
            list.raise(
                |scored| {
                    self.score(&mut worker.rescorer, vector, &guesses, |document, score| {
                        if score.is_finite() {
                            scored.push(Ranked::new(document, score), search.k, search.id_order);
                        } else {
                            note(&mut worker.fault, (document, query));
                        }
                    });
                },
                |score| bound.floor(score),
            );
        }
        list.floor()
    }
}

/// The bounds of a score, as parts of the query's norm.
fn guess(document: DocOrdinal, value: f32, row: [f32; RowBound::COLUMNS], query: &QueryBound) -> Guess {
    let [scale, error, norm] = row;
    let estimate = value * (scale * query.unit);
    let around = query.share * norm + error;
    let (lower, upper) = (estimate - around, estimate + around);
    if lower.is_finite() && upper.is_finite() {
        Guess { document, lower, upper }
    } else {
        Guess { document, lower: f32::NEG_INFINITY, upper: f32::INFINITY }
    }
}

impl<E: Estimates> Scan for Sifter<'_, E> {
    type Panel = SiftPanel<E::Panel>;
    type Worker = SiftWorker<E::Ready>;

    fn exact(&self) -> &Exact<'_> {
        self.exact
    }

    fn tiles(&self) -> Tiles {
        Tiles::new(self.exact.len(), self.estimates.bytes_a_row())
    }

    fn pack(&self, queries: &[f32]) -> Vec<Self::Panel> {
        let dim = self.exact.dim();
        let mut panels: Vec<Self::Panel> = Vec::new();
        let (mut first, mut rest) = (0, queries);
        while !rest.is_empty() {
            let left = rest.len() / dim;
            let width = self.estimates.width(left);
            let (now, later) = rest.split_at(width.min(left) * dim);
            let (queries, bounds) = self.estimates.pack(now, width);
            let (mut units, mut shares) = ([0.0; MOST_WIDTH], [0.0; MOST_WIDTH]);
            for (lane, bound) in bounds.iter().enumerate() {
                (units[lane], shares[lane]) = (bound.unit, bound.share);
            }
            let count = bounds.len();
            panels.push(SiftPanel { queries, first, bounds, width, units, shares });
            (first, rest) = (first + count, later);
        }
        panels
    }

    fn worker(&self, queries: usize) -> Self::Worker {
        SiftWorker {
            shortlists: vec![Shortlist::default(); queries],
            ready: E::Ready::default(),
            values: [0.0; MOST_ROWS * MOST_WIDTH],
            kept: [0; MOST_ROWS],
            rescorer: Rescorer::new(self.exact.level()),
            fault: None,
        }
    }

    fn scan(
        &self,
        worker: &mut Self::Worker,
        tile: Range<usize>,
        panels: &[Self::Panel],
        search: &Search<'_>,
    ) {
        if panels.iter().any(|panel| panel.width > 1) {
            self.estimates.ready(tile.clone(), &mut worker.ready);
        }
        for panel in panels.iter().take_while(|_| !self.has_given_up()) {
            self.sift(worker, &tile, panel, search);
        }
    }

    fn has_given_up(&self) -> bool {
        self.rescored() > self.most
    }

    fn fault(worker: &Self::Worker) -> Option<Fault> {
        worker.fault
    }

    fn merge(
        &self,
        workers: &[Self::Worker],
        panels: &[Self::Panel],
        query: usize,
        search: &Search<'_>,
    ) -> (Vec<Hit>, Option<Fault>) {
        let dim = self.exact.dim();
        let vector = &search.queries[query * dim..][..dim];
        let panel = &panels[panels.partition_point(|panel| panel.first <= query) - 1];
        let bound = panel.bounds[query - panel.first];
        let lists = || workers.iter().map(|worker| &worker.shortlists[query]);
        let mut guesses: Vec<Guess> = lists().flat_map(Shortlist::guesses).copied().collect();
        let mut scored: Vec<Ranked> = lists().flat_map(|list| list.scored().candidates()).copied().collect();
        let height = lists().map(Shortlist::floor).fold(cut(&mut guesses, search.k), f32::max);
        guesses.retain(|guess| guess.upper >= height);
        // The most promising come first: their scores raise the floor for the others.
        if guesses.len() > search.k {
            guesses.select_nth_unstable_by(search.k, |a, b| b.upper.total_cmp(&a.upper));
        }
        let mut fault = None;
        let mut rescorer = Rescorer::new(self.exact.level());
        let (first, others) = guesses.split_at(search.k.min(guesses.len()));
        let mut score = |scored: &mut Vec<Ranked>, guesses: &[Guess]| {
            self.score(&mut rescorer, vector, guesses, |document, score| {
                if score.is_finite() {
                    scored.push(Ranked::new(document, score));
                } else {
                    note(&mut fault, (document, query));
                }
            });
        };
        score(&mut scored, first);
        let floor = bound.floor(floor_of(&mut scored, search.k));
        let others: Vec<Guess> = others.iter().filter(|guess| guess.upper >= floor).copied().collect();
        score(&mut scored, &others);
        (best(scored, search.k, search.id_order), fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::dot;
    use crate::rounded::int8;

    #[test]
    fn a_query_along_the_error_is_within_the_bound_and_nearly_at_it() {
        for dim in [1, 2, 7, 64, 384] {
            let document: Vec<f32> = (0..dim).map(|place| (place as f32 + 0.7).sin()).collect();
            let mut copy = vec![0; dim];
            let bound = int8::round_row(&document, &mut copy);
            let rounded: Vec<f32> = copy.iter().map(|&number| f32::from(number) * bound.scale).collect();
            for sign in [1.0, -1.0] {
                let error = |(number, rounded): (&f32, &f32)| sign * (number - rounded);
                let mut query: Vec<f32> = document.iter().zip(&rounded).map(error).collect();
                if dim == 1 {
                    query[0] = sign;
                }
                let mut integers = vec![0; dim];
                let query_bound = int8::round_query(&query, &mut integers);
                let sum: i32 = integers.iter().zip(&copy).map(|(&a, &b)| i32::from(a) * i32::from(b)).sum();
                let guess = guess(0, sum as f32, bound.to_row(), &query_bound);
                let score = (f64::from(dot(&query, &document)) / query_bound.norm) as f32;
                assert!(guess.lower <= score && score <= guess.upper, "{dim}: {score} and {guess:?}");
                // As tight as it can be: the score is at one end, but for the query's small share.
                let gap = (guess.upper - score).min(score - guess.lower);
                assert!(gap <= 2.0 * query_bound.share * bound.norm + 1e-4 * bound.error, "{dim}: {gap}");
            }
        }
    }
}
