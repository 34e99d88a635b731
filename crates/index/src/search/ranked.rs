//! A hit as one number, so that comparing two needs no branch: the smaller number is the better score.

use crate::hit::{DocOrdinal, Hit};

/// A finite score and its document; numbers of equal scores differ in the document alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ranked(u64);

impl Ranked {
    pub(super) fn new(document: DocOrdinal, score: f32) -> Self {
        // Adding zero makes −0 the 0 that it equals. The bits of positive numbers are ordered as the numbers are,
        // those of negative ones the other way round.
        let bits = (score + 0.0).to_bits();
        let ascending = if bits >> 31 == 0 { bits | 1 << 31 } else { !bits };
        Self(u64::from(!ascending) << 32 | u64::from(document))
    }

    pub(super) fn document(self) -> DocOrdinal {
        self.0 as DocOrdinal
    }

    /// The score's place: smaller is better.
    pub(super) fn place(self) -> u32 {
        (self.0 >> 32) as u32
    }

    pub(super) fn score(self) -> f32 {
        let ascending = !self.place();
        f32::from_bits(if ascending >> 31 == 1 { ascending & !(1 << 31) } else { !ascending })
    }

    pub(super) fn hit(self) -> Hit {
        Hit { document: self.document(), score: self.score() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn better_scores_are_smaller_numbers() {
        let scores = [f32::MAX, 2.5, f32::MIN_POSITIVE, 1e-45, 0.0, -1e-45, -0.5, -3.0, f32::MIN];
        let ranked = scores.map(|score| Ranked::new(7, score));
        assert!(ranked.is_sorted());
        for (ranked, score) in ranked.iter().zip(scores) {
            assert_eq!((ranked.score().to_bits(), ranked.document()), (score.to_bits(), 7));
        }
    }

    #[test]
    fn both_zeros_have_one_place() {
        assert_eq!(Ranked::new(1, -0.0), Ranked::new(1, 0.0));
        assert_eq!(Ranked::new(1, 2.0).place(), Ranked::new(u32::MAX, 2.0).place());
    }
}
