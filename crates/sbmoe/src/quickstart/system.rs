//! One retriever of the comparison: its index, its run file, its scores.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use sbmoe_ir::collection::Query;
use sbmoe_ir::{Collection, EvaluateOptions, Hit, Measure, Qrels, Ranking, Run, Split, evaluate};
use sbmoe_kernels::Cpu;
use sbmoe_model::folder::fingerprint;
use sbmoe_model::retriever::Retriever;

use super::report::{MEASURES, SystemReport};
use super::{Stopped, tell};
use crate::encoding::{Corpus, EncodeOptions, EncodeOutcome, VectorMaker, VectorOptions, encode};
use crate::index_folder::Index;
use crate::searching::rank;
use crate::training::{Observer, Progress, unexpected_tensors};

/// Hits a query: what `sbmoe search` writes, so that its run has the same lines.
const DEPTH: usize = 1000;

/// What the systems are compared on.
pub(super) struct TestSet {
    corpus: Corpus,
    queries: Vec<Query>,
    qrels: Qrels,
}

impl TestSet {
    /// The collection's test split.
    pub(super) fn read(collection: &Collection) -> Result<Self> {
        let qrels = collection.qrels(Split::Test)?;
        let queries = collection.judged_queries(&qrels)?;
        Ok(Self { corpus: Corpus::open(collection.folder())?, queries, qrels })
    }

    /// The number of queries.
    pub(super) fn queries(&self) -> usize {
        self.queries.len()
    }
}

/// A model to be compared, and where its files go.
pub(super) struct System<'a> {
    /// What people call it.
    pub(super) name: &'static str,
    /// The run file's last column.
    pub(super) tag: &'static str,
    /// The model's folder.
    pub(super) model: &'a Path,
    /// What `--model` takes.
    pub(super) model_name: &'a str,
    pub(super) index: PathBuf,
    pub(super) run: PathBuf,
}

/// A model with its index: what answers questions.
pub(super) struct Searchable {
    pub(super) maker: VectorMaker,
    pub(super) index: Index,
}

impl System<'_> {
    /// Encodes the corpus unless that is done, ranks the test queries, writes the run, scores it.
    pub(super) fn judge(
        self,
        test: &TestSet,
        cpu: &Arc<Cpu>,
        observe: &mut Observer<'_>,
    ) -> Result<(SystemReport, Searchable)> {
        let retriever = Retriever::open(self.model, Arc::clone(cpu), None)
            .with_context(|| format!("the model `{}` cannot be opened", self.model.display()))?;
        if let Some(warning) = unexpected_tensors(self.model, &retriever.unexpected) {
            tell(observe, Progress::Warning(warning))?;
        }
        let maker = VectorMaker::new(retriever, VectorOptions::default())?;
        self.encode(&maker, &test.corpus, observe)?;
        let searchable = Searchable { index: Index::open(&self.index)?, maker };
        self.search(test, &searchable, observe)?;
        let measures = MEASURES.map(|name| name.parse().expect("the measures are known"));
        let scores = self.score(test, &measures)?;
        let report = SystemReport {
            name: self.name,
            model: self.model_name.to_owned(),
            index: self.index,
            run: self.run,
            normalized: searchable.maker.normalize,
            scores: MEASURES.into_iter().zip(scores).collect(),
        };
        Ok((report, searchable))
    }

    fn encode(&self, maker: &VectorMaker, corpus: &Corpus, observe: &mut Observer<'_>) -> Result<()> {
        let options = EncodeOptions {
            model: self.model_name.to_owned(),
            fingerprint: fingerprint(self.model)?,
            keep_pooled: false,
        };
        let stage = Progress::Stage { name: format!("encoding, {}", self.name), total: corpus.count()?, done: 0 };
        tell(observe, stage)?;
        let mut progress = |documents, _| observe(Progress::Advanced(documents)).is_continue();
        let outcome = encode(maker, corpus, &self.index, &options, &mut progress)
            .with_context(|| format!("the index `{}` cannot be made", self.index.display()))?;
        tell(observe, Progress::StageDone)?;
        let index = self.index.display();
        let note = match outcome {
            EncodeOutcome::Stopped(_) => return Err(Stopped.into()),
            EncodeOutcome::AlreadyThere(_) => format!("encoding, {}: done already; `{index}` is reused", self.name),
            EncodeOutcome::Finished(manifest) => {
                format!("encoding, {}: {} passages → `{index}`", self.name, manifest.documents)
            }
        };
        tell(observe, Progress::Note(note))
    }

    fn search(&self, test: &TestSet, searchable: &Searchable, observe: &mut Observer<'_>) -> Result<()> {
        let texts: Vec<&str> = test.queries.iter().map(|query| query.text.as_str()).collect();
        let ranked = rank(&searchable.maker, &searchable.index, &texts, DEPTH, &mut |_| ())?;
        let mut run = Run::new();
        for (query, ranked) in test.queries.iter().zip(&ranked) {
            let hits = ranked.hits.iter().map(|hit| Hit::new(hit.id.as_str(), hit.score)).collect();
            run.push(Ranking::new(query.id.as_str(), hits)?)?;
        }
        run.write(&self.run, self.tag)?;
        let note = format!("searching, {}: {} test queries → `{}`", self.name, run.len(), self.run.display());
        tell(observe, Progress::Note(note))
    }

    /// Scores of the run as it was written: what `sbmoe evaluate` will print.
    fn score(&self, test: &TestSet, measures: &[Measure]) -> Result<Vec<f64>> {
        let run = Run::read(&self.run)?;
        Ok(evaluate(&test.qrels, &run, measures, &EvaluateOptions::default())?.means)
    }
}
