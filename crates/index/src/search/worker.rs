//! One worker's share of an exact search: the best hits among the documents that it scored.

use crate::hit::{DocOrdinal, Hit};
use crate::kernel::{Block, MOST_WIDTH, Scores};
use crate::store::Search;

use super::panel::Panel;
use super::ranked::Ranked;
use super::selection::{Selection, best};
use super::{Fault, note};

pub(super) struct Worker {
    selections: Vec<Selection>,
    scores: Scores,
    fault: Option<Fault>,
}

impl Worker {
    pub(super) fn new(queries: usize) -> Self {
        Self { selections: vec![Selection::default(); queries], scores: Scores::new(), fault: None }
    }

    /// The first document, and its first query, whose score is not a finite number.
    pub(super) fn fault(&self) -> Option<Fault> {
        self.fault
    }

    /// Scores a tile of documents, of which the first is `first`, against a panel.
    pub(super) fn scan(
        &mut self,
        first: usize,
        vectors: &[f32],
        dim: usize,
        panel: &Panel,
        search: &Search<'_>,
    ) {
        let kernel = panel.kernel;
        // Lanes without a query are never of interest.
        let mut floors = [f32::INFINITY; MOST_WIDTH];
        for (floor, selection) in floors.iter_mut().zip(&self.selections[panel.first..][..panel.count]) {
            *floor = selection.floor();
        }
        let many = vectors.len() / dim / kernel.rows * kernel.rows;
        let (many, rest) = vectors.split_at(many * dim);
        let blocks = many.chunks_exact(kernel.rows * dim).chain(rest.chunks_exact(dim));
        let mut document = first;
        for rows in blocks {
            let block = Block { panel: &panel.values, rows, dim, floors: &floors[..kernel.width] };
            kernel.score(block, &mut self.scores);
            for row in 0..rows.len() / dim {
                let mut candidates = self.scores.candidates[row];
                while candidates != 0 {
                    let lane = candidates.trailing_zeros() as usize;
                    candidates &= candidates - 1;
                    if lane < panel.count {
                        let score = self.scores.values[row * kernel.width + lane];
                        let document = (document + row) as DocOrdinal;
                        floors[lane] = self.take(panel.first + lane, document, score, search);
                    }
                }
            }
            document += rows.len() / dim;
        }
    }

    /// Takes a candidate and gives the query's floor from then on.
    fn take(&mut self, query: usize, document: DocOrdinal, score: f32, search: &Search<'_>) -> f32 {
        if score.is_finite() {
            self.selections[query].push(Ranked::new(document, score), search.k, search.id_order);
        } else {
            note(&mut self.fault, (document, query));
        }
        self.selections[query].floor()
    }

    /// The best hits of a query among all workers' documents.
    pub(super) fn merge(workers: &[Self], query: usize, search: &Search<'_>) -> Vec<Hit> {
        let lists = workers.iter().map(|worker| worker.selections[query].candidates());
        best(lists.flatten().copied().collect(), search.k, search.id_order)
    }
}
