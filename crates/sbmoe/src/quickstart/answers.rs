//! A few questions, answered by the trained retriever.

use anyhow::Result;
use serde::Serialize;

use crate::encoding::VectorMaker;
use crate::index_folder::Index;
use crate::searching::{RankedHit, rank};

/// Questions that the shipped collection can answer; none of them is one of its queries.
pub const QUESTIONS: [&str; 2] = [
    "Why did my dough stay flat overnight?",
    "Will the train stop by itself when the person driving it faints?",
];

/// Hits a question.
const SHOWN: usize = 3;

/// A question and the best hits.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Answer {
    /// The question.
    pub question: &'static str,
    /// The expert that the question was routed to, where it went to one.
    pub expert: Option<u16>,
    /// The hits, best first.
    pub hits: Vec<AnswerHit>,
}

/// A document that may answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AnswerHit {
    /// Its id.
    pub id: String,
    /// Its score.
    pub score: f32,
    /// The expert that it was routed to, where it went to one.
    pub expert: Option<u16>,
    /// Its title.
    pub title: String,
    /// The beginning of its text.
    pub snippet: String,
}

/// Answers all questions.
pub(super) fn answer(maker: &VectorMaker, index: &Index) -> Result<Vec<Answer>> {
    let hit = |hit: &RankedHit| {
        let row = index.documents().row(hit.document)?;
        let expert = index.expert(hit.document);
        Ok(AnswerHit { id: row.id, score: hit.score, expert, title: row.title, snippet: row.snippet })
    };
    let ranked = rank(maker, index, &QUESTIONS, SHOWN)?;
    let answers = QUESTIONS.into_iter().zip(&ranked).map(|(question, ranked)| {
        let hits = ranked.hits.iter().map(hit).collect::<Result<_>>()?;
        Ok(Answer { question, expert: ranked.expert, hits })
    });
    answers.collect()
}
