//! An index in the making: rows go to the disk as they come, and a killed program goes on after the last
//! checkpoint.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use sbmoe_index::{
    ArrayWriter, ByteRows, ByteRowsWriter, Manifest, POOLED_FILE, Shape, VECTORS_FILE, VectorWriter,
    partial_path,
};

use super::documents::{DOCUMENTS_FILE, DocumentRow};
use super::index::{EXPERTS_FILE, KEYS_FILE};
use super::plan::{IndexPlan, IndexState, PARTIAL_FILE, Progress};
use crate::folder_lock::LOCK_FILE;

/// Some documents, encoded.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// Their ids, titles and snippets.
    pub documents: &'a [DocumentRow],
    /// Their vectors, `[documents, dim]`.
    pub vectors: &'a [f32],
    /// Their pooled vectors, `[documents, hidden]`; empty where the plan keeps none.
    pub pooled: &'a [f32],
    /// Their texts' keys, `[documents]`, which the random gate reads; empty where no pooled vectors are kept.
    pub keys: &'a [u64],
    /// Their experts, `[documents]`; empty where the plan keeps none.
    pub experts: &'a [u16],
}

/// Writes an index folder.
#[derive(Debug)]
pub struct IndexBuilder {
    folder: PathBuf,
    plan: IndexPlan,
    rows: ByteRowsWriter,
    vectors: VectorWriter,
    pooled: Option<VectorWriter>,
    keys: Option<ArrayWriter<u64>>,
    experts: Option<ArrayWriter<u16>>,
}

impl IndexBuilder {
    /// Begins an index in `folder`, or goes on with one that was begun by the same plan:
    /// [`IndexBuilder::documents`] then says how many documents of the collection it already has.
    ///
    /// # Errors
    /// The folder holds a whole index, or a part of one by another plan; a file cannot be created or taken up
    /// again.
    pub fn open(folder: &Path, plan: IndexPlan) -> Result<Self> {
        match IndexState::of(folder)? {
            IndexState::Absent => Self::create(folder, plan),
            IndexState::Partial { plan: begun, documents } if *begun == plan => {
                Self::resume(folder, plan, documents)
                    .with_context(|| {
                        format!(
                            "the index in `{}` cannot be taken up again: remove the folder, and encode the collection from its \
                             beginning",
                            folder.display()
                        )
                    })
            }
            IndexState::Partial { plan: begun, documents } => bail!(
                "`{}` holds {documents} documents of an index that was begun with other settings (model `{}`, gate `{}`): \
                 choose another folder, or remove it",
                folder.display(),
                begun.model,
                begun.gate
            ),
            IndexState::Complete(manifest) => bail!(
                "`{}` already holds an index of {} documents (model `{}`, gate `{}`): choose another folder, or remove it",
                folder.display(),
                manifest.documents,
                manifest.model,
                manifest.gate
            ),
        }
    }

    fn create(folder: &Path, plan: IndexPlan) -> Result<Self> {
        fs_err::create_dir_all(folder)?;
        if let Some(name) = foreign(folder)? {
            bail!(
                "`{}` holds `{name}`, which belongs to no index: choose a new folder, since an index needs one of its own",
                folder.display()
            );
        }
        let rows = ByteRowsWriter::create(&folder.join(DOCUMENTS_FILE))?;
        let vectors = VectorWriter::create(&folder.join(VECTORS_FILE), plan.dim)?;
        let pooled =
            plan.pooled_dim.map(|dim| VectorWriter::create(&folder.join(POOLED_FILE), dim)).transpose()?;
        let keys = (plan.pooled_dim.is_some())
            .then(|| ArrayWriter::create(&folder.join(KEYS_FILE), Shape::Column))
            .transpose()?;
        let experts = plan
            .experts
            .then(|| ArrayWriter::create(&folder.join(EXPERTS_FILE), Shape::Column))
            .transpose()?;
        let mut builder = Self { folder: folder.to_path_buf(), plan, rows, vectors, pooled, keys, experts };
        // From here on the folder is known as a partial index.
        builder.checkpoint()?;
        Ok(builder)
    }

    fn resume(folder: &Path, plan: IndexPlan, documents: u64) -> Result<Self> {
        let rows = ByteRowsWriter::resume(&folder.join(DOCUMENTS_FILE), documents)?;
        let vectors = VectorWriter::resume(&folder.join(VECTORS_FILE), plan.dim, documents)?;
        let pooled = plan
            .pooled_dim
            .map(|dim| VectorWriter::resume(&folder.join(POOLED_FILE), dim, documents))
            .transpose()?;
        let keys = (plan.pooled_dim.is_some())
            .then(|| ArrayWriter::resume(&folder.join(KEYS_FILE), Shape::Column, documents))
            .transpose()?;
        let experts = plan
            .experts
            .then(|| ArrayWriter::resume(&folder.join(EXPERTS_FILE), Shape::Column, documents))
            .transpose()?;
        Ok(Self { folder: folder.to_path_buf(), plan, rows, vectors, pooled, keys, experts })
    }

    /// Documents so far.
    pub fn documents(&self) -> u64 {
        self.rows.rows()
    }

    /// What the index will be.
    pub fn plan(&self) -> &IndexPlan {
        &self.plan
    }

    /// Appends documents in the order of the collection.
    ///
    /// # Errors
    /// A vector is not finite, the parts of the batch differ in length, or the disk is full.
    pub fn push(&mut self, batch: Batch<'_>) -> Result<()> {
        let documents = batch.documents.len();
        let hidden = self.plan.pooled_dim.unwrap_or(0);
        let experts = if self.plan.experts { documents } else { 0 };
        let keys = if self.plan.pooled_dim.is_some() { documents } else { 0 };
        ensure!(
            batch.vectors.len() == documents * self.plan.dim
                && batch.pooled.len() == documents * hidden
                && batch.keys.len() == keys
                && batch.experts.len() == experts,
            "a batch of {documents} documents has {} numbers of vectors, {} of pooled vectors, {} keys and {} experts",
            batch.vectors.len(),
            batch.pooled.len(),
            batch.keys.len(),
            batch.experts.len()
        );
        // Vectors first: they are what may be refused.
        self.vectors
            .push(batch.vectors)
            .map_err(|error| name_document(error, &self.rows, batch.documents))?;
        if let Some(pooled) = &mut self.pooled {
            pooled.push(batch.pooled).map_err(|error| name_document(error, &self.rows, batch.documents))?;
        }
        if let Some(keys) = &mut self.keys {
            keys.push(batch.keys)?;
        }
        if let Some(experts) = &mut self.experts {
            experts.push(batch.experts)?;
        }
        for document in batch.documents {
            self.rows.push(&document.to_line()?)?;
        }
        Ok(())
    }

    /// Makes sure that the documents so far survive whatever happens next. Worth calling every few seconds.
    ///
    /// # Errors
    /// The disk is full or broken.
    pub fn checkpoint(&mut self) -> Result<()> {
        self.rows.flush()?;
        self.vectors.flush()?;
        if let Some(pooled) = &mut self.pooled {
            pooled.flush()?;
        }
        if let Some(keys) = &mut self.keys {
            keys.flush()?;
        }
        if let Some(experts) = &mut self.experts {
            experts.flush()?;
        }
        Progress { plan: self.plan.clone(), documents: self.documents() }.write(&self.folder)
    }

    /// Gives up what was encoded, so that the next encoding into the folder begins anew.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn discard(self) -> Result<()> {
        Ok(fs_err::remove_file(self.folder.join(PARTIAL_FILE))?)
    }

    /// Completes the index: its manifest is written last.
    ///
    /// # Errors
    /// The disk is full or broken; the index then stays partial and can be taken up again.
    pub fn finish(mut self) -> Result<Manifest> {
        self.checkpoint()?;
        let documents = self.documents();
        let ends_file = ByteRows::ends_path(Path::new(DOCUMENTS_FILE)).display().to_string();
        let mut files = BTreeMap::new();
        let [rows, ends] = self.rows.finish()?;
        files.insert(DOCUMENTS_FILE.to_owned(), rows);
        files.insert(ends_file, ends);
        files.insert(VECTORS_FILE.to_owned(), self.vectors.finish()?);
        if let Some(pooled) = self.pooled {
            files.insert(POOLED_FILE.to_owned(), pooled.finish()?);
        }
        if let Some(keys) = self.keys {
            files.insert(KEYS_FILE.to_owned(), keys.finish()?);
        }
        if let Some(experts) = self.experts {
            files.insert(EXPERTS_FILE.to_owned(), experts.finish()?);
        }
        let manifest = self.plan.manifest(documents, files);
        manifest.write(&self.folder)?;
        fs_err::remove_file(self.folder.join(PARTIAL_FILE))?;
        Ok(manifest)
    }
}

/// A file in a folder without an index that no killed encoding has left there.
fn foreign(folder: &Path) -> Result<Option<String>> {
    let ends = ByteRows::ends_path(Path::new(DOCUMENTS_FILE));
    let own = [DOCUMENTS_FILE, VECTORS_FILE, POOLED_FILE, KEYS_FILE, EXPERTS_FILE].map(Path::new);
    let own = || own.into_iter().chain([ends.as_path()]).map(|file| partial_path(file).into_os_string());
    for entry in fs_err::read_dir(folder)? {
        let name = entry?.file_name();
        let shown = name.to_string_lossy();
        let is_progress = shown.starts_with(&format!(".{PARTIAL_FILE}."));
        if shown != LOCK_FILE && !is_progress && !own().any(|own| own == name) {
            return Ok(Some(shown.into_owned()));
        }
    }
    Ok(None)
}

/// A refused vector's error, with the id of its document.
fn name_document(
    error: sbmoe_index::IndexError,
    rows: &ByteRowsWriter,
    documents: &[DocumentRow],
) -> anyhow::Error {
    let place = match error {
        sbmoe_index::IndexError::VectorNotFinite { row, .. } => row.checked_sub(rows.rows()),
        _ => None,
    };
    match place.and_then(|place| documents.get(place as usize)) {
        Some(document) => anyhow::Error::new(error).context(format!("document `{}`", document.id)),
        None => error.into(),
    }
}
