//! Which queries are trained on, with which positives and negatives, and which are held out: all by id.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use anyhow::{Context as _, Result, bail, ensure};
use sbmoe_ir::qrels::{Grade, JudgedQuery};
use sbmoe_ir::{Collection, Negatives, Qrels, Split};
use sbmoe_kernels::Key;

use super::config::{HoldOut, RunConfig, ValidationFrom};
use super::held_out;
use super::teaching::Scored;

/// A query to learn from.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct TrainingQuery {
    pub(super) id: String,
    /// Documents of which one is drawn each epoch; never empty.
    pub(super) positives: Vec<String>,
    /// Explicit negatives; none of them is a positive.
    pub(super) negatives: Vec<String>,
    /// What a teacher's scores say of it, where the run reads some.
    pub(super) scores: Vec<Scored>,
    /// The fold that holds it out, where there are folds.
    pub(super) fold: Option<u8>,
}

/// A query to measure by.
#[derive(Debug, Clone)]
pub(super) struct HeldOutQuery {
    pub(super) judged: JudgedQuery,
    /// The document that the validation loss takes as its positive: the first of the highest grade.
    pub(super) positive: String,
    /// The fold that holds it out, where there are folds.
    pub(super) fold: Option<u8>,
    /// Whether one of its relevant documents is a training positive: what it scores then says less.
    pub(super) seen: bool,
}

/// Where held-out queries come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeldOutFrom {
    /// The dev judgments.
    Dev,
    /// A part of the training queries, which is not trained on.
    Train,
    /// All training queries, each held out by one of so many folds.
    Folds(u8),
}

impl HeldOutFrom {
    /// The split whose judgments they are.
    pub(super) fn split(self) -> Split {
        match self {
            Self::Dev => Split::Dev,
            Self::Train | Self::Folds(_) => Split::Train,
        }
    }
}

impl fmt::Display for HeldOutFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dev | Self::Train => write!(f, "split `{}`", self.split()),
            Self::Folds(folds) => write!(f, "split `train` in {folds} folds"),
        }
    }
}

/// The judgments of a run.
#[derive(Debug)]
pub(super) struct Judgments {
    pub(super) training: Vec<TrainingQuery>,
    pub(super) held_out: Vec<HeldOutQuery>,
    /// Where the held-out queries come from.
    pub(super) held_out_from: Option<HeldOutFrom>,
    /// Those of the held-out queries that can be learnt from, for a training on everything after the choice.
    pub(super) held_back: Vec<TrainingQuery>,
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
        let from = held_out_from(collection, config, training.len())?;
        let mut folds = Vec::new();
        let judged: Vec<JudgedQuery> = match from {
            None => Vec::new(),
            Some(HeldOutFrom::Dev) => {
                let dev = collection.qrels(Split::Dev)?;
                warn_of_lost_line(&dev, Split::Dev, &mut warnings);
                let judged = dev.iter().cloned().collect();
                read.push(dev);
                judged
            }
            Some(HeldOutFrom::Train) => {
                let (judged, rest) = held_out_part(training, config, &mut warnings)?;
                training = rest;
                judged
            }
            Some(HeldOutFrom::Folds(n_folds)) => {
                let positives = numbered(&training, config.min_grade);
                let key = Key::new(config.seed).purpose("folds");
                folds = held_out::folds(&positives, n_folds, key);
                training.clone()
            }
        };
        let positives =
            |query: &JudgedQuery| relevant(query, config.min_grade).map(str::to_owned).collect::<Vec<_>>();
        let mut held_out: Vec<HeldOutQuery> = (0..)
            .zip(judged)
            .filter_map(|(place, judged)| HeldOutQuery::new(judged, folds.get(place).copied()))
            .collect();
        if let Some(from) = from {
            ensure!(
                !held_out.is_empty(),
                "no query of {from} can be validated on: none has a relevant document"
            );
        }
        let learnt = |fold: Option<u8>| -> HashSet<String> {
            let other = (0..)
                .zip(&training)
                .filter(|(place, _)| fold.is_none() || folds.get(*place).copied() != fold);
            other.flat_map(|(_, query)| positives(query)).collect()
        };
        let mut of_fold: BTreeMap<Option<u8>, HashSet<String>> = BTreeMap::new();
        for query in &mut held_out {
            let learnt = of_fold.entry(query.fold).or_insert_with(|| learnt(query.fold));
            query.seen = relevant(&query.judged, 1).any(|document| learnt.contains(document));
        }
        let negatives = if config.negatives > 0 { collection.negatives()? } else { None };
        let held_back: Vec<JudgedQuery> = held_out
            .iter()
            .filter(|query| query.fold.is_none() && has_positive(&query.judged, config.min_grade))
            .map(|query| query.judged.clone())
            .collect();
        let negatives = (negatives.as_ref(), config.min_grade);
        let held_back = training_queries(&held_back, &[], negatives, &mut warnings);
        let training = training_queries(&training, &folds, negatives, &mut warnings);
        Ok(Self { training, held_out, held_out_from: from, held_back, read, warnings })
    }

    /// Whether any training query has explicit negatives.
    pub(super) fn has_negatives(&self) -> bool {
        self.training.iter().any(|query| !query.negatives.is_empty())
    }
}

impl HeldOutQuery {
    /// `None` when no document is relevant, since then there is nothing to find.
    fn new(judged: JudgedQuery, fold: Option<u8>) -> Option<Self> {
        let best = judged.judgments.iter().map(|judgment| judgment.grade).max().filter(|grade| *grade > 0)?;
        let positive = judged.judgments.iter().find(|judgment| judgment.grade == best)?.document.to_string();
        Some(Self { judged, positive, fold, seen: false })
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

/// The documents of at least a grade.
fn relevant(judged: &JudgedQuery, min_grade: Grade) -> impl Iterator<Item = &str> {
    judged
        .judgments
        .iter()
        .filter(move |judgment| judgment.grade >= min_grade)
        .map(|judgment| &*judgment.document)
}

/// Fewer training queries than these are divided into folds.
const FEW_QUERIES: usize = 2000;

/// Where validation queries come from; `None` without validation.
fn held_out_from(
    collection: &Collection,
    config: &RunConfig,
    n_queries: usize,
) -> Result<Option<HeldOutFrom>> {
    let has_dev = collection.qrels_file(Split::Dev).is_ok();
    let folds = u8::try_from(config.folds.min(n_queries)).unwrap_or(u8::MAX);
    let in_folds =
        config.validation.is_none() && config.freeze_encoder && folds > 1 && n_queries < FEW_QUERIES;
    let train = if in_folds { HeldOutFrom::Folds(folds) } else { HeldOutFrom::Train };
    Ok(match config.validation_from {
        _ if config.validation == Some(0.0) => None,
        ValidationFrom::Dev if !has_dev => {
            collection.qrels_file(Split::Dev).context("`validation_from` is `dev`")?;
            None
        }
        ValidationFrom::Train => Some(train),
        ValidationFrom::Auto if !has_dev => Some(train),
        ValidationFrom::Auto | ValidationFrom::Dev => Some(HeldOutFrom::Dev),
    })
}

/// The positives of each query as numbers.
fn numbered(queries: &[JudgedQuery], min_grade: Grade) -> Vec<Vec<u32>> {
    let mut numbers: BTreeMap<&str, u32> = BTreeMap::new();
    let mut number = |document| {
        let next = numbers.len() as u32;
        *numbers.entry(document).or_insert(next)
    };
    queries.iter().map(|query| relevant(query, min_grade).map(&mut number).collect()).collect()
}

/// Draws the held-out part of the training queries; the rest stays for training.
fn held_out_part(
    queries: Vec<JudgedQuery>,
    config: &RunConfig,
    warnings: &mut Vec<String>,
) -> Result<(Vec<JudgedQuery>, Vec<JudgedQuery>)> {
    let total = queries.len();
    if total < 2 {
        bail!("there is only one training query, so none can be held out; use `--validation 0`");
    }
    let wanted = match config.validation {
        Some(part) => (part * total as f64).round() as usize,
        None => (total / 5).min(200),
    };
    let (wanted, key) = (wanted.clamp(1, total - 1), Key::new(config.seed).purpose("validation queries"));
    if config.hold_out == HoldOut::Random {
        return Ok(drawn(queries, wanted, key));
    }
    let positives = numbered(&queries, config.min_grade);
    let chosen = held_out::held_out(&positives, wanted, key);
    let overlap = held_out::overlap(&positives, |query| chosen[query]);
    if overlap > 0 {
        let count = chosen.iter().filter(|chosen| **chosen).count();
        warnings.push(format!(
            "{overlap} of {count} held-out queries have a positive that is trained on too, since the queries share their \
             documents; these say less"
        ));
    }
    let (taken, rest): (Vec<_>, Vec<_>) = queries.into_iter().zip(chosen).partition(|(_, chosen)| *chosen);
    let strip = |part: Vec<(JudgedQuery, bool)>| part.into_iter().map(|(query, _)| query).collect();
    Ok((strip(taken), strip(rest)))
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
    folds: &[u8],
    (negatives, min_grade): (Option<&Negatives>, Grade),
    warnings: &mut Vec<String>,
) -> Vec<TrainingQuery> {
    let mut contradictions = 0;
    let training = (0..)
        .zip(queries)
        .map(|(place, judged)| {
            let query = &judged.query;
            let positives: Vec<String> = relevant(judged, min_grade).map(str::to_owned).collect();
            let given = negatives.map_or(&[][..], |negatives| negatives.of(query));
            let mut own = given.to_vec();
            own.retain(|document| !positives.contains(document));
            contradictions += given.len() - own.len();
            let fold = folds.get(place).copied();
            TrainingQuery { id: query.clone(), positives, negatives: own, scores: Vec::new(), fold }
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
        let first = HeldOutQuery::new(queries.next().unwrap(), None).unwrap();
        assert_eq!(first.positive, "b");
        assert!(HeldOutQuery::new(queries.next().unwrap(), None).is_none());
    }
}
