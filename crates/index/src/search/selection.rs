//! The best `k` of the documents that one worker has seen for one query.
//!
//! Candidates gather until there are 2 k of them; then the best k are selected and the worst of these becomes the
//! floor that a later candidate must pass. A heap would keep a tighter floor and pay a logarithm of k for every
//! candidate, with a branch that cannot be predicted at each step; this pays a few steps without such branches, and
//! about 1.4 times as many candidates pass.

use crate::hit::{Hit, IdOrder};
use crate::search::ranked::Ranked;

/// Below this many, selecting is not worth its overhead.
const LEAST_ROOM: usize = 32;

#[derive(Clone, Debug, Default)]
pub(super) struct Selection {
    kept: Vec<Ranked>,
    floor: Option<Ranked>,
}

impl Selection {
    /// The score below which no document is of interest.
    pub(super) fn floor(&self) -> f32 {
        self.floor.map_or(f32::NEG_INFINITY, Ranked::score)
    }

    /// Takes a candidate.
    pub(super) fn push(&mut self, candidate: Ranked, k: usize, id_order: &IdOrder<'_>) {
        if let Some(floor) = self.floor {
            let worse = candidate.place() > floor.place()
                || candidate.place() == floor.place()
                    && id_order(candidate.document(), floor.document()).is_lt();
            if worse {
                return;
            }
        }
        self.kept.push(candidate);
        if self.kept.len() >= k.saturating_add(k.max(LEAST_ROOM)) {
            self.floor = cut(&mut self.kept, k, id_order);
        }
    }

    /// The candidates kept: the best k are among them.
    pub(super) fn candidates(&self) -> &[Ranked] {
        &self.kept
    }
}

/// The score that `k` of `candidates` reach.
pub(super) fn floor_of(candidates: &mut [Ranked], k: usize) -> f32 {
    if k == 0 || candidates.len() < k {
        return f32::NEG_INFINITY;
    }
    candidates.select_nth_unstable(k - 1).1.score()
}

/// The best `k` of `candidates` in the total order.
pub(super) fn best(mut candidates: Vec<Ranked>, k: usize, id_order: &IdOrder<'_>) -> Vec<Hit> {
    cut(&mut candidates, k, id_order);
    candidates.sort_unstable();
    for equal in candidates.chunk_by_mut(|a, b| a.place() == b.place()).filter(|equal| equal.len() > 1) {
        equal.sort_unstable_by(|a, b| id_order(b.document(), a.document()));
    }
    candidates.into_iter().map(Ranked::hit).collect()
}

/// Leaves the best `k` where there are more, and returns the worst of them.
fn cut(candidates: &mut Vec<Ranked>, k: usize, id_order: &IdOrder<'_>) -> Option<Ranked> {
    if candidates.len() <= k || k == 0 {
        return None;
    }
    let (_, &mut last, _) = candidates.select_nth_unstable(k - 1);
    let equal = candidates.iter().filter(|candidate| candidate.place() == last.place()).count();
    if equal == 1 {
        candidates.truncate(k);
        return Some(last);
    }
    // Ids decide which of the documents with the last score stay.
    let mut equals: Vec<Ranked> = Vec::with_capacity(equal);
    candidates.retain(|&candidate| {
        if candidate.place() == last.place() {
            equals.push(candidate);
        }
        candidate.place() < last.place()
    });
    let room = k - candidates.len();
    let (_, &mut last, _) =
        equals.select_nth_unstable_by(room - 1, |a, b| id_order(b.document(), a.document()));
    candidates.extend_from_slice(&equals[..room]);
    Some(last)
}
