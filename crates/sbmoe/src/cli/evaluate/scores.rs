//! Scores as a table, as lines of every query, and as JSON.

use std::{borrow::Cow, collections::HashSet, num::NonZeroUsize};

use sbmoe_ir::{
    Evaluation, MissingQueries,
    evaluate::{Part, QueryScores},
};
use serde::{Serialize, Serializer};

use super::AskedMeasure;
use crate::cli::table::{Align, Table};

/// What every run is worth; `runs` and `evaluations` are parallel, values stand in the order of `measures`.
pub(super) struct Scores<'a> {
    pub(super) measures: &'a [AskedMeasure],
    pub(super) runs: &'a [String],
    pub(super) evaluations: &'a [Evaluation],
    /// The ids of the seen queries, to score them and the others apart.
    pub(super) seen: Option<&'a HashSet<String>>,
}

impl Scores<'_> {
    /// One row a run, one column a measure; where seen queries are told apart, three rows a run.
    pub(super) fn table(&self) -> Table {
        let parts = [("queries", Align::Left), ("n", Align::Right)];
        let columns = std::iter::once(("run", Align::Left))
            .chain(parts.into_iter().filter(|_| self.seen.is_some()))
            .chain(self.measures.iter().map(|asked| (asked.typed.as_str(), Align::Right)));
        let mut table = Table::new(columns);
        for (run, evaluation) in self.runs.iter().zip(self.evaluations) {
            for (name, Part { queries, means }) in self.parts(evaluation) {
                let part = [name.to_owned(), queries.to_string()];
                let means = means.map_or_else(
                    || vec!["-".to_owned(); self.measures.len()],
                    |means| means.iter().map(|mean| format!("{mean:.4}")).collect(),
                );
                let part = part.into_iter().filter(|_| self.seen.is_some());
                table.push(std::iter::once(run.clone()).chain(part).chain(means));
            }
        }
        table
    }

    /// `measure <tab> query <tab> value`, query by query, then the means as query `all`; with several runs, the run
    /// as a fourth field; where seen queries are told apart, `seen` or `unseen` as the last, or `all` for the mean of
    /// both.
    pub(super) fn lines(&self) -> impl Iterator<Item = String> {
        self.runs.iter().zip(self.evaluations).flat_map(move |(run, evaluation)| {
            let run = if self.runs.len() > 1 { format!("\t{run}") } else { String::new() };
            let queries = evaluation.queries.iter().map(|scores| {
                let part = if self.has_seen(scores) { "seen" } else { "unseen" };
                (scores.query.as_str(), part, scores.values.clone())
            });
            let means = self.parts(evaluation).into_iter();
            let means = means.filter_map(|(name, part)| Some(("all", name, part.means?)));
            queries.chain(means).flat_map(move |(query, part, values)| {
                let run = run.clone();
                let part = self.seen.map(|_| format!("\t{part}")).unwrap_or_default();
                let values = self.measures.iter().zip(values);
                values.map(move |(asked, value)| format!("{}\t{query}\t{value:.4}{run}{part}", asked.typed))
            })
        })
    }

    /// All queries, and then the seen and the unseen ones where they are told apart.
    fn parts(&self, evaluation: &Evaluation) -> Vec<(&'static str, Part)> {
        let all = Part { queries: evaluation.queries.len(), means: Some(evaluation.means.clone()) };
        let mut parts = vec![("all", all)];
        if self.seen.is_some() {
            parts.push(("seen", evaluation.over(|scores| self.has_seen(scores))));
            parts.push(("unseen", evaluation.over(|scores| !self.has_seen(scores))));
        }
        parts
    }

    fn has_seen(&self, scores: &QueryScores) -> bool {
        self.seen.is_some_and(|seen| seen.contains(&scores.query))
    }

    fn part_scores<'a>(
        &'a self,
        evaluation: &'a Evaluation,
        per_query: bool,
        belongs: impl Fn(&QueryScores) -> bool,
    ) -> PartScores<'a> {
        let Part { queries, means } = evaluation.over(&belongs);
        let ids = evaluation.queries.iter().filter(|scores| belongs(scores)).map(|scores| &*scores.query);
        PartScores {
            queries,
            scores: means.map(|values| Keyed { measures: self.measures, values: values.into() }),
            ids: per_query.then(|| ids.collect()),
        }
    }

    /// The object of the only run, or of the list of all.
    pub(super) fn json(&self, depth: Option<NonZeroUsize>, per_query: bool) -> serde_json::Result<String> {
        #[derive(Serialize)]
        struct Several<'a> {
            runs: Vec<RunScores<'a>>,
        }
        let mut runs: Vec<RunScores<'_>> = self
            .runs
            .iter()
            .zip(self.evaluations)
            .map(|(run, evaluation)| RunScores {
                run,
                scores: Keyed { measures: self.measures, values: (&evaluation.means).into() },
                queries: evaluation.queries.len(),
                missing: evaluation.missing,
                unjudged: evaluation.unjudged,
                convention: match evaluation.missing_queries {
                    MissingQueries::LeftOut => "missing-left-out",
                    MissingQueries::ScoredZero => "missing-scored-zero",
                },
                identical_ids_dropped: evaluation.identical_ids_dropped,
                depth,
                seen: self
                    .seen
                    .map(|_| self.part_scores(evaluation, per_query, |scores| self.has_seen(scores))),
                unseen: self
                    .seen
                    .map(|_| self.part_scores(evaluation, per_query, |scores| !self.has_seen(scores))),
                per_query: per_query.then_some(PerQuery { measures: self.measures, evaluation }),
            })
            .collect();
        match runs.len() {
            1 => serde_json::to_string_pretty(&runs.remove(0)),
            _ => serde_json::to_string_pretty(&Several { runs }),
        }
    }
}

#[derive(Serialize)]
struct RunScores<'a> {
    run: &'a str,
    scores: Keyed<'a>,
    /// How many queries the means are over.
    queries: usize,
    /// How many judged queries the run lacks.
    missing: usize,
    /// How many queries of the run nobody judged.
    unjudged: usize,
    convention: &'static str,
    /// Null when hits with the query's own id were kept.
    identical_ids_dropped: Option<usize>,
    depth: Option<NonZeroUsize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seen: Option<PartScores<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unseen: Option<PartScores<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    per_query: Option<PerQuery<'a>>,
}

/// What a run is worth for a part of the queries.
#[derive(Serialize)]
struct PartScores<'a> {
    queries: usize,
    /// Null where there are no queries to take means over.
    scores: Option<Keyed<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ids: Option<Vec<&'a str>>,
}

/// Values keyed by the measures as they were typed, in that order.
struct Keyed<'a> {
    measures: &'a [AskedMeasure],
    values: Cow<'a, [f64]>,
}

impl Serialize for Keyed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.measures.iter().map(|asked| &asked.typed).zip(&*self.values))
    }
}

/// The values of every query, in the order of the judgments.
struct PerQuery<'a> {
    measures: &'a [AskedMeasure],
    evaluation: &'a Evaluation,
}

impl Serialize for PerQuery<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.evaluation.queries.iter().map(|scores| {
            (&scores.query, Keyed { measures: self.measures, values: (&scores.values).into() })
        }))
    }
}
