//! Seen queries: those that training has shown an answer of.
//!
//! A query is seen when one of its relevant documents is relevant to a training query too. What a model scores on such
//! queries tells what it remembers; only the others tell what it has learned to find.

use std::collections::HashSet;

use crate::qrels::{Judgment, Qrels};

/// The documents that training judgments call relevant (grade above 0).
#[derive(Clone, Debug, Default)]
pub struct TrainingPositives {
    documents: HashSet<Box<str>>,
}

impl TrainingPositives {
    /// Those of all queries of `training`.
    pub fn of(training: &Qrels) -> Self {
        let judgments = training.iter().flat_map(|judged| &judged.judgments);
        let relevant = judgments.filter(|judgment| judgment.grade > 0);
        Self { documents: relevant.map(|judgment| judgment.document.clone()).collect() }
    }

    /// Whether a query with these judgments is seen. One without a relevant document is not.
    pub fn have_seen(&self, judgments: &[Judgment]) -> bool {
        judgments.iter().any(|judgment| judgment.grade > 0 && self.documents.contains(&judgment.document))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_seen_by_a_document_that_is_relevant_on_both_sides() {
        let training = Qrels::from_judgments([("t", "a", 1), ("t", "b", 0), ("u", "c", 2)]).unwrap();
        let positives = TrainingPositives::of(&training);
        for (judgments, expected) in [
            (&[("q", "x", 1), ("q", "c", 1)][..], true),
            (&[("q", "a", 0), ("q", "x", 1)], false),
            (&[("q", "b", 1)], false),
            (&[("q", "a", -1)], false),
        ] {
            let qrels = Qrels::from_judgments(judgments.iter().copied()).unwrap();
            assert_eq!(positives.have_seen(qrels.get("q").unwrap()), expected, "{judgments:?}");
        }
    }
}
