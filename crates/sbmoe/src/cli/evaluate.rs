//! `sbmoe evaluate`: runs and judgments in, scores out.
//!
//! The measures and their conventions are those of [`sbmoe_ir`]; here stand the arguments, the reading of files and
//! what is said on standard error. How scores are printed is in [`scores`].

mod scores;

use std::{
    collections::HashSet,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    str::FromStr,
};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use sbmoe_ir::{
    EvaluateOptions, Evaluation, Measure, MissingQueries, Qrels, Run, Split, TrainingPositives,
    measure::{MeasureError, known_measures},
};

use super::{
    Verdict, console,
    judgments::{judgments, training_judgments},
};

/// Score runs against judgments.
///
/// Prints one row a run: the mean of each measure over the queries, with 4 digits. The values are those of trec_eval,
/// ties included: hits are ordered by score, equal scores by document id, larger first. Standard error says which
/// queries the means are over.
#[derive(Debug, Args)]
#[command(after_long_help = examples())]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(super) struct Evaluate {
    /// Judgments: a TREC or BEIR file, plain or gzipped, or a collection's folder.
    #[arg(long, value_name = "FILE|DIR")]
    qrels: PathBuf,

    /// Which judgments of a folder [default: test]
    #[arg(long, value_name = "train|dev|test")]
    split: Option<Split>,

    /// The judgments that were trained on (a folder gives its train judgments), to score seen and unseen queries apart.
    ///
    /// A query is seen when one of its relevant documents is relevant in this file too: its score tells what the model
    /// remembers, that of unseen queries what it has learned.
    #[arg(long, value_name = "FILE|DIR")]
    train_qrels: Option<PathBuf>,

    /// Runs: TREC files, `query Q0 document rank score tag` a line, plain or gzipped.
    #[arg(long = "run", value_name = "FILE", required = true, num_args = 1..)]
    runs: Vec<PathBuf>,

    /// What to measure, by ir_measures' or trec_eval's names: `nDCG@10`, `AP(rel=2)@100`, `map_cut_100`.
    #[arg(
        short,
        long = "measure",
        value_name = "MEASURE",
        num_args = 1..,
        default_values = ["nDCG@10", "R@100", "RR@10", "AP@100", "P@1"]
    )]
    measures: Vec<AskedMeasure>,

    /// Print every query's values, as lines `measure <tab> query <tab> value` that end with those of query `all`.
    ///
    /// They stand in place of the table. With several runs, a fourth field names the run. With `--train-qrels`, the last
    /// field is `seen` or `unseen`, and the means are three: `all`, `seen` and `unseen`.
    #[arg(long)]
    per_query: bool,

    /// Print JSON: `scores` are keyed by the measures as they were typed, with all digits.
    ///
    /// Several runs stand in a list `runs`. `--per-query` adds `per_query`. `--train-qrels` adds `seen` and `unseen`,
    /// each with its number of `queries`, its `scores` (null without queries), and with `--per-query` its queries' `ids`.
    #[arg(long)]
    json: bool,

    /// Score judged queries that the run lacks 0, as trec_eval's `-c` does [default: leave them out of the mean]
    #[arg(long)]
    complete: bool,

    /// Judge only the first M hits of each query, whatever the measure (trec_eval's `-M`).
    #[arg(long, value_name = "M")]
    depth: Option<NonZeroUsize>,

    /// Drop hits whose document id is the query's id, for collections whose queries are documents (ArguAna, Quora).
    #[arg(long)]
    ignore_identical_ids: bool,
}

/// A measure and how the user spelled it, which is how it is printed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct AskedMeasure {
    typed: String,
    measure: Measure,
}

impl FromStr for AskedMeasure {
    type Err = MeasureError;

    fn from_str(typed: &str) -> Result<Self, MeasureError> {
        Ok(Self { typed: typed.to_owned(), measure: typed.parse()? })
    }
}

impl Evaluate {
    pub(super) fn run(mut self) -> Result<Verdict> {
        drop_repeated(&mut self.measures);
        let qrels = judgments(&self.qrels, self.split)?;
        if qrels.is_empty() {
            bail!("`{}` holds no judgments", self.qrels.display());
        }
        if let Some(judgment) = qrels.skipped_judgment() {
            let path = self.qrels.display();
            console::warn(format!(
                "`{path}`: line 1 is skipped as the header, but it is a judgment: `{judgment}`"
            ));
        }
        let evaluations = self.runs.iter().map(|run| self.judge(&qrels, run)).collect::<Result<Vec<_>>>()?;
        let runs: Vec<String> = self.runs.iter().map(|run| run.display().to_string()).collect();
        self.note_conventions(&runs, &evaluations);
        let seen = self.train_qrels.as_deref().map(|path| seen_queries(path, &qrels)).transpose()?;
        let scores = scores::Scores {
            measures: &self.measures,
            runs: &runs,
            evaluations: &evaluations,
            seen: seen.as_ref(),
        };
        match (self.json, self.per_query) {
            (true, per_query) => console::print(scores.json(self.depth, per_query)?)?,
            (false, true) => scores.lines().try_for_each(console::print)?,
            (false, false) => scores.table().lines().try_for_each(console::print)?,
        }
        Ok(Verdict::Good)
    }

    fn judge(&self, qrels: &Qrels, path: &Path) -> Result<Evaluation> {
        let run = Run::read(path)?;
        let measures: Vec<Measure> = self.measures.iter().map(|asked| asked.measure).collect();
        let options = EvaluateOptions {
            missing_queries: if self.complete { MissingQueries::ScoredZero } else { MissingQueries::LeftOut },
            ignore_identical_ids: self.ignore_identical_ids,
            depth: self.depth.map(NonZeroUsize::get),
        };
        sbmoe_ir::evaluate(qrels, &run, &measures, &options).with_context(|| format!("`{}`", path.display()))
    }

    /// Says what the means are over: once when it is the same for all runs, else for each.
    fn note_conventions(&self, runs: &[String], evaluations: &[Evaluation]) {
        let conventions: Vec<String> =
            evaluations.iter().map(|evaluation| self.convention(evaluation)).collect();
        if conventions.iter().all(|convention| *convention == conventions[0]) {
            console::note(&conventions[0]);
        } else {
            for (run, convention) in runs.iter().zip(&conventions) {
                console::note(format!("{run}: {convention}"));
            }
        }
        if evaluations.iter().any(|evaluation| !same_queries(evaluation, &evaluations[0])) {
            console::warn(
                "the means of these runs are over different queries and do not compare: `--complete` puts them over \
                 all judged queries",
            );
        }
    }

    fn convention(&self, evaluation: &Evaluation) -> String {
        let mut parts = vec![evaluation.conventions()];
        parts.extend(self.depth.map(|depth| format!("only the first {depth} hits judged")));
        if evaluation.unjudged > 0 {
            parts.push(format!("queries of the run without judgments passed over: {}", evaluation.unjudged));
        }
        parts.join("; ")
    }
}

/// The ids of the judged queries that training has seen, said on standard error too.
fn seen_queries(path: &Path, judged: &Qrels) -> Result<HashSet<String>> {
    let training = training_judgments(path)?;
    let positives = TrainingPositives::of(&training);
    let seen: HashSet<String> = judged
        .iter()
        .filter(|judged| positives.have_seen(&judged.judgments))
        .map(|judged| judged.query.clone())
        .collect();
    console::note(format!(
        "seen: {} of {} judged queries have a relevant document that is relevant in `{}` too",
        seen.len(),
        judged.len(),
        path.display()
    ));
    Ok(seen)
}

/// Keeps the first of equal spellings, since scores are keyed by them.
fn drop_repeated(measures: &mut Vec<AskedMeasure>) {
    let mut kept: Vec<AskedMeasure> = Vec::with_capacity(measures.len());
    for asked in measures.drain(..) {
        if !kept.contains(&asked) {
            kept.push(asked);
        }
    }
    *measures = kept;
}

fn same_queries(left: &Evaluation, right: &Evaluation) -> bool {
    left.queries.iter().map(|scores| &scores.query).eq(right.queries.iter().map(|scores| &scores.query))
}

fn examples() -> String {
    format!(
        "Examples:\n  \
           sbmoe evaluate --qrels data/scifact --run run.trec\n  \
           sbmoe evaluate --qrels qrels.txt --run bm25.trec dense.trec -m nDCG@10 -m R@100 --complete\n  \
           sbmoe evaluate --qrels qrels.txt --run run.trec -m map 'AP(rel=2)@100' --per-query\n  \
           sbmoe evaluate --qrels data/scifact --train-qrels data/scifact --run run.trec\n\n\
         Measures:\n  {}.",
        known_measures()
    )
}
