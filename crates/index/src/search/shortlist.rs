//! The documents that one worker could not rule out for one query.
//!
//! Each has a lower and an upper bound of its score, both as parts of the query's norm. Where `k` lower bounds reach
//! some height, a document whose upper bound does not is ruled out. When the list is full it is cut by that rule; if
//! too much stays, as among duplicates, the documents are scored, and those true scores raise the floor from then
//! on. So a list is short whatever the documents are.

use crate::hit::DocOrdinal;

use super::selection::Selection;

/// Below this many, cutting is not worth its overhead.
const LEAST_ROOM: usize = 32;

/// Places that a list begins with, at most.
const MOST_AT_FIRST: usize = 4096;

/// A document with the bounds of its score.
#[derive(Clone, Copy, Debug)]
pub(super) struct Guess {
    pub(super) document: DocOrdinal,
    /// Never NaN.
    pub(super) lower: f32,
    /// Never NaN.
    pub(super) upper: f32,
}

#[derive(Clone, Debug)]
pub(super) struct Shortlist {
    guesses: Vec<Guess>,
    /// The best of the documents that were scored already.
    scored: Selection,
    floor: f32,
}

impl Default for Shortlist {
    fn default() -> Self {
        Self { guesses: Vec::new(), scored: Selection::default(), floor: f32::NEG_INFINITY }
    }
}

impl Shortlist {
    /// The upper bound below which no document is of interest.
    pub(super) fn floor(&self) -> f32 {
        self.floor
    }

    /// The documents that have bounds only.
    pub(super) fn guesses(&self) -> &[Guess] {
        &self.guesses
    }

    /// The documents that have scores.
    pub(super) fn scored(&self) -> &Selection {
        &self.scored
    }

    /// Takes a document, and says whether so many are left that they have to be scored.
    #[must_use]
    pub(super) fn push(&mut self, guess: Guess, k: usize) -> bool {
        if guess.upper < self.floor {
            return false;
        }
        let room = k.max(LEAST_ROOM).saturating_mul(3);
        if self.guesses.capacity() == 0 {
            self.guesses.reserve_exact(room.min(MOST_AT_FIRST));
        }
        self.guesses.push(guess);
        if self.guesses.len() < room {
            return false;
        }
        self.floor = self.floor.max(cut(&mut self.guesses, k));
        let floor = self.floor;
        self.guesses.retain(|guess| guess.upper >= floor);
        self.guesses.len() > room / 4 * 3
    }

    /// Gives the documents away to be scored.
    pub(super) fn take(&mut self) -> Vec<Guess> {
        std::mem::take(&mut self.guesses)
    }

    /// Takes the documents' scores, of which `floor` makes a part of the query's norm.
    pub(super) fn raise(&mut self, score: impl FnOnce(&mut Selection), floor: impl FnOnce(f32) -> f32) {
        score(&mut self.scored);
        self.floor = self.floor.max(floor(self.scored.floor()));
    }
}

/// The height that `k` lower bounds reach.
pub(super) fn cut(guesses: &mut [Guess], k: usize) -> f32 {
    if k == 0 || guesses.len() < k {
        return f32::NEG_INFINITY;
    }
    guesses.select_nth_unstable_by(k - 1, |a, b| b.lower.total_cmp(&a.lower)).1.lower
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_among_the_best_is_dropped_and_what_may_be_stays() {
        let mut list = Shortlist::default();
        let k = 2;
        for document in 0..95 {
            let lower = document as f32;
            assert!(!list.push(Guess { document, lower, upper: lower + 4.0 }, k));
        }
        assert!(list.floor() < 0.0, "there is room for 96");
        assert!(!list.push(Guess { document: 95, lower: 0.0, upper: 93.5 }, k));
        assert!((list.floor() - 93.0).abs() < 1e-6, "{}", list.floor());
        let mut kept: Vec<u32> = list.guesses().iter().map(|guess| guess.document).collect();
        kept.sort_unstable();
        assert_eq!(kept, [89, 90, 91, 92, 93, 94, 95]);
        assert!(!list.push(Guess { document: 96, lower: 0.0, upper: 92.9 }, k));
        assert_eq!(list.guesses().len(), 7);
    }

    #[test]
    fn a_list_that_cannot_be_cut_asks_for_scores() {
        let mut list = Shortlist::default();
        let full =
            (0..96).filter(|&document| list.push(Guess { document, lower: 0.0, upper: 1.0 }, 5)).count();
        assert_eq!((full, list.take().len(), list.guesses().len()), (1, 96, 0));
    }
}
