//! What a run learns from a teacher besides its judgments: scores that a file lists, or those of another model's vectors.
//!
//! Either is made ready once ([`taught`]), and each training of the run, a fold's too, takes what concerns its queries.

mod model;
mod scores;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::Result;
use sbmoe_model::moe::Side;
use sbmoe_train::Teacher;

pub(super) use self::model::TeacherModel;
pub(super) use self::scores::{Scored, join, refuse_unknown_documents};
use super::judgments::TrainingQuery;
use super::prepared::Prepared;
use super::progress::Observer;
use super::texts::Texts;

/// Why every look-up finds something.
const CHECKED: &str = "every id that is trained on was found when the texts were read";

/// What the teacher says of the run's texts.
#[derive(Debug, Default)]
pub(super) enum Taught {
    /// There is no teacher.
    #[default]
    Nothing,
    /// The training queries carry their scores.
    Scores,
    /// The teacher's vectors.
    Vectors {
        /// Numbers of a vector.
        hidden: usize,
        /// By the ordinals of the queries that are trained on.
        queries: BTreeMap<u32, Vec<f32>>,
        /// `[documents, hidden]`, zeros for documents that no batch can hold.
        documents: Arc<[f32]>,
    },
}

impl Taught {
    /// What a training on some of the queries learns from.
    pub(super) fn of<'a>(
        &self,
        training: impl Iterator<Item = &'a TrainingQuery>,
        (queries, documents): (&Texts, &Texts),
    ) -> Teacher {
        match self {
            Self::Nothing => Teacher::None,
            Self::Scores => {
                let ordinal = |scored: &Scored| documents.ordinal(&scored.document).expect(CHECKED);
                let listed = |query: &TrainingQuery| {
                    query.scores.iter().map(|scored| (ordinal(scored), scored.score)).collect()
                };
                Teacher::Scores(training.map(listed).collect())
            }
            Self::Vectors { hidden, queries: vectors, documents: shared } => {
                let own = training.map(|query| &vectors[&queries.ordinal(&query.id).expect(CHECKED)]);
                let queries = own.flatten().copied().collect();
                Teacher::Vectors { hidden: *hidden, queries, documents: Arc::clone(shared) }
            }
        }
    }
}

/// Makes ready what the teacher says. A teacher model's vectors are computed, or found in the store of pooled vectors, of
/// the queries that are trained on and of the documents that batches can hold, `anchored` ones among them; then the model
/// is dropped.
///
/// # Errors
/// A text that the teacher cannot read, a vector that is not finite, or a store that cannot be written.
pub(super) fn taught(run: &mut Prepared, anchored: &[u32], observe: &mut Observer<'_>) -> Result<Taught> {
    if run.config.distill.is_some() {
        return Ok(Taught::Scores);
    }
    let Some(teacher) = run.teacher.take() else { return Ok(Taught::Nothing) };
    let held_back = if run.config.retrain { &run.judgments.held_back[..] } else { &[] };
    let training = run.judgments.training.iter().chain(held_back);
    let texts = &run.documents.texts;
    let queries: BTreeSet<u32> =
        training.clone().map(|query| run.queries.ordinal(&query.id).expect(CHECKED)).collect();
    let judged = training.flat_map(|query| query.positives.iter().chain(&query.negatives));
    let judged = judged.map(|id| texts.ordinal(id).expect(CHECKED));
    let documents: BTreeSet<u32> = judged.chain(anchored.iter().copied()).collect();

    let hidden = teacher.dimensions();
    let mut vectors = |side, texts: &Texts, ordinals: &BTreeSet<u32>| {
        let own = ordinals.iter().map(|&ordinal| texts.contents[ordinal as usize].clone());
        teacher.vectors(side, &own.collect::<Vec<_>>(), &run.folder.pooled(), observe)
    };
    let of_queries = vectors(Side::Query, &run.queries, &queries)?;
    let of_documents = vectors(Side::Document, texts, &documents)?;
    let rows = of_queries.chunks_exact(hidden).map(<[f32]>::to_vec);
    let mut by_ordinal = vec![0.0; texts.len() * hidden];
    for (&ordinal, vector) in documents.iter().zip(of_documents.chunks_exact(hidden)) {
        by_ordinal[ordinal as usize * hidden..][..hidden].copy_from_slice(vector);
    }
    Ok(Taught::Vectors {
        hidden,
        queries: queries.into_iter().zip(rows).collect(),
        documents: by_ordinal.into(),
    })
}
