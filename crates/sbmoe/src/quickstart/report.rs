//! What a quickstart has to show.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use super::answers::Answer;
use super::encoder::Encoder;

/// The measures of the comparison: the usual two, and two that a small collection can still tell apart.
pub const MEASURES: [&str; 4] = ["nDCG@10", "R@100", "P@1", "RR@10"];

/// How a quickstart ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct QuickstartReport {
    /// The work folder.
    pub work: PathBuf,
    /// The encoder.
    pub encoder: Encoder,
    /// The collection's folder.
    pub collection: PathBuf,
    /// Passages that were searched.
    pub documents: usize,
    /// Test queries that the scores are means over.
    pub queries: usize,
    /// Whether training left the encoder as it came.
    pub kept_encoder: bool,
    /// The encoder alone as its folder says, the same by dot product where it normalises, and last the trained model.
    pub systems: Vec<SystemReport>,
    /// The trained model against each of the others.
    pub comparisons: Vec<Comparison>,
    /// The answers of the trained model.
    pub answers: Vec<Answer>,
    /// Seconds of this session.
    pub seconds: f64,
}

/// The trained model against another system, query by query.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// The other system's name.
    pub against: &'static str,
    /// What was measured: the first of [`MEASURES`].
    pub measure: &'static str,
    /// What the mean gained; negative for a loss.
    pub difference: f64,
    /// Queries that score higher than with the other system.
    pub better: usize,
    /// Queries that score lower.
    pub worse: usize,
    /// Queries that score the same.
    pub equal: usize,
}

/// A retriever and its scores.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SystemReport {
    /// What people call it.
    pub name: &'static str,
    /// What `--model` takes.
    pub model: String,
    /// Its index.
    pub index: PathBuf,
    /// Its run file.
    pub run: PathBuf,
    /// Whether the vectors that are compared have length 1, as the model's folder says.
    pub normalized: bool,
    /// Means over the test queries, by [`MEASURES`].
    pub scores: BTreeMap<&'static str, f64>,
}
