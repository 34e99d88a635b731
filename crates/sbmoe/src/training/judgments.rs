//! Which queries are trained on, with which positives and negatives, and which are held out: all by id.

use std::collections::HashSet;

use anyhow::{Context as _, Result, bail, ensure};
use sbmoe_ir::qrels::{Grade, JudgedQuery};
use sbmoe_ir::{Collection, Negatives, Qrels, Split};
use sbmoe_kernels::Key;

use super::config::{RunConfig, ValidationFrom};

/// A query to learn from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TrainingQuery {
    pub(super) id: String,
    /// Documents of which one is drawn each epoch; never empty.
    pub(super) positives: Vec<String>,
    /// Explicit negatives; none of them is a positive.
    pub(super) negatives: Vec<String>,
}

/// A query to measure by.
#[derive(Debug, Clone)]
pub(super) struct HeldOutQuery {
    pub(super) judged: JudgedQuery,
    /// The document that the validation loss takes as its positive: the first of the highest grade.
    pub(super) positive: String,
}

/// The judgments of a run.
#[derive(Debug)]
pub(super) struct Judgments {
    pub(super) training: Vec<TrainingQuery>,
    pub(super) held_out: Vec<HeldOutQuery>,
    /// Where the held-out queries come from.
    pub(super) held_out_from: Option<Split>,
    /// The splits that were read, for the check of their ids.
    pub(super) read: Vec<Qrels>,
    pub(super) warnings: Vec<String>,
}

impl Judgments {
    /// Reads the judgments and divides the queries as `config` says.
    pub(super) fn read(collection: &Collection, config: &RunConfig) -> Result<Self> {
        let train = collection.qrels(Split::Train).with_context(|| no_training_split(collection))?;
        let mut warnings = Vec::new();
        warn_of_lost_line(&train, Split::Train, &mut warnings);
        let mut training: Vec<JudgedQuery> =
            train.iter().filter(|judged| has_positive(judged, config.min_grade)).cloned().collect();
        ensure!(
            !training.is_empty(),
            "none of the {} training queries of `{}` has a document with a grade of at least {} (`min_grade`)",
            train.len(),
            collection.folder().display(),
            config.min_grade
        );
        let without = train.len() - training.len();
        if without > 0 {
            warnings.push(format!(
                "{without} of {} training queries have no document with a grade of at least {} and are left out",
                train.len(),
                config.min_grade
            ));
        }
        if config.train_queries > 0 && config.train_queries < training.len() {
            (training, _) =
                drawn(training, config.train_queries, Key::new(config.seed).purpose("training queries"));
        }
        let mut read = vec![train];
        let (mut held_out, mut held_out_from) = (Vec::new(), None);
        if let Some(split) = validation_split(collection, config)? {
            let judged = if split == Split::Dev {
                let dev = collection.qrels(Split::Dev)?;
                warn_of_lost_line(&dev, Split::Dev, &mut warnings);
                let judged = dev.iter().cloned().collect();
                read.push(dev);
                judged
            } else {
                let (judged, rest) = held_out_part(training, config)?;
                training = rest;
                judged
            };
            held_out = judged.into_iter().filter_map(HeldOutQuery::new).collect();
            ensure!(
                !held_out.is_empty(),
                "no query of split `{split}` can be validated on: none has a relevant document"
            );
            held_out_from = Some(split);
        }
        let negatives = if config.negatives > 0 { collection.negatives()? } else { None };
        let training = training_queries(&training, config.min_grade, negatives.as_ref(), &mut warnings);
        Ok(Self { training, held_out, held_out_from, read, warnings })
    }

    /// Whether any training query has explicit negatives.
    pub(super) fn has_negatives(&self) -> bool {
        self.training.iter().any(|query| !query.negatives.is_empty())
    }
}

impl HeldOutQuery {
    /// `None` when no document is relevant, since then there is nothing to find.
    fn new(judged: JudgedQuery) -> Option<Self> {
        let best = judged.judgments.iter().map(|judgment| judgment.grade).max().filter(|grade| *grade > 0)?;
        let positive = judged.judgments.iter().find(|judgment| judgment.grade == best)?.document.to_string();
        Some(Self { judged, positive })
    }
}

fn no_training_split(collection: &Collection) -> String {
    let splits: Vec<String> = collection.splits().iter().map(|split| format!("`{split}`")).collect();
    let found =
        if splits.is_empty() { "no split at all".to_owned() } else { format!("only {}", splits.join(", ")) };
    format!("training reads `qrels/train.tsv`; `{}` has judgments of {found}", collection.folder().display())
}

fn warn_of_lost_line(qrels: &Qrels, split: Split, warnings: &mut Vec<String>) {
    if let Some(line) = qrels.skipped_judgment() {
        warnings.push(format!(
            "the first line of `qrels/{split}.tsv` is a judgment (`{}`) where the header belongs, and is not read",
            line.trim_end()
        ));
    }
}

fn has_positive(judged: &JudgedQuery, min_grade: Grade) -> bool {
    judged.judgments.iter().any(|judgment| judgment.grade >= min_grade)
}

/// Where validation queries come from; `None` without validation.
fn validation_split(collection: &Collection, config: &RunConfig) -> Result<Option<Split>> {
    let has_dev = collection.qrels_file(Split::Dev).is_ok();
    Ok(match config.validation_from {
        _ if config.validation == 0.0 => None,
        ValidationFrom::Dev if !has_dev => {
            collection.qrels_file(Split::Dev).context("`validation_from` is `dev`")?;
            None
        }
        ValidationFrom::Train => Some(Split::Train),
        ValidationFrom::Auto if !has_dev => Some(Split::Train),
        ValidationFrom::Auto | ValidationFrom::Dev => Some(Split::Dev),
    })
}

/// Draws the held-out part of the training queries; the rest stays for training.
fn held_out_part(
    queries: Vec<JudgedQuery>,
    config: &RunConfig,
) -> Result<(Vec<JudgedQuery>, Vec<JudgedQuery>)> {
    let total = queries.len();
    if total < 2 {
        bail!("there is only one training query, so none can be held out; use `--validation 0`");
    }
    let wanted = (config.validation * total as f64).round() as usize;
    Ok(drawn(queries, wanted.clamp(1, total - 1), Key::new(config.seed).purpose("validation queries")))
}

/// Draws `count` items; both parts keep their order.
fn drawn<T>(items: Vec<T>, count: usize, key: Key) -> (Vec<T>, Vec<T>) {
    let mut order: Vec<usize> = (0..items.len()).collect();
    key.shuffle(&mut order);
    let chosen: HashSet<usize> = order.into_iter().take(count).collect();
    let (taken, rest): (Vec<_>, Vec<_>) =
        items.into_iter().enumerate().partition(|(place, _)| chosen.contains(place));
    let strip = |part: Vec<(usize, T)>| part.into_iter().map(|(_, item)| item).collect();
    (strip(taken), strip(rest))
}

fn training_queries(
    queries: &[JudgedQuery],
    min_grade: Grade,
    negatives: Option<&Negatives>,
    warnings: &mut Vec<String>,
) -> Vec<TrainingQuery> {
    let mut contradictions = 0;
    let training = queries
        .iter()
        .map(|JudgedQuery { query, judgments }| {
            let positives = judgments.iter().filter(|judgment| judgment.grade >= min_grade);
            let positives: Vec<String> = positives.map(|judgment| judgment.document.to_string()).collect();
            let given = negatives.map_or(&[][..], |negatives| negatives.of(query));
            let mut own = given.to_vec();
            own.retain(|document| !positives.contains(document));
            contradictions += given.len() - own.len();
            TrainingQuery { id: query.clone(), positives, negatives: own }
        })
        .collect();
    if contradictions > 0 {
        warnings.push(format!(
            "`negatives.jsonl` names {contradictions} documents that are judged positive for the same query; these are \
             not taken as negatives"
        ));
    }
    training
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draw_keeps_the_order_and_loses_nothing() {
        let items: Vec<u32> = (0..100).collect();
        let (taken, rest) = drawn(items.clone(), 30, Key::new(1));
        assert_eq!((taken.len(), rest.len()), (30, 70));
        assert!(taken.is_sorted() && rest.is_sorted());
        let mut all = [taken.clone(), rest].concat();
        all.sort_unstable();
        assert_eq!(all, items);
        assert_ne!(drawn(items, 30, Key::new(2)).0, taken);
    }

    #[test]
    fn a_held_out_query_takes_its_best_document_as_positive() {
        let qrels =
            Qrels::from_judgments([("q", "a", 1), ("q", "b", 2), ("q", "c", 2), ("r", "a", 0)]).unwrap();
        let mut queries = qrels.iter().cloned();
        let first = HeldOutQuery::new(queries.next().unwrap()).unwrap();
        assert_eq!(first.positive, "b");
        assert!(HeldOutQuery::new(queries.next().unwrap()).is_none());
    }
}
