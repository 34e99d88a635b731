//! The best `k` of the documents that one worker has seen for one query.
//!
//! Candidates gather until there are 2 k of them; then the best k are selected and the worst of these becomes the floor that
//! a later candidate must pass. A heap would keep a tighter floor and pay a logarithm of k for every candidate; this pays a
//! constant, and about 1.4 times as many candidates pass.

use crate::hit::{Hit, IdOrder, compare_hits, keep_best};

/// Below this many, selecting is not worth its overhead.
const LEAST_ROOM: usize = 32;

#[derive(Clone, Debug, Default)]
pub(super) struct Selection {
    kept: Vec<Hit>,
    floor: Option<Hit>,
}

impl Selection {
    /// The score below which no document is of interest.
    pub(super) fn floor(&self) -> f32 {
        self.floor.map_or(f32::NEG_INFINITY, |hit| hit.score)
    }

    /// Takes a candidate.
    pub(super) fn push(&mut self, hit: Hit, k: usize, id_order: &IdOrder<'_>) {
        if self.floor.is_some_and(|floor| compare_hits(&hit, &floor, id_order).is_gt()) {
            return;
        }
        self.kept.push(hit);
        if self.kept.len() < k.saturating_add(k.max(LEAST_ROOM)) {
            return;
        }
        keep_best(&mut self.kept, k, id_order);
        self.floor = self.kept.last().copied();
    }

    /// The candidates kept: the best k are among them.
    pub(super) fn hits(&self) -> &[Hit] {
        &self.kept
    }
}
