//! `sbmoe search`: queries against an index, as a run or as an answer to read.

use std::collections::HashSet;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};
use clap::Args;
use sbmoe_index::{Manifest, Similarity};
use sbmoe_ir::{Hit, Ranking, Run, Split};
use sbmoe_kernels::Cpu;
use sbmoe_model::moe::{Gate, Side};
use sbmoe_model::retriever::Retriever;
use serde_json::{Value, json};

use super::model_arguments::ModelArguments;
use super::vector_arguments::VectorArguments;
use super::{Verdict, console};
use crate::encoding::{Normalize, VectorMaker};
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
        let maker = self.maker(&index, queries.len() <= FEW)?;
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

    /// The model as the index wants it: its gate, its similarity, its lengths, unless switches say otherwise.
    fn maker(&self, index: &Index, few_texts: bool) -> Result<VectorMaker> {
        let manifest = index.manifest();
        let length = |key: &str| manifest.details.get(key).and_then(Value::as_u64).map(|n| n as usize);
        let (mut retriever, fingerprints) = self.model.open_with_fingerprint(length("max_length"))?;
        if let Some(length) = length("query_length") {
            retriever.set_query_length(length)?;
        }
        let mut arguments = self.vectors.clone();
        let serves_documents = retriever.block_serves(Side::Document);
        if arguments.gate.is_none() && serves_documents && manifest.gate != "none" {
            arguments.gate = manifest.gate.parse().ok();
        }
        if arguments.seed.is_none() {
            arguments.seed = manifest.details.get("seed").and_then(Value::as_u64);
        }
        if !self.force {
            let gate = arguments.gate.filter(|_| serves_documents);
            let gate = gate.map_or_else(|| "none".to_owned(), |gate| gate.to_string());
            index.check_queries(&self.model.model, &fingerprints.documents, &gate)?;
            check_query_block(&retriever, index)?;
        }
        arguments.similarity.get_or_insert(manifest.similarity);
        if arguments.normalize == Normalize::Auto {
            arguments.normalize = if manifest.normalize { Normalize::On } else { Normalize::Off };
        }
        let maker = arguments.maker(retriever, few_texts)?;
        let compares = |similarity, normalize: bool| {
            format!("{similarity}{}", if normalize { ", normalised" } else { "" })
        };
        let (asked, made) =
            (compares(maker.similarity, maker.normalize), compares(manifest.similarity, manifest.normalize));
        ensure!(
            self.force || asked == made,
            "the index in `{}` compares by {made}, not by {asked}: leave `--similarity` and `--normalize` out, or encode \
             the collection again",
            self.index.display()
        );
        let seed = manifest.details.get("seed").and_then(Value::as_u64);
        ensure!(
            self.force
                || maker.gate != Some(Gate::Random)
                || self.vectors.seed.is_none()
                || self.vectors.seed == seed,
            "the index in `{}` was made with another seed of the random gate: leave `--seed` out, or encode again",
            self.index.display()
        );
        Ok(maker)
    }

    fn write_run(&self, queries: &[(String, String)], ranked: &[Ranked]) -> Result<()> {
        let mut run = Run::new();
        for ((id, _), ranked) in queries.iter().zip(ranked) {
            let hits = ranked.hits.iter().map(|hit| Hit::new(hit.id.as_str(), hit.score)).collect();
            run.push(Ranking::new(id, hits)?)?;
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

/// Refuses an index of the encoder's vectors as a block for queries alone was not trained against.
fn check_query_block(retriever: &Retriever<Cpu>, index: &Index) -> Result<()> {
    let by_cosine = retriever.architecture.normalize;
    let Manifest { similarity, normalize, .. } = index.manifest();
    let index_by_cosine = *normalize || *similarity == Similarity::Cos;
    let fits = !retriever.block_serves(Side::Query)
        || retriever.block_serves(Side::Document)
        || by_cosine == index_by_cosine;
    let name = |by_cosine| if by_cosine { "cosine" } else { "dot product" };
    ensure!(
        fits,
        "the model's block for queries was trained by {}, but the index compares by {}: encode the collection again with \
         this model",
        name(by_cosine),
        name(index_by_cosine)
    );
    Ok(())
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
