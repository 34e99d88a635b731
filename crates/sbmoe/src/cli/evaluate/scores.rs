//! Scores as a table, as lines of every query, and as JSON.

use std::num::NonZeroUsize;

use sbmoe_ir::{Evaluation, MissingQueries};
use serde::{Serialize, Serializer};

use super::AskedMeasure;
use crate::cli::table::{Align, Table};

/// What every run is worth; `runs` and `evaluations` are parallel, values stand in the order of `measures`.
pub(super) struct Scores<'a> {
    pub(super) measures: &'a [AskedMeasure],
    pub(super) runs: &'a [String],
    pub(super) evaluations: &'a [Evaluation],
}

impl Scores<'_> {
    /// One row a run, one column a measure.
    pub(super) fn table(&self) -> Table {
        let columns = self.measures.iter().map(|asked| (asked.typed.as_str(), Align::Right));
        let mut table = Table::new(std::iter::once(("run", Align::Left)).chain(columns));
        for (run, evaluation) in self.runs.iter().zip(self.evaluations) {
            let means = evaluation.means.iter().map(|mean| format!("{mean:.4}"));
            table.push(std::iter::once(run.clone()).chain(means));
        }
        table
    }

    /// `measure <tab> query <tab> value`, query by query, then the means as query `all`; with several runs, the run
    /// as a fourth field.
    pub(super) fn lines(&self) -> impl Iterator<Item = String> {
        self.runs.iter().zip(self.evaluations).flat_map(move |(run, evaluation)| {
            let queries = evaluation.queries.iter().map(|scores| (scores.query.as_str(), &scores.values));
            let run = if self.runs.len() > 1 { format!("\t{run}") } else { String::new() };
            queries.chain([("all", &evaluation.means)]).flat_map(move |(query, values)| {
                let run = run.clone();
                let values = self.measures.iter().zip(values);
                values.map(move |(asked, value)| format!("{}\t{query}\t{value:.4}{run}", asked.typed))
            })
        })
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
                scores: Keyed { measures: self.measures, values: &evaluation.means },
                queries: evaluation.queries.len(),
                missing: evaluation.missing,
                unjudged: evaluation.unjudged,
                convention: match evaluation.missing_queries {
                    MissingQueries::LeftOut => "missing-left-out",
                    MissingQueries::ScoredZero => "missing-scored-zero",
                },
                identical_ids_dropped: evaluation.identical_ids_dropped,
                depth,
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
    per_query: Option<PerQuery<'a>>,
}

/// Values keyed by the measures as they were typed, in that order.
struct Keyed<'a> {
    measures: &'a [AskedMeasure],
    values: &'a [f64],
}

impl Serialize for Keyed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.measures.iter().map(|asked| &asked.typed).zip(self.values))
    }
}

/// The values of every query, in the order of the judgments.
struct PerQuery<'a> {
    measures: &'a [AskedMeasure],
    evaluation: &'a Evaluation,
}

impl Serialize for PerQuery<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(
            self.evaluation
                .queries
                .iter()
                .map(|scores| (&scores.query, Keyed { measures: self.measures, values: &scores.values })),
        )
    }
}
