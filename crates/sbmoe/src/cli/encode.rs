//! `sbmoe encode`: a corpus into an index.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use sbmoe_index::{Manifest, Storage};
use serde_json::json;

use super::model_arguments::ModelArguments;
use super::vector_arguments::VectorArguments;
use super::{Verdict, console, index};
use crate::encoding::{
    Corpus, EncodeOptions, EncodeOutcome, Normalize, Survey, VectorMaker, encode, reapply,
};
use crate::index_folder::Index;
use crate::interrupt;

/// Encode a corpus into an index folder.
///
/// The index holds one vector a document (`vectors.npy`), ids, titles and snippets, and says which model and gate made
/// it. A killed encoding goes on where it was when the command is repeated. With `--keep-pooled` the encoder's own
/// vectors are stored too, so that `--from INDEX --model OTHER` applies another block in seconds.
#[derive(Debug, Args)]
pub(super) struct Encode {
    #[command(flatten)]
    model: ModelArguments,

    /// A BEIR folder, or a .jsonl or .jsonl.gz file with `_id`, `title` and `text`
    #[arg(long, value_name = "FILE|DIR", required_unless_present = "from", conflicts_with = "from")]
    corpus: Option<PathBuf>,

    /// Take the pooled vectors of this index instead of running the encoder
    #[arg(long, value_name = "INDEX")]
    from: Option<PathBuf>,

    /// The index folder to make
    #[arg(long, value_name = "INDEX")]
    out: PathBuf,

    /// Store the encoder's pooled vectors as well
    #[arg(long)]
    keep_pooled: bool,

    /// The most tokens of documents and of the queries that are searched for in the index, special ones included [default:
    /// the model's own, else 256]
    #[arg(long, value_name = "TOKENS")]
    max_length: Option<usize>,

    /// What stands beside the f32 vectors for searches to read: f32 (nothing), bf16 (half as many bytes again), int8 (a
    /// quarter). Hits and scores are the same, byte for byte; searches are faster. `sbmoe index round` changes it later
    /// [default: f32]
    #[arg(long, value_name = "NUMBERS")]
    storage: Option<Storage>,

    #[command(flatten)]
    vectors: VectorArguments,

    /// Print what was made as JSON
    #[arg(long)]
    json: bool,
}

/// What the documents come from.
enum Source {
    Corpus(Corpus, Survey),
    Index(Box<Index>),
}

impl Encode {
    pub(super) fn run(self) -> Result<Verdict> {
        let start = Instant::now();
        ensure!(
            self.from.is_none() || self.vectors.precision.is_none(),
            "`--precision` is the encoder's, which `--from` does not run; leave it out"
        );
        let (retriever, fingerprints) = self.model.open_with_fingerprint(self.max_length)?;
        if retriever.folder.implies_cosine()
            && self.vectors.similarity.is_none()
            && self.vectors.normalize != Normalize::On
        {
            console::warn(format!(
                "`{}` does not say how its vectors are compared: they are stored as they are and compared by dot product, \
                 while sentence-transformers would compare them by cosine, as `--similarity cos` does; `--similarity dot` \
                 says that the dot product is meant",
                self.model.model
            ));
        }
        let options = EncodeOptions {
            model: self.model.model.clone(),
            fingerprint: fingerprints.documents,
            keep_pooled: self.keep_pooled,
        };
        let maker = self.vectors.maker(retriever, self.from.is_some())?;
        let interrupt = interrupt::watch()?;
        let source = match (&self.corpus, &self.from) {
            (Some(corpus), _) => {
                let corpus = Corpus::open(corpus)?;
                let survey = corpus.survey()?;
                Source::Corpus(corpus, survey)
            }
            (None, Some(from)) => Source::Index(Box::new(Index::open(from)?)),
            (None, None) => unreachable!("clap asks for one of the two"),
        };
        let total = match &source {
            Source::Corpus(_, survey) => survey.documents,
            Source::Index(from) => from.documents().len() as u64,
        };
        let bar = console::bar(total, "encoding");
        let mut n_tokens = 0;
        let mut progress = |documents: u64, tokens: u64| {
            bar.inc(documents);
            n_tokens += tokens;
            bar.set_message(format!("{:.0} tokens/s", n_tokens as f64 / bar.elapsed().as_secs_f64()));
            !interrupt.is_asked()
        };
        let outcome = self.make(&maker, &source, &options, &mut progress)?;
        bar.finish_and_clear();
        let manifest = match outcome {
            EncodeOutcome::Stopped(documents) => {
                console::note(format!("stopped after {documents} documents; repeat the command to go on"));
                return Ok(Verdict::Stopped);
            }
            EncodeOutcome::AlreadyThere(manifest) => {
                // A program that was killed while it rounded has encoded everything.
                let missing = self.storage.is_some_and(|storage| storage != Storage::of(&manifest));
                let left = if missing { "its storage is changed" } else { "nothing to do" };
                console::note(format!("`{}` was made in this way already; {left}", self.out.display()));
                manifest
            }
            EncodeOutcome::Finished(manifest) => manifest,
        };
        let manifest = match self.storage {
            Some(storage) if storage != Storage::of(&manifest) => index::round(&self.out, storage)?,
            _ => *manifest,
        };
        self.report(&manifest, n_tokens, start.elapsed().as_secs_f64())?;
        Ok(Verdict::Good)
    }

    fn make(
        &self,
        maker: &VectorMaker,
        source: &Source,
        options: &EncodeOptions,
        progress: &mut dyn FnMut(u64, u64) -> bool,
    ) -> Result<EncodeOutcome> {
        match source {
            Source::Corpus(corpus, survey) => encode(maker, (corpus, survey), &self.out, options, progress),
            Source::Index(from) => reapply(maker, from, &self.out, options, progress),
        }
        .with_context(|| format!("the index `{}` cannot be made", self.out.display()))
    }

    fn report(&self, manifest: &Manifest, tokens: u64, seconds: f64) -> Result<()> {
        if self.json {
            let report = json!({
                "index": self.out,
                "documents": manifest.documents,
                "dim": manifest.dim,
                "gate": manifest.gate,
                "similarity": manifest.similarity,
                "normalize": manifest.normalize,
                "precision": manifest.details.get("precision"),
                "storage": Storage::of(manifest).name(),
                "fingerprint": manifest.fingerprint,
                "tokens": tokens,
                "seconds": seconds,
            });
            return Ok(console::print(report.to_string())?);
        }
        console::print(format!(
            "{} documents × {} → `{}` (gate {}, {}{}), {tokens} tokens in {seconds:.1} s",
            manifest.documents,
            manifest.dim,
            self.out.display(),
            manifest.gate,
            manifest.similarity,
            if manifest.normalize { ", normalised" } else { "" },
        ))?;
        Ok(())
    }
}
