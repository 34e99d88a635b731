//! One retriever of the comparison: its index, its run file, its scores.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use sbmoe_ir::collection::Query;
use sbmoe_ir::{Collection, EvaluateOptions, Hit, Qrels, Ranking, Run, Split, evaluate};
use sbmoe_kernels::Cpu;
use sbmoe_model::folder::fingerprint;
use sbmoe_model::retriever::Retriever;

use super::report::{Comparison, MEASURES, SystemReport};
use super::work_folder::WorkFolder;
use super::{Stopped, note, tell};
use crate::encoding::{Corpus, EncodeOptions, EncodeOutcome, Normalize, VectorMaker, VectorOptions, encode};
use crate::index_folder::Index;
use crate::searching::rank;
use crate::training::{Observer, Progress};

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

/// A model to be compared.
pub(super) struct System<'a> {
    /// What people call it.
    pub(super) name: &'static str,
    /// What its files and its run's lines are called.
    pub(super) key: &'static str,
    /// The model's folder.
    pub(super) model: &'a Path,
    /// What `--model` takes.
    pub(super) model_name: String,
    pub(super) normalize: Normalize,
    pub(super) folder: &'a WorkFolder,
}

/// A system with its index and its scores.
pub(super) struct Judged {
    pub(super) report: SystemReport,
    pub(super) maker: VectorMaker,
    pub(super) index: Index,
    /// Each query's value of the first measure, in the order of the judgments.
    values: Vec<f64>,
}

impl Judged {
    /// What this system gains over `other`.
    pub(super) fn compare(&self, other: &Self) -> Comparison {
        let pairs = || self.values.iter().zip(&other.values);
        let [measure, ..] = MEASURES;
        let better = pairs().filter(|(own, other)| own > other).count();
        let worse = pairs().filter(|(own, other)| own < other).count();
        Comparison {
            against: other.report.name,
            measure,
            difference: self.report.scores[measure] - other.report.scores[measure],
            better,
            worse,
            equal: self.values.len() - better - worse,
        }
    }
}

impl System<'_> {
    /// Encodes the corpus unless that is done, ranks the test queries, writes the run, scores it.
    pub(super) fn judge(self, test: &TestSet, cpu: &Arc<Cpu>, observe: &mut Observer<'_>) -> Result<Judged> {
        let retriever = Retriever::open(self.model, Arc::clone(cpu), None)
            .with_context(|| format!("the model `{}` cannot be opened", self.model.display()))?;
        let options = VectorOptions { normalize: self.normalize, ..VectorOptions::default() };
        let maker = VectorMaker::new(retriever, options)?;
        let (index_folder, run) = (self.folder.index(self.key), self.folder.trec_run(self.key));
        self.encode(&maker, &test.corpus, &index_folder, observe)?;
        let index = Index::open(&index_folder)?;
        self.search(test, &maker, &index, &run)?;
        let text = format!("searching, {}: {} test queries → `{}`", self.name, test.queries(), run.display());
        note(observe, text)?;

        let measures = MEASURES.map(|name| name.parse().expect("the measures are known"));
        // The run as it was written: what `sbmoe evaluate` will read.
        let scores = evaluate(&test.qrels, &Run::read(&run)?, &measures, &EvaluateOptions::default())?;
        let report = SystemReport {
            name: self.name,
            model: self.model_name,
            index: index_folder,
            run,
            normalized: maker.normalize,
            scores: MEASURES.into_iter().zip(scores.means).collect(),
        };
        let values = scores.queries.iter().map(|query| query.values[0]).collect();
        Ok(Judged { report, maker, index, values })
    }

    fn encode(
        &self,
        maker: &VectorMaker,
        corpus: &Corpus,
        out: &Path,
        observe: &mut Observer<'_>,
    ) -> Result<()> {
        let options = EncodeOptions {
            model: self.model_name.clone(),
            fingerprint: fingerprint(self.model)?.documents,
            keep_pooled: false,
        };
        let survey = corpus.survey()?;
        let name = format!("encoding, {}", self.name);
        let stage = Progress::Stage { name, total: survey.documents, done: 0 };
        tell(observe, stage)?;
        let mut progress = |documents, _| observe(Progress::Advanced(documents)).is_continue();
        let outcome = encode(maker, (corpus, &survey), out, &options, &mut progress)
            .with_context(|| format!("the index `{}` cannot be made", out.display()))?;
        tell(observe, Progress::StageDone)?;
        let index = out.display();
        let text = match outcome {
            EncodeOutcome::Stopped(_) => return Err(Stopped.into()),
            EncodeOutcome::AlreadyThere(_) => {
                format!("encoding, {}: done already; `{index}` is reused", self.name)
            }
            EncodeOutcome::Finished(manifest) => {
                format!("encoding, {}: {} passages → `{index}`", self.name, manifest.documents)
            }
        };
        note(observe, text)
    }

    fn search(&self, test: &TestSet, maker: &VectorMaker, index: &Index, out: &Path) -> Result<()> {
        let texts: Vec<&str> = test.queries.iter().map(|query| query.text.as_str()).collect();
        let ranked = rank(maker, index, &texts, DEPTH)?;
        let mut run = Run::new();
        for (query, ranked) in test.queries.iter().zip(&ranked) {
            let hits = ranked.hits.iter().map(|hit| Hit::new(hit.id.as_str(), hit.score)).collect();
            run.push(Ranking::new(query.id.as_str(), hits)?)?;
        }
        Ok(run.write(out, self.key)?)
    }
}
