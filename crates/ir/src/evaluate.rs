//! Judgments and a run, joined: every measure for every query, and the means.
//!
//! Two conventions exist for judged queries that the run lacks, and they give different means. The default is the
//! standard program's: the mean is over the queries that are both judged and in the run. The other (its `-c`) is over
//! all judged queries, where a missing one scores 0. An [`Evaluation`] says which was used and how many queries were
//! missing. Queries that nobody judged are never counted.

use crate::{
    measure::{JudgedRanking, Measure},
    qrels::{JudgedQuery, Qrels},
    run::{Ranking, Run},
};

/// What to do with judged queries that the run lacks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissingQueries {
    /// Leave them out of the mean, as trec_eval does without `-c`.
    #[default]
    LeftOut,
    /// Score them 0 for every measure, as trec_eval does with `-c`.
    ScoredZero,
}

/// How a run is judged.
#[derive(Clone, Debug, Default)]
pub struct EvaluateOptions {
    /// The convention for missing queries; the default is [`MissingQueries::LeftOut`].
    pub missing_queries: MissingQueries,
    /// Drops hits whose document id equals the query id before anything is measured (for collections in which the
    /// queries are documents, such as ArguAna and Quora). Off by default: where numbers of queries and documents
    /// coincide by chance, it would drop judged documents.
    pub ignore_identical_ids: bool,
    /// Cuts every ranking to this many hits before anything is measured (trec_eval's `-M`).
    pub depth: Option<usize>,
}

/// Why a run cannot be judged.
#[derive(Debug, thiserror::Error)]
pub enum EvaluateError {
    /// There is nothing to judge by.
    #[error("the judgments hold no query")]
    NoJudgments,
    /// Judgments and run have no query in common, so there is no mean.
    #[error(
        "no query of the run is judged: the run's first query is {}, that of the judgments `{judged}`",
        ran.as_ref().map_or("none".to_owned(), |query| format!("`{query}`"))
    )]
    NoCommonQuery {
        /// The first judged query.
        judged: String,
        /// The run's first query.
        ran: Option<String>,
    },
}

/// The scores of one query.
#[derive(Clone, Debug, PartialEq)]
pub struct QueryScores {
    /// The query's id.
    pub query: String,
    /// The value of each measure, in the order in which the measures were asked for.
    pub values: Vec<f64>,
    /// Whether the run lacks the query (only under [`MissingQueries::ScoredZero`]).
    pub missing: bool,
}

/// What a run is worth.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// The measures, as asked for.
    pub measures: Vec<Measure>,
    /// The queries that the means are over, in the order of the judgments.
    pub queries: Vec<QueryScores>,
    /// The mean of each measure over `queries`.
    pub means: Vec<f64>,
    /// The convention that was used.
    pub missing_queries: MissingQueries,
    /// How many judged queries the run lacks.
    pub missing: usize,
    /// How many queries of the run nobody judged.
    pub unjudged: usize,
    /// How many hits were dropped because document and query had the same id; `None` when they were kept.
    pub identical_ids_dropped: Option<usize>,
}

/// A part of the queries of an [`Evaluation`].
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// How many queries it has.
    pub queries: usize,
    /// The mean of each measure over them, in the order of [`Evaluation::measures`]; `None` when there are none.
    pub means: Option<Vec<f64>>,
}

impl Evaluation {
    /// The means over those of the queries that `belongs` accepts, under the same conventions.
    pub fn over(&self, belongs: impl Fn(&QueryScores) -> bool) -> Part {
        let queries: Vec<&QueryScores> = self.queries.iter().filter(|scores| belongs(scores)).collect();
        let means = (!queries.is_empty()).then(|| means(self.measures.len(), &queries));
        Part { queries: queries.len(), means }
    }

    /// The mean of a measure, if it was asked for.
    pub fn mean(&self, measure: Measure) -> Option<f64> {
        self.measures.iter().position(|asked| *asked == measure).map(|place| self.means[place])
    }

    /// The conventions in one sentence, to be shown beside the numbers.
    pub fn conventions(&self) -> String {
        let n_queries = self.queries.len();
        let mean = match self.missing_queries {
            MissingQueries::LeftOut => format!(
                "mean over the {n_queries} queries that are both judged and in the run ({} judged queries missing and left out)",
                self.missing
            ),
            MissingQueries::ScoredZero => {
                format!("mean over all {n_queries} judged queries ({} missing and scored 0)", self.missing)
            }
        };
        match self.identical_ids_dropped {
            None => format!("{mean}; hits with the query's own id kept"),
            Some(dropped) => format!("{mean}; {dropped} hits with the query's own id dropped"),
        }
    }
}

/// Judges a run.
///
/// # Errors
/// There are no judgments, or (where missing queries are left out) no query is both judged and in the run.
pub fn evaluate(
    qrels: &Qrels,
    run: &Run,
    measures: &[Measure],
    options: &EvaluateOptions,
) -> Result<Evaluation, EvaluateError> {
    let Some(first) = qrels.iter().next() else {
        return Err(EvaluateError::NoJudgments);
    };
    let mut queries = Vec::with_capacity(qrels.len());
    let mut missing = 0;
    let mut dropped = 0;
    for judged in qrels.iter() {
        let ranking = run.get(&judged.query);
        if ranking.is_none() {
            missing += 1;
            if options.missing_queries == MissingQueries::LeftOut {
                continue;
            }
        }
        if options.ignore_identical_ids {
            dropped += ranking.map_or(0, count_identical);
        }
        let ranking_grades = grades(judged, ranking, options);
        queries.push(QueryScores {
            query: judged.query.clone(),
            values: measures.iter().map(|measure| measure.value(&ranking_grades)).collect(),
            missing: ranking.is_none(),
        });
    }
    if queries.is_empty() {
        return Err(EvaluateError::NoCommonQuery {
            judged: first.query.clone(),
            ran: run.iter().next().map(|ranking| ranking.query().to_owned()),
        });
    }
    Ok(Evaluation {
        measures: measures.to_vec(),
        means: means(measures.len(), &queries.iter().collect::<Vec<_>>()),
        missing_queries: options.missing_queries,
        missing,
        unjudged: run.len() - (qrels.len() - missing),
        identical_ids_dropped: options.ignore_identical_ids.then_some(dropped),
        queries,
    })
}

/// The mean of each measure over at least one query.
fn means(n_measures: usize, queries: &[&QueryScores]) -> Vec<f64> {
    let sum = |place: usize| queries.iter().fold(0.0, |sum, scores| sum + scores.values[place]);
    (0..n_measures).map(|place| sum(place) / queries.len() as f64).collect()
}

fn grades(judged: &JudgedQuery, ranking: Option<&Ranking>, options: &EvaluateOptions) -> JudgedRanking {
    let documents = ranking
        .map_or(&[][..], Ranking::hits)
        .iter()
        .map(|hit| &*hit.document)
        .filter(|document| !(options.ignore_identical_ids && *document == judged.query))
        .take(options.depth.unwrap_or(usize::MAX));
    JudgedRanking::new(&judged.judgments, documents)
}

fn count_identical(ranking: &Ranking) -> usize {
    ranking.hits().iter().filter(|hit| *hit.document == *ranking.query()).count()
}
