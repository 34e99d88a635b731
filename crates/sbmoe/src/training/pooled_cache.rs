//! The pooled vectors of a frozen encoder, computed once and kept beside the runs that use them.
//!
//! `<parent of RUN>/.pooled/<key>/` holds `queries.npy`, `documents.npy` and, written last, `pooled.json` with their
//! sizes and checksums. The key is a hash of everything that the vectors depend on, so a folder is never stale; one
//! whose files were damaged is computed again.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use sbmoe_index::{FileRecord, VectorWriter, Vectors};
use sbmoe_kernels::Cpu;
use sbmoe_model::retriever::Retriever;
use serde::{Deserialize, Serialize};

use super::progress::{Observer, Progress, tell};
use super::run_folder::write_atomically;
use super::sha256::Sha256Hex;
use super::texts::Texts;
use super::tokens::{Side, tokenize};

/// The version of the folder's layout and of what its key covers.
const FORMAT: u32 = 1;

/// Tokens of a batch through the encoder: large enough for full speed, small enough for the caches.
const BATCH_TOKENS: usize = 8192;

const QUERIES: &str = "queries.npy";
const DOCUMENTS: &str = "documents.npy";
const MANIFEST: &str = "pooled.json";

/// Pooled vectors, `[texts, hidden]` each.
#[derive(Debug)]
pub(super) struct Pooled {
    pub(super) queries: Vec<f32>,
    pub(super) documents: Vec<f32>,
}

/// `pooled.json`.
#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    format: u32,
    hidden: usize,
    queries: FileRecord,
    documents: FileRecord,
}

/// The vectors of all texts: stored ones if there are any, else computed and stored under `folder`.
pub(super) fn pooled(
    retriever: &Retriever<Cpu>,
    fingerprint: &str,
    (queries, documents): (&Texts, &Texts),
    folder: &Path,
    observe: &mut Observer<'_>,
) -> Result<Pooled> {
    let own = folder.join(key(retriever, fingerprint, queries, documents));
    if own.join(MANIFEST).is_file() {
        match read(&own, retriever.architecture.hidden(), queries.len(), documents.len()) {
            Ok(pooled) => {
                tell(observe, Progress::Note(format!("pooled vectors: reused from `{}`", own.display())))?;
                return Ok(pooled);
            }
            Err(error) => {
                let text = format!("the pooled vectors in `{}` are computed again: {error:#}", own.display());
                tell(observe, Progress::Warning(text))?;
            }
        }
    }
    let partial = PartialFolder::create(&own)?;
    let (pooled_queries, queries_record) =
        compute(retriever, Side::Query, queries, &partial.0.join(QUERIES), observe)?;
    let (pooled_documents, documents_record) =
        compute(retriever, Side::Document, documents, &partial.0.join(DOCUMENTS), observe)?;
    let manifest = Manifest {
        format: FORMAT,
        hidden: retriever.architecture.hidden(),
        queries: queries_record,
        documents: documents_record,
    };
    write_atomically(&partial.0.join(MANIFEST), &serde_json::to_vec_pretty(&manifest)?)?;
    if own.exists() {
        fs_err::remove_dir_all(&own)?;
    }
    fs_err::rename(&partial.0, &own)?;
    tell(observe, Progress::Note(format!("pooled vectors: stored in `{}`", own.display())))?;
    Ok(Pooled { queries: pooled_queries, documents: pooled_documents })
}

/// A folder under a temporary name, removed when it was not renamed.
struct PartialFolder(PathBuf);

impl PartialFolder {
    fn create(target: &Path) -> Result<Self> {
        let mut name = target.as_os_str().to_owned();
        name.push(format!(".{}.partial", std::process::id()));
        fs_err::create_dir_all(&name)?;
        Ok(Self(name.into()))
    }
}

impl Drop for PartialFolder {
    fn drop(&mut self) {
        // After the rename there is nothing left to remove.
        let _ = fs_err::remove_dir_all(&self.0);
    }
}

fn key(retriever: &Retriever<Cpu>, fingerprint: &str, queries: &Texts, documents: &Texts) -> String {
    let mut hash = Sha256Hex::new();
    hash.part(format!("pooled vectors {FORMAT}"));
    hash.part(fingerprint);
    hash.part(retriever.max_length().to_string());
    hash.part(retriever.folder.lower_case.to_string());
    // Levels differ in the last bits.
    hash.part(retriever.ops.level().to_string());
    for (name, prompt) in &retriever.folder.prompts.by_name {
        hash.part(name);
        hash.part(prompt);
    }
    for texts in [queries, documents] {
        hash.part(texts.len().to_string());
        texts.contents.iter().for_each(|text| hash.part(text));
    }
    hash.finish()
}

fn read(folder: &Path, hidden: usize, queries: usize, documents: usize) -> Result<Pooled> {
    let manifest: Manifest = serde_json::from_slice(&fs_err::read(folder.join(MANIFEST))?)?;
    ensure!(manifest.format == FORMAT, "`{MANIFEST}` has format {}, not {FORMAT}", manifest.format);
    let read = |name: &str, record: &FileRecord, texts: usize| -> Result<Vec<f32>> {
        let path = folder.join(name);
        ensure!(FileRecord::of(&path)? == *record, "`{name}` is not the file that was written");
        let vectors = Vectors::open(&path)?;
        ensure!((vectors.len(), vectors.dim()) == (texts, hidden), "`{name}` holds other vectors");
        Ok(vectors.as_slice().to_vec())
    };
    Ok(Pooled {
        queries: read(QUERIES, &manifest.queries, queries)?,
        documents: read(DOCUMENTS, &manifest.documents, documents)?,
    })
}

fn compute(
    retriever: &Retriever<Cpu>,
    side: Side,
    texts: &Texts,
    path: &Path,
    observe: &mut Observer<'_>,
) -> Result<(Vec<f32>, FileRecord)> {
    let tokens = tokenize(retriever, side, &texts.contents, observe)?;
    let name = match side {
        Side::Query => "encoding queries",
        Side::Document => "encoding documents",
    };
    let mut writer = VectorWriter::create(path, retriever.architecture.hidden())?;
    let vectors = encode(retriever, &tokens, name, observe, &mut |part| Ok(writer.push(part)?))?;
    Ok((vectors, writer.finish()?))
}

/// Pooled vectors of token ids, handed to `sink` batch by batch as well.
pub(super) fn encode(
    retriever: &Retriever<Cpu>,
    tokens: &[Vec<u32>],
    name: &str,
    observe: &mut Observer<'_>,
    sink: &mut dyn FnMut(&[f32]) -> Result<()>,
) -> Result<Vec<f32>> {
    tell(observe, Progress::Stage { name: name.to_owned(), total: tokens.len() as u64, done: 0 })?;
    let mut vectors = Vec::with_capacity(tokens.len() * retriever.architecture.hidden());
    let mut rest = tokens;
    while !rest.is_empty() {
        let mut held = 0;
        let fits = rest.iter().take_while(|text| {
            held += text.len();
            held <= BATCH_TOKENS
        });
        let (batch, after) = rest.split_at(fits.count().max(1));
        let pooled = retriever.pooled(batch);
        sink(&pooled)?;
        vectors.extend(pooled);
        rest = after;
        tell(observe, Progress::Advanced(batch.len() as u64))?;
    }
    tell(observe, Progress::StageDone)?;
    Ok(vectors)
}
