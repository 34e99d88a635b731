//! `sbmoe search`: queries against an index, as a run or as an answer to read.

use std::collections::HashSet;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::Args;
use sbmoe_ir::{Ranking, Run, Split};
use serde_json::{Value, json};

use super::model_arguments::ModelArguments;
use super::query_maker::query_maker;
use super::vector_arguments::VectorArguments;
use super::{Verdict, console};
use crate::index_folder::Index;
use crate::searching::{Ranked, rank, read_queries};

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
    k: Option<usize>,

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
        let path = Path::new(&self.queries);
        let named_a_file =
            path.extension().is_some_and(|extension| extension == "jsonl" || extension == "gz");
        if named_a_file && !path.exists() {
            bail!("there is no queries file `{}`", self.queries);
        }
        let queries: Vec<(String, String)> = if path.exists() {
            read_queries(path, self.split)?.into_iter().map(|query| (query.id, query.text)).collect()
        } else if self.queries.trim().is_empty() {
            bail!("`--queries` is empty: name a file, a folder, or give the text of a query");
        } else {
            vec![("query".to_owned(), self.queries.clone())]
        };
        let is_text = !path.exists();
        if is_text && self.split.is_some() {
            bail!("`--split` narrows a folder's queries, but there is no folder `{}`", self.queries);
        }
        refuse_repeated_ids(&queries)?;
        let index = Index::open(&self.index)?;
        let maker = query_maker(&index, &self.model, &self.vectors, queries.len() <= FEW, self.force)?;
        let k = self.k.unwrap_or(if is_text { SHOWN } else { 1000 });
        let texts: Vec<&str> = queries.iter().map(|(_, text)| text.as_str()).collect();
        let bar = console::bar(texts.len() as u64, "searching");
        let ranked = rank(&maker, &index, &texts, k, &mut |n| bar.inc(n))?;
        bar.finish_and_clear();
        if self.json {
            for ((id, text), ranked) in queries.iter().zip(&ranked) {
                console::print(as_json(&index, id, text, ranked)?.to_string())?;
            }
        } else if is_text && self.out.is_none() {
            answer(&index, &ranked[0])?;
        }
        if self.out.is_some() || !(self.json || is_text) {
            self.write_run(&queries, &ranked)?;
        }
        Ok(Verdict::Good)
    }

    fn write_run(&self, queries: &[(String, String)], ranked: &[Ranked]) -> Result<()> {
        let mut run = Run::new();
        for ((id, _), ranked) in queries.iter().zip(ranked) {
            run.push(Ranking::new(id, ranked.scored())?)?;
        }
        match &self.out {
            Some(path) => {
                run.write(path, &self.tag)?;
                console::note(format!("{} queries → `{}`", run.len(), path.display()));
            }
            None => run.write_to(&mut BufWriter::new(std::io::stdout().lock()), &self.tag)?,
        }
        Ok(())
    }
}

/// A run names each query once: found now, not after the search.
fn refuse_repeated_ids(queries: &[(String, String)]) -> Result<()> {
    let mut seen = HashSet::new();
    match queries.iter().find(|(id, _)| !seen.insert(id)) {
        Some((id, _)) => bail!("query `{id}` stands twice; each query needs an id of its own"),
        None => Ok(()),
    }
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
