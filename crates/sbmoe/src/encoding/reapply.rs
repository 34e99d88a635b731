//! Another block, gate or similarity over stored pooled vectors: a new index without running the encoder.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use sbmoe_index::POOLED_FILE;
use sbmoe_model::moe::Side;
use serde_json::json;

use super::maker::VectorMaker;
use super::stream::{EncodeOptions, EncodeOutcome, already_there, plan};
use crate::folder_lock::FolderLock;
use crate::index_folder::{Batch, DOCUMENTS_FILE, Index, IndexBuilder};

/// Rows that are read and written at once.
const ROWS: usize = 4096;

/// Makes the index `out` from the pooled vectors of `from`.
///
/// The new model's encoder must be the one that made them.
///
/// # Errors
/// An index without pooled vectors, a model of another size, a full disk.
pub fn reapply(
    maker: &VectorMaker,
    from: &Index,
    out: &Path,
    options: &EncodeOptions,
    progress: &mut dyn FnMut(u64, u64) -> bool,
) -> Result<EncodeOutcome> {
    let pooled = from.folder().pooled().context(
        "the index keeps no pooled vectors: encode the collection with `--keep-pooled`, then apply other blocks to it",
    )?;
    let hidden = maker.retriever.architecture.hidden();
    ensure!(
        pooled.dim() == hidden,
        "the index has pooled vectors of {} numbers and the model needs {hidden}: it has another encoder",
        pooled.dim()
    );
    let encoder = from.manifest().details.get("encoder").and_then(|value| value.as_str());
    ensure!(
        encoder == Some(maker.encoder_fingerprint().as_str()),
        "the pooled vectors come from another encoder or another maximum length than the model's: encode the collection \
         with this model"
    );
    let keys = from.keys().context("the index lacks the texts' keys beside its pooled vectors")?;
    // The files' checksums, so that a resumed index goes on with the documents that it began with.
    let checksum = |name: &str| json!(from.manifest().files.get(name).map(|file| &file.sha256));
    let details = [
        ("pooled_sha256", checksum(POOLED_FILE)),
        ("documents_sha256", checksum(DOCUMENTS_FILE)),
        // The encoder's work was done in the precision of then.
        ("precision", json!(from.manifest().details.get("precision"))),
    ];
    let plan = plan(maker, options, details);
    if let Some(manifest) = already_there(out, &plan)? {
        return Ok(EncodeOutcome::AlreadyThere(manifest));
    }
    let _lock = FolderLock::inside(out)?;
    let has_experts = plan.experts;
    let mut builder = IndexBuilder::open(out, plan)?;
    progress(builder.documents(), 0);
    for start in (builder.documents() as usize..pooled.len()).step_by(ROWS) {
        let end = pooled.len().min(start + ROWS);
        let rows = pooled.as_slice()[start * hidden..end * hidden].to_vec();
        let encoded = maker.from_pooled(Side::Document, rows, keys[start..end].to_vec())?;
        let documents: Vec<_> =
            (start..end).map(|document| from.documents().row(document as u32)).collect::<Result<_>>()?;
        builder.push(Batch {
            documents: &documents,
            vectors: &encoded.vectors,
            pooled: if options.keep_pooled { &encoded.pooled } else { &[] },
            keys: if options.keep_pooled { &encoded.keys } else { &[] },
            experts: if has_experts { &encoded.routed } else { &[] },
        })?;
        if !progress((end - start) as u64, 0) {
            builder.checkpoint()?;
            return Ok(EncodeOutcome::Stopped(builder.documents()));
        }
    }
    Ok(EncodeOutcome::Finished(Box::new(builder.finish()?)))
}
