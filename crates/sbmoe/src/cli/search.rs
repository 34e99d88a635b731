//! `sbmoe search`: queries against an index, as a run or as an answer to read.

use std::io::{self, BufWriter, StdoutLock};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use rayon::ThreadPool;
use rayon::prelude::*;
use sbmoe_index::{DocOrdinal, MANIFEST_FILE};
use sbmoe_ir::atomic_file::AtomicFile;
use sbmoe_ir::run_writer::refuse_unwritable;
use sbmoe_ir::{Ranking, RunWriter, Split};
use serde_json::{Value, json};

use super::model_arguments::ModelArguments;
use super::query_maker::query_maker;
use super::vector_arguments::VectorArguments;
use super::{Verdict, console};
use crate::index_folder::Index;
use crate::paths::refuse_writing_over;
use crate::searching::{Queries, Ranked, rank};

/// Queries that are encoded sooner than the model's weights are laid out for many.
const FEW: usize = 8;

/// Hits that an answer on the terminal shows.
const SHOWN: usize = 5;

/// Search an index: a TREC run for many queries, an answer for one text.
///
/// Scores are exact inner products; equal scores are ordered by document id, descending, as the standard evaluation
/// program does. An index with a rounded copy (`sbmoe index round`) gives the same bytes and is read faster.
#[derive(Debug, Args)]
pub(super) struct Search {
    /// The index folder
    #[arg(long, value_name = "INDEX")]
    index: PathBuf,

    #[command(flatten)]
    model: ModelArguments,

    /// A BEIR folder, a .jsonl file with `_id` and `text`, or the text of one query
    #[arg(long, value_name = "FILE|DIR|TEXT")]
    queries: String,

    /// Of a BEIR folder, only the queries that this split judges: train, dev or test
    #[arg(long)]
    split: Option<Split>,

    /// Hits a query [default: 1000, for one text 5]
    #[arg(long, value_name = "K")]
    k: Option<NonZeroUsize>,

    #[command(flatten)]
    vectors: VectorArguments,

    /// Where the TREC run goes [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// The run's tag, its last column
    #[arg(long, default_value = "sbmoe")]
    tag: String,

    /// Search although the index was made with another model or gate
    #[arg(long)]
    force: bool,

    /// Print the hits as JSON, one object a query
    #[arg(long)]
    json: bool,
}

impl Search {
    pub(super) fn run(self) -> Result<Verdict> {
        let queries = self.open_queries()?;
        let is_text = !Path::new(&self.queries).exists();
        let index = Index::open(&self.index)?;
        let maker = query_maker(&index, &self.model, &self.vectors, queries.len() <= FEW, self.force)?;
        let k = self.k.map_or(if is_text { SHOWN } else { 1000 }, NonZeroUsize::get);
        let mut run = None;
        if self.out.is_some() || !(self.json || is_text) {
            refuse_unwritable("tag", &self.tag)?;
            refuse_unwritable_ids(&queries, &index, maker.retriever.ops.pool())?;
            run = Some(self.run_writer(&queries, &index)?);
        }
        let bar = console::bar(queries.len() as u64, "searching");
        queries.blocks(&mut |block| {
            let texts: Vec<&str> = block.iter().map(|query| query.text.as_str()).collect();
            let ranked = rank(&maker, &index, &texts, k)?;
            for (query, ranked) in block.iter().zip(&ranked) {
                if self.json {
                    console::print(as_json(&index, &query.id, &query.text, ranked)?.to_string())?;
                } else if is_text && self.out.is_none() {
                    answer(&index, ranked)?;
                }
                if let Some(run) = &mut run {
                    run.write(&Ranking::new(&query.id, ranked.scored())?)?;
                }
            }
            bar.inc(block.len() as u64);
            Ok(())
        })?;
        bar.finish_and_clear();
        if let Some(run) = run {
            run.finish()?;
        }
        if let Some(path) = &self.out {
            console::note(format!("{} queries → `{}`", queries.len(), path.display()));
        }
        Ok(Verdict::Good)
    }

    fn open_queries(&self) -> Result<Queries> {
        let path = Path::new(&self.queries);
        if path.exists() {
            return Queries::open(path, self.split);
        }
        if self.queries.trim().is_empty() {
            bail!("`--queries` is empty: name a file, a folder, or give the text of a query");
        }
        if looks_like_a_path(&self.queries) {
            bail!(
                "there is no file or folder `{}`; the text of a query that looks like a path is searched for when a blank is \
                 put behind it",
                self.queries
            );
        }
        if self.split.is_some() {
            bail!("`--split` narrows a folder's queries, but there is no folder `{}`", self.queries);
        }
        Ok(Queries::typed(&self.queries))
    }

    /// Where the run goes, which must not be a file that is read.
    fn run_writer(&self, queries: &Queries, index: &Index) -> Result<Output> {
        let Some(path) = &self.out else {
            return Ok(Output::Stdout(RunWriter::new(BufWriter::new(io::stdout().lock()), &self.tag)?));
        };
        let folder = index.folder().path();
        let files = index.manifest().files.keys().map(|name| folder.join(name));
        let read = queries.file().map(Path::to_owned).into_iter().chain([folder.join(MANIFEST_FILE)]);
        refuse_writing_over(path, files.chain(read))?;
        Ok(Output::File(RunWriter::new(AtomicFile::create(path)?, &self.tag)?))
    }
}

/// A run in the making.
enum Output {
    File(RunWriter<AtomicFile>),
    Stdout(RunWriter<BufWriter<StdoutLock<'static>>>),
}

impl Output {
    fn write(&mut self, ranking: &Ranking) -> Result<(), sbmoe_ir::Error> {
        match self {
            Self::File(run) => run.write(ranking),
            Self::Stdout(run) => run.write(ranking),
        }
    }

    fn finish(self) -> Result<()> {
        match self {
            Self::File(run) => run.finish()?.commit()?,
            Self::Stdout(run) => drop(run.finish()?),
        }
        Ok(())
    }
}

/// Whether somebody who typed this meant a file: it has a separator and no blank, or the ending of a file of queries.
fn looks_like_a_path(text: &str) -> bool {
    let is_one_word = !text.contains(char::is_whitespace);
    let ends_as_file =
        [".jsonl", ".gz", ".json", ".tsv", ".txt", ".csv"].iter().any(|end| text.ends_with(end));
    ends_as_file || (is_one_word && text.contains(['/', '\\']))
}

/// Refuses ids that no run can hold, before the search.
fn refuse_unwritable_ids(queries: &Queries, index: &Index, pool: &ThreadPool) -> Result<()> {
    queries.blocks(&mut |block| {
        Ok(block.iter().try_for_each(|query| refuse_unwritable("query id", &query.id))?)
    })?;
    let documents = index.documents();
    let refuse = |document| -> Result<()> { Ok(refuse_unwritable("document id", &documents.id(document)?)?) };
    pool.install(|| (0..documents.len() as DocOrdinal).into_par_iter().try_for_each(refuse)).context(
        "a run needs a corpus whose ids stand on one line without blanks; `--json` prints hits with any id",
    )
}

/// Prints hits to be read: rank, score, expert, title, and the beginning of the text.
fn answer(index: &Index, ranked: &Ranked) -> Result<()> {
    if let Some(expert) = ranked.expert {
        console::print(format!("query → expert {expert}"))?;
    }
    for (rank, hit) in (1..).zip(&ranked.hits) {
        let row = index.documents().row(hit.document)?;
        let expert =
            index.expert(hit.document).map(|expert| format!("  expert {expert}")).unwrap_or_default();
        let title = if row.title.is_empty() { "(no title)" } else { &row.title };
        console::print(format!("{rank:>2}  {:.4}{expert}  {title}  [{}]", hit.score, row.id))?;
        console::print(format!("      {}", row.snippet))?;
    }
    Ok(())
}

fn as_json(index: &Index, id: &str, text: &str, ranked: &Ranked) -> Result<Value> {
    let hits: Vec<Value> = ranked
        .hits
        .iter()
        .map(|hit| {
            let row = index.documents().row(hit.document)?;
            let (title, snippet) = (row.title, row.snippet);
            let expert = index.expert(hit.document);
            Ok(json!({"id": hit.id, "score": hit.score, "expert": expert, "title": title, "snippet": snippet}))
        })
        .collect::<Result<_>>()?;
    Ok(json!({"query": id, "text": text, "expert": ranked.expert, "hits": hits}))
}
