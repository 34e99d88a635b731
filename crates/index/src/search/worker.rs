//! One worker's share of a search: the pieces that it scored and the best hits among them.

use crate::hit::{DocOrdinal, Hit, IdOrder};
use crate::kernel::{Block, MOST_WIDTH, Scores};
use crate::search::panel::Panel;
use crate::search::ranked::Ranked;
use crate::search::selection::{Selection, best};
use crate::search::tiles::Tiles;
use crate::store::Search;

pub(super) struct Worker<'a> {
    selections: Vec<Selection>,
    k: usize,
    id_order: &'a IdOrder<'a>,
    scores: Scores,
    fault: Option<(DocOrdinal, usize)>,
}

impl<'a> Worker<'a> {
    pub(super) fn new(queries: usize, k: usize, id_order: &'a IdOrder<'a>) -> Self {
        let selections = vec![Selection::default(); queries];
        Self { selections, k, id_order, scores: Scores::new(), fault: None }
    }

    /// The first document, and its first query, whose score is not a finite number.
    pub(super) fn fault(&self) -> Option<(DocOrdinal, usize)> {
        self.fault
    }

    /// Scores a span of documents against some panels.
    pub(super) fn scan(&mut self, tiles: &Tiles<'_>, span: usize, panels: &[Panel]) {
        for (first, vectors) in tiles.of_span(span) {
            for panel in panels {
                self.scan_tile(first, vectors, tiles.dim(), panel);
            }
        }
    }

    fn scan_tile(&mut self, first: usize, vectors: &[f32], dim: usize, panel: &Panel) {
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
                        floors[lane] = self.take(panel.first + lane, (document + row) as DocOrdinal, score);
                    }
                }
            }
            document += rows.len() / dim;
        }
    }

    /// Takes a candidate and gives the query's floor from then on.
    fn take(&mut self, query: usize, document: DocOrdinal, score: f32) -> f32 {
        if score.is_finite() {
            self.selections[query].push(Ranked::new(document, score), self.k, self.id_order);
        } else {
            let fault = (document, query);
            self.fault = Some(self.fault.map_or(fault, |earlier| earlier.min(fault)));
        }
        self.selections[query].floor()
    }

    /// The best hits of a query among all workers' documents.
    pub(super) fn merge(workers: &[Self], query: usize, search: &Search<'_>) -> Vec<Hit> {
        let lists = workers.iter().map(|worker| worker.selections[query].candidates());
        best(lists.flatten().copied().collect(), search.k, search.id_order)
    }
}
