//! A ranking with its documents replaced by their grades: all that a measure looks at.

use std::collections::HashMap;

use crate::qrels::{Grade, Judgment};

/// The grades of a query's hits, best hit first, and of all its judgments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JudgedRanking {
    hits: Vec<Option<Grade>>,
    judgments: Vec<Grade>,
}

impl JudgedRanking {
    /// Looks up the grades of the documents, given best first.
    pub fn new<'a>(judgments: &[Judgment], documents: impl IntoIterator<Item = &'a str>) -> Self {
        let grades: HashMap<&str, Grade> =
            judgments.iter().map(|judgment| (&*judgment.document, judgment.grade)).collect();
        let hits = documents.into_iter().map(|document| grades.get(document).copied()).collect();
        let mut judgments: Vec<Grade> = judgments.iter().map(|judgment| judgment.grade).collect();
        judgments.sort_unstable_by(|left, right| right.cmp(left));
        Self { hits, judgments }
    }

    /// The number of hits.
    pub(super) fn hits(&self) -> usize {
        self.hits.len()
    }

    /// The grades of the first `depth` hits; `None` for those that nobody judged.
    pub(super) fn top(&self, depth: usize) -> &[Option<Grade>] {
        &self.hits[..depth.min(self.hits.len())]
    }

    /// The grades of all judgments, best first: the ideal order.
    pub(super) fn ideal(&self) -> &[Grade] {
        &self.judgments
    }

    /// How many judged documents are relevant at the level, returned or not.
    pub(super) fn relevant(&self, level: Grade) -> usize {
        self.judgments.partition_point(|grade| *grade >= level)
    }

    /// How many of the first `depth` hits are relevant at the level.
    pub(super) fn relevant_hits(&self, level: Grade, depth: usize) -> usize {
        self.top(depth).iter().filter(|grade| is_relevant(**grade, level)).count()
    }
}

pub(super) fn is_relevant(grade: Option<Grade>, level: Grade) -> bool {
    grade.is_some_and(|grade| grade >= level)
}
