//! `sbmoe mine`: hard negatives for training, out of a run or an index.
//!
//! Which hits are negatives is decided in [`sbmoe_ir::mine`]; here stand the arguments, the search, and what is printed.

use std::fmt;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Result, bail, ensure};
use clap::{Args, ValueEnum};
use sbmoe_ir::collection::Query;
use sbmoe_ir::mine::{MineCounts, MineOptions, MinedQuery, Miner, PositiveTexts, Ranks, write_negatives};
use sbmoe_ir::{Collection, Ranking, Run, Split};
use sbmoe_kernels::{Key, Precision};
use serde::Serialize;

use super::judgments::training_judgments;
use super::model_arguments::ModelArguments;
use super::query_maker::query_maker;
use super::threads::threads;
use super::vector_arguments::VectorArguments;
use super::{Verdict, console};
use crate::encoding::Normalize;
use crate::index_folder::Index;
use crate::paths::refuse_writing_over;
use crate::searching::{Queries, rank};

/// The seed of `--sampling random` where none is given.
const SEED: u64 = 42;

/// Mine hard negatives for training: documents that rank high for a query and are no answer.
///
/// They come from a run (`--run`), of BM25 for example, or from a search of an index with its model (`--index`). Few
/// answers of a query are judged, so that its best hits hold answers that nobody judged: `--ranks` leaves the very best
/// out, `--relative` asks for scores clearly below that of the query's best positive, and `--corpus` finds copies of
/// positives. Documents judged above 0 are never taken; queries without one are skipped.
///
/// `sbmoe train` reads the file as `negatives.jsonl` in the collection's folder; its `--negatives N` takes N a query.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  sbmoe mine --run bm25.train.trec --qrels scifact --corpus scifact --out scifact/negatives.jsonl
  sbmoe mine --index runs/index --model runs/model --queries scifact --split train --qrels scifact \\
      --ranks 20-200 --sampling random --negatives 16 --out scifact/negatives.jsonl
  sbmoe train --data scifact --model all-MiniLM-L6-v2 --out runs/hard --negatives 4

What is written, a line a query, documents in the order of the ranking:
  {\"query-id\": \"q1\", \"corpus-ids\": [\"d7\", \"d9\"], \"scores\": [0.71, 0.68]}")]
pub(super) struct Mine {
    /// A run over the training queries: a TREC file, plain or gzipped
    #[arg(long, value_name = "FILE", required_unless_present = "index", conflicts_with = "index")]
    run: Option<PathBuf>,

    /// An index to search for the queries
    #[arg(long, value_name = "INDEX", requires_all = ["model", "queries"])]
    index: Option<PathBuf>,

    /// The model of the index: a folder, or a name on the Hugging Face hub
    #[arg(long, value_name = "DIR|NAME", requires = "index")]
    model: Option<String>,

    /// Branch, tag or commit of a model on the hub
    #[arg(long, requires = "index")]
    revision: Option<String>,

    /// Threads, 0 for one a core; the results do not depend on it
    #[arg(long, value_name = "N", default_value = "0", value_parser = threads)]
    threads: usize,

    /// Numbers that the encoder's products are computed in: f32, bf16, int8 [default: f32]
    #[arg(long, value_name = "NUMBERS", requires = "index")]
    precision: Option<Precision>,

    /// The queries to search for: a BEIR folder, or a .jsonl file with `_id` and `text`
    #[arg(long, value_name = "FILE|DIR", requires = "index")]
    queries: Option<PathBuf>,

    /// Of a BEIR folder, only the queries that this split judges: train, dev or test
    #[arg(long, requires = "index")]
    split: Option<Split>,

    /// The known answers: a BEIR or TREC file, or a collection's folder for its train judgments
    #[arg(long, value_name = "FILE|DIR")]
    qrels: PathBuf,

    /// The collection's corpus: documents whose title and text are those of a known answer are not taken either
    #[arg(long, value_name = "FILE|DIR")]
    corpus: Option<PathBuf>,

    /// Where the negatives go
    #[arg(long, value_name = "FILE")]
    out: PathBuf,

    /// Replace the file if it is there
    #[arg(long)]
    overwrite: bool,

    /// The window of ranks that negatives are taken from, counted from 1
    #[arg(long, value_name = "FROM-TO", default_value = "10-100")]
    ranks: Ranks,

    /// The most negatives of a query
    #[arg(long, value_name = "N", default_value = "8")]
    negatives: NonZeroUsize,

    /// The share of the best positive's score that a negative's may reach, above 0 and up to 1, or `off`
    ///
    /// A negative scores at most R times what the query's best-scoring positive does; where that is negative, at most
    /// (2 - R) times, which is as far below it. A positive that is not among the hits scores no more than the last of
    /// them, so that its query gets no negatives, unless this is `off`.
    #[arg(long, value_name = "R", default_value = "0.95")]
    relative: Relative,

    /// Which of the window: its best, or some at random
    #[arg(long, value_enum, default_value = "top")]
    sampling: Sampling,

    /// Seed of `--sampling random`; what is drawn for a query depends on it and on the query's id [default: 42]
    #[arg(long, value_name = "S")]
    seed: Option<u64>,

    /// Print the counts as JSON
    #[arg(long)]
    json: bool,
}

/// Which hits of the window are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Sampling {
    /// The best
    Top,
    /// Any, each as likely as the others
    Random,
}

/// How close to the positive's a negative's score may be; `None` for any.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Relative(Option<f64>);

impl FromStr for Relative {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse::<f64>() {
            _ if text == "off" => Ok(Self(None)),
            Ok(share) if share > 0.0 && share <= 1.0 => Ok(Self(Some(share))),
            _ => Err("expected a number above 0 and up to 1, or `off`".to_owned()),
        }
    }
}

impl fmt::Display for Relative {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => write!(f, "off"),
            Some(share) => write!(f, "{share}"),
        }
    }
}

impl Mine {
    pub(super) fn run(self) -> Result<Verdict> {
        ensure!(
            self.overwrite || !self.out.exists(),
            "`{}` is there already: `--overwrite` replaces it",
            self.out.display()
        );
        let read = [&self.run, &self.corpus, &self.queries].into_iter().flatten().chain([&self.qrels]);
        refuse_writing_over(&self.out, read.cloned())?;
        ensure!(
            self.seed.is_none() || self.sampling == Sampling::Random,
            "`--seed` belongs to `--sampling random`: leave it out, or draw at random"
        );
        let qrels = training_judgments(&self.qrels)?;
        if let Some(judgment) = qrels.skipped_judgment() {
            let path = self.qrels.display();
            console::warn(format!(
                "`{path}`: line 1 is skipped as the header, but it is a judgment: `{judgment}`"
            ));
        }
        let corpus_file = |path: &PathBuf| {
            if path.is_dir() { Collection::open(path)?.corpus_file() } else { Ok(path.clone()) }
        };
        let corpus = self.corpus.as_ref().map(corpus_file).transpose()?;
        let texts = corpus.map(|file| PositiveTexts::read(&file, &qrels)).transpose()?;
        let key = Key::new(self.seed.unwrap_or(SEED)).purpose("mined negatives");
        let draw = |query: &str, places: &mut [usize]| key.purpose(query).shuffle(places);
        let options = MineOptions {
            ranks: self.ranks,
            negatives: self.negatives.get(),
            relative: self.relative.0,
            draw: match self.sampling {
                Sampling::Top => None,
                Sampling::Random => Some(&draw),
            },
        };
        let mut miner = Miner::new(&qrels, texts.as_ref(), options);
        let mined: Vec<MinedQuery> = match (&self.run, &self.index) {
            (Some(run), _) => Run::read(run)?.iter().filter_map(|ranking| miner.mine(ranking)).collect(),
            (None, Some(index)) => self.search(index, &mut miner)?,
            (None, None) => {
                bail!("there is nothing to mine: name a run by `--run`, or an index by `--index`")
            }
        };
        let counts = miner.counts();
        self.summary(&counts).iter().for_each(console::note);
        ensure!(
            !mined.is_empty(),
            "no query has a negative, so that `{}` is not written",
            self.out.display()
        );
        write_negatives(&self.out, &mined)?;
        if self.json {
            console::print(self.as_json(&counts)?)?;
        }
        Ok(Verdict::Good)
    }

    /// Ranks the index for every query, and keeps what is mined of each ranking.
    fn search(&self, index: &Path, miner: &mut Miner<'_>) -> Result<Vec<MinedQuery>> {
        let (Some(model), Some(queries)) = (&self.model, &self.queries) else {
            bail!("searching an index needs `--model` and `--queries`");
        };
        let queries = Queries::open(queries, self.split)?;
        let index = Index::open(index)?;
        let (revision, threads) = (self.revision.clone(), self.threads);
        let model = ModelArguments { model: model.clone(), revision, threads };
        let vectors = VectorArguments {
            gate: None,
            normalize: Normalize::Auto,
            similarity: None,
            seed: None,
            precision: self.precision,
        };
        let maker = query_maker(&index, &model, &vectors, false, false)?;
        let bar = console::bar(queries.len() as u64, "searching");
        let mut mined = Vec::new();
        queries.blocks(&mut |block| {
            let texts: Vec<&str> = block.iter().map(|query| query.text.as_str()).collect();
            let ranked = rank(&maker, &index, &texts, self.ranks.last())?;
            for (Query { id, .. }, ranked) in block.iter().zip(&ranked) {
                mined.extend(miner.mine(&Ranking::new(id, ranked.scored())?));
            }
            bar.inc(block.len() as u64);
            Ok(())
        })?;
        bar.finish_and_clear();
        Ok(mined)
    }

    fn summary(&self, counts: &MineCounts) -> Vec<String> {
        let MineCounts { queries, mined, negatives, .. } = counts;
        let mut lines = vec![
            format!("{negatives} negatives for {mined} of {queries} queries → `{}`", self.out.display()),
            format!(
                "left out at ranks {}: {} known positives, {} copies of them, {} too close to the best positive \
                 (`--relative {}`)",
                self.ranks, counts.known_positives, counts.duplicates, counts.too_similar, self.relative
            ),
            format!(
                "queries without negatives: {} without a positive in `{}`, {} whose positive is not among the hits, {} \
                 with nothing left",
                counts.without_positives,
                self.qrels.display(),
                counts.positive_not_ranked,
                counts.nothing_left
            ),
        ];
        if counts.not_ranked > 0 {
            lines.push(format!("queries with a positive that were not ranked: {}", counts.not_ranked));
        }
        lines
    }

    fn as_json(&self, counts: &MineCounts) -> serde_json::Result<String> {
        #[derive(Serialize)]
        struct Summary<'a> {
            out: &'a Path,
            #[serde(flatten)]
            counts: &'a MineCounts,
        }
        serde_json::to_string_pretty(&Summary { out: &self.out, counts })
    }
}
