//! Streaming a corpus through a model into an index: one thread reads and tokenises, the pool computes, this one writes.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use sbmoe_index::Manifest;
use sbmoe_ir::Document;
use sbmoe_model::moe::{Block, Side};
use serde_json::json;

use super::batches::BATCH_TOKENS;
use super::corpus::{Corpus, Survey};
use super::maker::VectorMaker;
use crate::folder_lock::{FolderLock, LOCK_FILE};
use crate::index_folder::{Batch, DocumentRow, IndexBuilder, IndexPlan, IndexState, PARTIAL_FILE};

/// Batches that may wait between reading and computing.
const WAITING: usize = 4;

/// The rows so far are made safe this often.
const CHECKPOINT: Duration = Duration::from_secs(5);

/// How to encode.
#[derive(Debug, Clone)]
pub struct EncodeOptions {
    /// The model's name, for people.
    pub model: String,
    /// The fingerprint of what makes the model's document vectors.
    pub fingerprint: String,
    /// Whether `x` is stored as well.
    pub keep_pooled: bool,
}

/// How an encoding ended.
#[derive(Debug, Clone, PartialEq)]
pub enum EncodeOutcome {
    /// The index was there already, made in the same way.
    AlreadyThere(Box<Manifest>),
    /// The index is whole.
    Finished(Box<Manifest>),
    /// The caller asked to stop after this many documents; repeating the command goes on.
    Stopped(u64),
}

/// Encodes a corpus into the index folder `out`, or goes on with what an earlier try left there.
///
/// `progress` is told how many documents and tokens were added (the first call counts what was there), and returns
/// whether to go on. Memory does not grow with the corpus.
///
/// # Errors
/// A malformed document, a vector that is not finite, a full disk, a folder that holds something else or is written by
/// another process, a corpus that is not what `survey` saw.
pub fn encode(
    maker: &VectorMaker,
    (corpus, survey): (&Corpus, &Survey),
    out: &Path,
    options: &EncodeOptions,
    progress: &mut dyn FnMut(u64, u64) -> bool,
) -> Result<EncodeOutcome> {
    let plan = plan(maker, options, [("corpus_sha256", json!(survey.sha256))]);
    if let Some(manifest) = already_there(out, &plan)? {
        return Ok(EncodeOutcome::AlreadyThere(manifest));
    }
    let _lock = FolderLock::inside(out)?;
    let has_experts = plan.experts;
    let mut builder = IndexBuilder::open(out, plan)?;
    let done = builder.documents();
    if !progress(done, 0) {
        return Ok(EncodeOutcome::Stopped(done));
    }
    let (documents, checksum) = corpus.documents_with_checksum()?;
    let mut documents = documents.skip(done as usize);
    let stopped = std::thread::scope(|scope| {
        let (sender, receiver) = sync_channel(WAITING);
        scope.spawn(move || {
            // The receiver went away when the other side failed; its error is the one to report.
            let _ = read_batches(maker, &mut documents, &mut |batch| sender.send(batch).is_ok());
        });
        write_batches(maker, options.keep_pooled, has_experts, &receiver, &mut builder, progress)
    })?;
    if let Some(documents) = stopped {
        return Ok(EncodeOutcome::Stopped(documents));
    }
    if let Err(changed) = corpus.refuse_change(survey, checksum) {
        // Nobody may go on with documents of two files.
        builder.discard()?;
        return Err(changed);
    }
    Ok(EncodeOutcome::Finished(Box::new(builder.finish()?)))
}

/// The whole index that `plan` has made, if there is one.
pub(super) fn already_there(out: &Path, plan: &IndexPlan) -> Result<Option<Box<Manifest>>> {
    let IndexState::Complete(manifest) = IndexState::of(out)? else { return Ok(None) };
    if !plan.made(&manifest) {
        return Ok(None);
    }
    // What a program leaves that is killed when the index is whole; nothing is touched where there is nothing to clear.
    let progress = out.join(PARTIAL_FILE);
    if (progress.exists() || out.join(LOCK_FILE).exists())
        && let Ok(_lock) = FolderLock::inside(out)
        && progress.exists()
    {
        fs_err::remove_file(progress)?;
    }
    Ok(Some(manifest))
}

/// What decides the bytes of an index.
pub(super) fn plan<const N: usize>(
    maker: &VectorMaker,
    options: &EncodeOptions,
    details: [(&str, serde_json::Value); N],
) -> IndexPlan {
    let hidden = maker.retriever.architecture.hidden();
    let gate = maker.gate_name(Side::Document);
    let lengths = maker.retriever.lengths();
    let block = maker.retriever.architecture.block.as_ref().map(Block::config);
    let mut all = BTreeMap::from([
        ("max_length".to_owned(), json!(lengths.document)),
        ("precision".to_owned(), json!(maker.precision.to_string())),
    ]);
    if lengths.query != lengths.document {
        all.insert("query_length".to_owned(), json!(lengths.query));
    }
    all.extend(details.map(|(key, value)| (key.to_owned(), value)));
    if options.keep_pooled {
        all.insert("encoder".to_owned(), json!(maker.encoder_fingerprint()));
    }
    if let Some(block) = block {
        all.insert("experts".to_owned(), json!(block.experts));
        all.insert("seed".to_owned(), json!(block.seed));
    }
    // A uniform mixture prefers no expert.
    let has_experts = !matches!(gate.as_str(), "none" | "uniform");
    IndexPlan {
        model: options.model.clone(),
        fingerprint: options.fingerprint.clone(),
        gate,
        similarity: maker.similarity,
        normalize: maker.normalize,
        dim: maker.dimensions,
        pooled_dim: options.keep_pooled.then_some(hidden),
        experts: has_experts,
        details: all,
    }
}

type Tokenized = Result<(Vec<DocumentRow>, Vec<Vec<u32>>)>;

/// Reads, tokenises and hands over batches until the corpus ends or `send` says no; errors are handed over too.
fn read_batches(
    maker: &VectorMaker,
    documents: &mut dyn Iterator<Item = Result<Document, sbmoe_ir::Error>>,
    send: &mut dyn FnMut(Tokenized) -> bool,
) -> Result<()> {
    let mut rows = Vec::new();
    let mut tokens: Vec<Vec<u32>> = Vec::new();
    let mut held = 0;
    let mut next = || -> Option<Result<(DocumentRow, Vec<u32>)>> {
        let read = |document: Document| -> Result<(DocumentRow, Vec<u32>)> {
            let ids = maker.retriever.tokenize_document(&document.joined())?;
            Ok((DocumentRow::new(&document.id, &document.title, &document.text), ids))
        };
        documents.next().map(|document| document.map_err(anyhow::Error::new).and_then(read))
    };
    while let Some(document) = next() {
        match document {
            Err(error) => return send(Err(error)).then_some(()).context("the writer went away"),
            Ok((row, ids)) => {
                if held + ids.len() > BATCH_TOKENS && !rows.is_empty() {
                    held = 0;
                    if !send(Ok((std::mem::take(&mut rows), std::mem::take(&mut tokens)))) {
                        return Ok(());
                    }
                }
                held += ids.len();
                rows.push(row);
                tokens.push(ids);
            }
        }
    }
    if !rows.is_empty() {
        send(Ok((rows, tokens)));
    }
    Ok(())
}

/// Computes and writes what comes; `Some(documents)` when the caller asked to stop.
fn write_batches(
    maker: &VectorMaker,
    keep_pooled: bool,
    has_experts: bool,
    receiver: &Receiver<Tokenized>,
    builder: &mut IndexBuilder,
    progress: &mut dyn FnMut(u64, u64) -> bool,
) -> Result<Option<u64>> {
    let mut safe = Instant::now();
    for batch in receiver {
        let (documents, tokens) = batch?;
        let first = &documents[0].id;
        let encoded =
            maker.encode(Side::Document, &tokens).with_context(|| format!("documents from `{first}` on"))?;
        builder.push(Batch {
            documents: &documents,
            vectors: &encoded.vectors,
            pooled: if keep_pooled { &encoded.pooled } else { &[] },
            keys: if keep_pooled { &encoded.keys } else { &[] },
            experts: if has_experts { &encoded.routed } else { &[] },
        })?;
        if safe.elapsed() > CHECKPOINT {
            builder.checkpoint()?;
            safe = Instant::now();
        }
        if !progress(documents.len() as u64, tokens.iter().map(|ids| ids.len() as u64).sum()) {
            builder.checkpoint()?;
            return Ok(Some(builder.documents()));
        }
    }
    Ok(None)
}
