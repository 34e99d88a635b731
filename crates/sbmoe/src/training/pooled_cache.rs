//! The pooled vectors of a frozen encoder, computed once and kept beside the runs that use them.
//!
//! `<parent of RUN>/.pooled/<key>/` holds one list of texts: `queries.npy` or `documents.npy`, beside it a `*.texts.npy`
//! (u64 `[texts, 2]`: the text's key, its number of tokens) and, written last, `pooled.json` with their sizes and checksums.
//! The key is a hash of everything that the vectors depend on, so a folder is never stale; one
//! whose files were damaged is computed again. A run that was killed while it computed them leaves `*.npy.partial` and
//! `*.npy.rows`, the number of vectors that are whole, from which the next run goes on.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use fs_err::{File, OpenOptions};
use sbmoe_index::{Array, ArrayWriter, FileRecord, Shape, VectorWriter, Vectors, partial_path};
use sbmoe_ir::atomic_file::write_bytes;
use sbmoe_kernels::{Cpu, Precision};
use sbmoe_model::moe::{Side, text_key};
use sbmoe_model::retriever::Retriever;
use sbmoe_train::PooledTexts;
use serde::{Deserialize, Serialize};

use super::encoder_pass::encode;
use super::progress::{Observer, Progress, tell};
use super::tokens::tokenize;
use crate::sha256::Sha256Hex;

/// The version of the folder's layout and of what its key covers.
const FORMAT: u32 = 3;

/// A killed run computes at most this much again.
const BETWEEN_FLUSHES: Duration = Duration::from_secs(5);

/// How often a run looks whether another one has let go of the folder.
const BETWEEN_LOOKS: Duration = Duration::from_millis(200);

const MANIFEST: &str = "pooled.json";
const LOCK: &str = "lock";

/// `pooled.json`.
#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    format: u32,
    hidden: usize,
    vectors: FileRecord,
    texts: FileRecord,
}

/// The file of one side's vectors.
fn file_name(side: Side) -> &'static str {
    match side {
        Side::Query => "queries.npy",
        Side::Document => "documents.npy",
    }
}

/// The vectors of texts of one side: stored ones if there are any, else computed and stored under `folder`.
pub(super) fn pooled(
    retriever: &Retriever<Cpu>,
    (fingerprint, precision): (&str, Precision),
    (side, texts): (Side, &[String]),
    folder: &Path,
    observe: &mut Observer<'_>,
) -> Result<PooledTexts> {
    let own = folder.join(key(retriever, (fingerprint, precision), side, texts));
    fs_err::create_dir_all(&own)?;
    let _lock = lock(&own, observe)?;
    let path = own.join(file_name(side));
    let sizes = (texts.len(), retriever.architecture.hidden());
    if own.join(MANIFEST).is_file() {
        match read(&path, sizes) {
            Ok(pooled) => {
                tell(observe, Progress::Note(format!("pooled vectors: reused from `{}`", path.display())))?;
                return Ok(pooled);
            }
            Err(error) => {
                let text = format!("the pooled vectors in `{}` are computed again: {error:#}", own.display());
                tell(observe, Progress::Warning(text))?;
                clear(&path)?;
            }
        }
    }
    let (vectors, known) = compute(retriever, side, texts, &path, observe)?;
    let manifest = Manifest { format: FORMAT, hidden: sizes.1, vectors, texts: known };
    write_bytes(&own.join(MANIFEST), &serde_json::to_vec_pretty(&manifest)?)?;
    remove_if_there(&rows_path(&path))?;
    tell(observe, Progress::Note(format!("pooled vectors: stored in `{}`", path.display())))?;
    read(&path, sizes)
}

/// Keeps other runs from computing the same vectors until the lock is dropped.
fn lock(folder: &Path, observe: &mut Observer<'_>) -> Result<File> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(folder.join(LOCK))?;
    let mut waits = false;
    loop {
        let Err(error) = file.file().try_lock().map_err(io::Error::from) else { return Ok(file) };
        match error.kind() {
            ErrorKind::WouldBlock => {
                let progress = if waits {
                    Progress::Advanced(0)
                } else {
                    Progress::Note(
                        "pooled vectors: waiting for another run, which computes the same".to_owned(),
                    )
                };
                tell(observe, progress)?;
                waits = true;
                sleep(BETWEEN_LOOKS);
            }
            // Some network file systems know no locks; there, two runs must not compute the same vectors at once.
            ErrorKind::Unsupported => return Ok(file),
            _ => return Err(error).with_context(|| format!("`{}` cannot be locked", folder.display())),
        }
    }
}

/// Removes vectors that are not to be trusted.
fn clear(path: &Path) -> Result<()> {
    remove_if_there(&path.with_file_name(MANIFEST))?;
    let texts = texts_path(path);
    let own = [partial_path(&texts), texts, rows_path(path), partial_path(path), path.to_owned()];
    own.iter().try_for_each(|path| remove_if_there(path))
}

fn remove_if_there(path: &Path) -> Result<()> {
    if path.exists() {
        fs_err::remove_file(path)?;
    }
    Ok(())
}

/// Where the number of whole vectors stands while they are computed.
fn rows_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".rows");
    PathBuf::from(name)
}

/// Where the keys and the numbers of tokens stand beside the vectors at `path`.
fn texts_path(path: &Path) -> PathBuf {
    path.with_extension("texts.npy")
}

fn key(
    retriever: &Retriever<Cpu>,
    (fingerprint, precision): (&str, Precision),
    side: Side,
    texts: &[String],
) -> String {
    let mut hash = Sha256Hex::new();
    hash.part(format!("pooled vectors {FORMAT}"));
    hash.part(fingerprint);
    let lengths = retriever.lengths();
    hash.part(lengths.document.to_string());
    // As vectors were stored before queries could have a length of their own.
    if lengths.query != lengths.document {
        hash.part(format!("queries {}", lengths.query));
    }
    hash.part(retriever.folder.lower_case.to_string());
    // Levels differ in the last bits.
    hash.part(retriever.ops.level().to_string());
    // Vectors that were stored before there was a choice are in f32.
    if precision != Precision::F32 {
        // Earlier builds computed attention in f32 whatever the precision.
        hash.part(format!("{precision}, attention too"));
    }
    hash.part(side.to_string());
    hash.part(match side {
        Side::Query => retriever.folder.prompts.query(),
        Side::Document => retriever.folder.prompts.document(),
    });
    hash.part(texts.len().to_string());
    for text in texts {
        hash.part(text);
    }
    hash.finish()
}

fn read(path: &Path, (texts, hidden): (usize, usize)) -> Result<PooledTexts> {
    let manifest: Manifest = serde_json::from_slice(&fs_err::read(path.with_file_name(MANIFEST))?)?;
    ensure!(manifest.format == FORMAT, "`{MANIFEST}` has format {}, not {FORMAT}", manifest.format);
    let known = texts_path(path);
    for (path, record) in [(path, &manifest.vectors), (&known, &manifest.texts)] {
        let name = path.file_name().unwrap_or_default().display();
        ensure!(FileRecord::of(path)? == *record, "`{name}` is not the file that was written");
    }
    let name = path.file_name().unwrap_or_default().display();
    let vectors = Vectors::open(path)?;
    let known = Array::<u64>::open_as(&known, Shape::Matrix(2))?;
    ensure!((vectors.len(), vectors.dim()) == (texts, hidden), "`{name}` holds other vectors");
    ensure!(known.rows() == texts, "`{name}` and what is known of its texts differ in number");
    let (known, _) = known.as_slice().as_chunks::<2>();
    Ok(PooledTexts {
        vectors: vectors.as_slice().to_vec(),
        keys: known.iter().map(|[key, _]| *key).collect(),
        tokens: known.iter().map(|[_, tokens]| *tokens as u32).collect(),
    })
}

/// Computes the vectors of one side into the file at `path`, those excepted that an earlier run left there.
fn compute(
    retriever: &Retriever<Cpu>,
    side: Side,
    texts: &[String],
    path: &Path,
    observe: &mut Observer<'_>,
) -> Result<(FileRecord, FileRecord)> {
    let tokens = tokenize(retriever, side, texts, observe)?;
    let mut known = ArrayWriter::create(&texts_path(path), Shape::Matrix(2))?;
    tokens.iter().try_for_each(|ids| known.push(&[text_key(ids), ids.len() as u64]))?;
    let texts = known.finish()?;
    let name = match side {
        Side::Query => "encoding queries",
        Side::Document => "encoding documents",
    };
    let mut writer = open_writer(path, retriever.architecture.hidden(), tokens.len() as u64)?;
    let done = writer.rows() as usize;
    let mut flushed = Instant::now();
    let encoded = encode(retriever, &tokens, (name, done), observe, &mut |vectors| {
        writer.push(&vectors)?;
        if flushed.elapsed() >= BETWEEN_FLUSHES {
            keep(&mut writer, path)?;
            flushed = Instant::now();
        }
        Ok(())
    });
    // Batches are whole, so that a run that goes on makes the same ones.
    keep(&mut writer, path)?;
    encoded?;
    Ok((writer.finish()?, texts))
}

/// A writer behind the vectors that are whole already.
fn open_writer(path: &Path, hidden: usize, texts: u64) -> Result<VectorWriter> {
    let rows = fs_err::read_to_string(rows_path(path)).ok().and_then(|rows| rows.trim().parse::<u64>().ok());
    let resumed =
        rows.filter(|rows| *rows <= texts).and_then(|rows| VectorWriter::resume(path, hidden, rows).ok());
    Ok(match resumed {
        Some(writer) => writer,
        None => VectorWriter::create(path, hidden)?,
    })
}

/// Brings the vectors so far to the disk, then their number.
fn keep(writer: &mut VectorWriter, path: &Path) -> Result<()> {
    writer.flush()?;
    Ok(write_bytes(&rows_path(path), writer.rows().to_string().as_bytes())?)
}
