//! From ids to ordinals: what the training library learns from and measures by.

use sbmoe_kernels::Key;
use sbmoe_train::{Examples, Teacher};

use super::judgments::{HeldOutQuery, Judgments, TrainingQuery};
use super::texts::{Documents, Texts};

/// Documents of which anchors are drawn: enough that an epoch seldom sees one twice, few enough to be encoded quickly.
const ANCHORS: usize = 5000;

/// Unseen queries that are enough to choose by; with fewer, all choose.
const ENOUGH_UNSEEN: usize = 50;

/// Held-out queries by ordinal.
#[derive(Debug, Clone)]
pub(super) struct HeldOut {
    /// Ordinals of the queries.
    pub(super) queries: Vec<u32>,
    /// Ordinals of the documents that they are ranked over, ascending.
    pub(super) documents: Vec<u32>,
    /// For each query, the place of its positive within `documents`.
    pub(super) positives: Vec<u32>,
    /// For each query, its judgments.
    pub(super) judged: Vec<HeldOutQuery>,
}

impl HeldOut {
    /// The same queries over fewer documents, which hold all positives; ascending.
    pub(super) fn over(&self, documents: Vec<u32>) -> Self {
        let place = |place: &u32| {
            let ordinal = self.documents[*place as usize];
            documents.binary_search(&ordinal).expect("positives are among the documents") as u32
        };
        Self { positives: self.positives.iter().map(place).collect(), documents, ..self.clone() }
    }

    /// The queries that `keep` names, by place, over the same documents.
    pub(super) fn only(&self, keep: impl Fn(usize) -> bool) -> Self {
        let places: Vec<usize> = (0..self.queries.len()).filter(|place| keep(*place)).collect();
        Self {
            queries: places.iter().map(|&place| self.queries[place]).collect(),
            documents: self.documents.clone(),
            positives: places.iter().map(|&place| self.positives[place]).collect(),
            judged: places.iter().map(|&place| self.judged[place].clone()).collect(),
        }
    }

    /// Whether each query takes part in the choice among states: only the unseen ones where there are enough of them, since
    /// a query whose answer was trained on tells what was memorised.
    pub(super) fn chooses(&self) -> Vec<bool> {
        let unseen = self.judged.iter().filter(|query| !query.seen).count();
        self.judged.iter().map(|query| unseen < ENOUGH_UNSEEN || !query.seen).collect()
    }
}

/// Why every look-up finds something.
const CHECKED: &str = "every judged id was found when the texts were read";

/// Training queries by ordinal, without a teacher; `anchors` are pairs of ordinals.
pub(super) fn examples<'a>(
    training: impl Iterator<Item = &'a TrainingQuery> + Clone,
    (queries, documents): (&Texts, &Texts),
    anchors: Vec<(u32, u32)>,
) -> Examples {
    let ordinals = |ids: &[String]| ids.iter().map(|id| documents.ordinal(id).expect(CHECKED)).collect();
    Examples {
        queries: training.clone().map(|query| queries.ordinal(&query.id).expect(CHECKED)).collect(),
        positives: training.clone().map(|query| ordinals(&query.positives)).collect(),
        negatives: training.map(|query| ordinals(&query.negatives)).collect(),
        anchors,
        teacher: Teacher::None,
    }
}

/// The documents that anchors are made of, ascending: those that hold more than their beginning, drawn by the seed where
/// there are many.
pub(super) fn anchored(documents: &Documents, seed: u64) -> Vec<u32> {
    let says_more = |place: &u32| {
        let place = *place as usize;
        let (whole, beginning) = (&documents.texts.contents[place], &documents.beginnings[place]);
        !beginning.trim().is_empty() && whole.trim() != beginning.trim()
    };
    let mut places: Vec<u32> = (0..documents.beginnings.len() as u32).filter(says_more).collect();
    Key::new(seed).purpose("anchors").shuffle(&mut places);
    places.truncate(ANCHORS);
    places.sort_unstable();
    places
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
