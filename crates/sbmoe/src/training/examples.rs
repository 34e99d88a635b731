//! From ids to ordinals: what the training library learns from and measures by.

use sbmoe_train::{Examples, Teacher};

use super::judgments::{HeldOutQuery, Judgments};
use super::texts::Texts;

/// Held-out queries by ordinal.
#[derive(Debug)]
pub(super) struct HeldOut {
    /// Ordinals of the queries.
    pub(super) queries: Vec<u32>,
    /// Ordinals of the documents that they are ranked over.
    pub(super) documents: Vec<u32>,
    /// For each query, the place of its positive within `documents`.
    pub(super) positives: Vec<u32>,
    /// For each query, its judgments.
    pub(super) judged: Vec<HeldOutQuery>,
}

/// Why every look-up finds something.
const CHECKED: &str = "every judged id was found when the texts were read";

/// The training queries by ordinal.
pub(super) fn examples(judgments: &Judgments, queries: &Texts, documents: &Texts) -> Examples {
    let ordinals = |ids: &[String]| ids.iter().map(|id| documents.ordinal(id).expect(CHECKED)).collect();
    Examples {
        queries: judgments.training.iter().map(|query| queries.ordinal(&query.id).expect(CHECKED)).collect(),
        positives: judgments.training.iter().map(|query| ordinals(&query.positives)).collect(),
        negatives: judgments.training.iter().map(|query| ordinals(&query.negatives)).collect(),
        teacher: Teacher::None,
    }
}

/// The held-out queries by ordinal, ranked over `ranked`, which is ascending; `None` without any.
pub(super) fn held_out(
    judgments: &Judgments,
    queries: &Texts,
    documents: &Texts,
    ranked: Vec<u32>,
) -> Option<HeldOut> {
    if judgments.held_out.is_empty() {
        return None;
    }
    let place = |id: &str| {
        let ordinal = documents.ordinal(id).expect(CHECKED);
        ranked.binary_search(&ordinal).expect("judged documents are among those ranked") as u32
    };
    Some(HeldOut {
        queries: judgments
            .held_out
            .iter()
            .map(|query| queries.ordinal(&query.judged.query).expect(CHECKED))
            .collect(),
        positives: judgments.held_out.iter().map(|query| place(&query.positive)).collect(),
        judged: judgments.held_out.clone(),
        documents: ranked,
    })
}
