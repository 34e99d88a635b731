//! The encoder as it came, by its own similarity: the candidate that every trained state is compared with.

use anyhow::Result;
use sbmoe_kernels::Cpu;
use sbmoe_model::moe::Gate;
use sbmoe_train::{Gain, Validation};

use super::examples::HeldOut;
use super::inputs::{EncoderVectors, rows};
use super::prepared::Prepared;
use super::ranking::{MEASURE, Ranker};
use super::texts::Texts;

/// How many of the encoder's first documents are ranked again while it is trained.
const POOL: usize = 100;

/// What the held-out queries score with the encoder.
#[derive(Debug)]
pub(super) struct Baseline {
    /// Over everything that is ranked in the end.
    pub(super) everything: HeldOut,
    /// Over what is ranked after each epoch: the same, or the documents that the encoder found and those that are judged.
    pub(super) held_out: HeldOut,
    /// Each query's value.
    pub(super) values: Vec<f64>,
    /// Whether each query takes part in the choice.
    pub(super) chooses: Vec<bool>,
    /// The mean over the queries that choose.
    pub(super) score: f64,
}

impl Baseline {
    /// Ranks the held-out queries by the encoder's vectors.
    pub(super) fn new(run: &Prepared, everything: HeldOut, encoder: &EncoderVectors) -> Result<Self> {
        let hidden = run.retriever.architecture.hidden();
        let ranker = Ranker::new(&everything, &run.documents.texts, hidden, &run.retriever.ops);
        let queries = rows(&encoder.queries, hidden, &everything.queries);
        let documents = rows(&encoder.documents, hidden, &everything.documents);
        let values = ranker.values(&queries, &documents)?;
        let in_pool = !run.config.freeze_encoder && run.config.validation_documents.is_none();
        let held_out = if in_pool {
            everything.over(ranker.pool(&queries, &documents, POOL)?)
        } else {
            everything.clone()
        };
        let chooses = everything.chooses();
        let score = mean(&values, |place| chooses[place]).unwrap_or_default();
        Ok(Self { everything, held_out, values, chooses, score })
    }

    /// Whether the epochs are ranked over less than everything.
    pub(super) fn is_pooled(&self) -> bool {
        self.held_out.documents.len() < self.everything.documents.len()
    }

    /// The validation of the run's own loop.
    pub(super) fn validation<'a>(
        &'a self,
        gate: Gate,
        (documents, hidden, cpu): (&'a Texts, usize, &'a Cpu),
    ) -> Validation<'a> {
        let (values, chooses) = (self.values.clone(), self.chooses.clone());
        validation(&self.held_out, (values, chooses), gate, (documents, hidden, cpu))
    }

    /// What a state with these values gains, over the queries that choose.
    pub(super) fn gain(&self, values: &[f64]) -> Gain {
        let only = |values: &[f64]| -> Vec<f64> {
            values
                .iter()
                .zip(&self.chooses)
                .filter(|(_, chooses)| **chooses)
                .map(|(value, _)| *value)
                .collect()
        };
        Gain::of(&only(values), &only(&self.values))
    }

    /// What a person is told.
    pub(super) fn told(&self) -> String {
        let n = self.chooses.iter().filter(|chooses| **chooses).count();
        let (seen, unseen) = self.groups(&self.values);
        let apart = match (seen, unseen) {
            (Some(seen), Some(unseen)) => {
                format!(" (queries whose answers are trained on {seen:.4}, others {unseen:.4})")
            }
            _ => String::new(),
        };
        format!("the encoder as it came: {MEASURE} {:.4} of {n} held-out queries{apart}", self.score)
    }

    /// The means of `values` over seen and over unseen queries; none where all are of one kind.
    pub(super) fn groups(&self, values: &[f64]) -> (Option<f64>, Option<f64>) {
        let seen = |place: usize| self.everything.judged[place].seen;
        match (mean(values, seen), mean(values, |place| !seen(place))) {
            (Some(seen), Some(unseen)) => (Some(seen), Some(unseen)),
            _ => (None, None),
        }
    }
}

/// The validation over some held-out queries, with what the encoder scores for each and whether it chooses.
pub(super) fn validation<'a>(
    held_out: &'a HeldOut,
    (baseline, chooses): (Vec<f64>, Vec<bool>),
    gate: Gate,
    (documents, hidden, cpu): (&'a Texts, usize, &'a Cpu),
) -> Validation<'a> {
    let ranker = Ranker::new(held_out, documents, hidden, cpu);
    Validation {
        queries: held_out.queries.clone(),
        documents: held_out.documents.clone(),
        positives: held_out.positives.clone(),
        gate,
        baseline,
        chooses,
        score: Box::new(move |queries, documents| ranker.values(queries, documents).map_err(Into::into)),
    }
}

/// The mean of the values that `counts` names by place; none without any.
pub(super) fn mean(values: &[f64], counts: impl Fn(usize) -> bool) -> Option<f64> {
    let own: Vec<f64> = (0..values.len()).filter(|place| counts(*place)).map(|place| values[place]).collect();
    (!own.is_empty()).then(|| own.iter().sum::<f64>() / own.len() as f64)
}
