//! A whole index, opened to be searched and printed from.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use rayon::ThreadPool;
use sbmoe_index::{
    Array, DocOrdinal, Exact, Hit, IndexFolder, Manifest, Rounded, Search, Shape, SimdLevel, Store,
};

use super::documents::Documents;
use super::plan::IndexState;

/// The file of the documents' experts, there if each document went to one.
pub const EXPERTS_FILE: &str = "experts.npy";

/// The file of the texts' keys, there beside the pooled vectors.
pub const KEYS_FILE: &str = "pooled.keys.npy";

/// An index opened for reading. Opening takes the same time whatever the number of documents.
#[derive(Debug)]
pub struct Index {
    folder: IndexFolder,
    documents: Documents,
    experts: Option<Array<u16>>,
    keys: Option<Array<u64>>,
}

impl Index {
    /// Opens the index in a folder: headers and sizes are checked, checksums are not ([`Index::verify`]).
    ///
    /// # Errors
    /// There is no whole index, or its files are not what its manifest says.
    pub fn open(path: &Path) -> Result<Self> {
        match IndexState::of(path)? {
            IndexState::Complete(_) => (),
            IndexState::Partial { documents, .. } => anyhow::bail!(
                "the index in `{}` is not whole, it has {documents} documents so far: repeat the `sbmoe encode` that began it",
                path.display()
            ),
            IndexState::Absent => {
                anyhow::bail!("`{}` holds no index: make one with `sbmoe encode`", path.display())
            }
        }
        let context = || format!("the index in `{}` cannot be opened", path.display());
        let folder = IndexFolder::open(path).with_context(context)?;
        let documents = Documents::open(path).with_context(context)?;
        let experts = folder
            .manifest()
            .files
            .contains_key(EXPERTS_FILE)
            .then(|| Array::open_as(&path.join(EXPERTS_FILE), Shape::Column))
            .transpose()
            .with_context(context)?;
        let keys = folder
            .manifest()
            .files
            .contains_key(KEYS_FILE)
            .then(|| Array::open_as(&path.join(KEYS_FILE), Shape::Column))
            .transpose()
            .with_context(context)?;
        let vectors = folder.vectors().len();
        ensure!(
            documents.len() == vectors
                && keys.as_ref().is_none_or(|keys| keys.rows() == vectors)
                && experts.as_ref().is_none_or(|experts| experts.rows() == vectors),
            "the index in `{}` has {vectors} vectors and {} documents, or another number of keys or experts: encode the \
             collection again",
            path.display(),
            documents.len()
        );
        Ok(Self { folder, documents, experts, keys })
    }

    /// How the index was made.
    pub fn manifest(&self) -> &Manifest {
        self.folder.manifest()
    }

    /// The vectors and their files.
    pub fn folder(&self) -> &IndexFolder {
        &self.folder
    }

    /// The documents' ids, titles and snippets.
    pub fn documents(&self) -> &Documents {
        &self.documents
    }

    /// The texts' keys, which the random gate reads; there beside the pooled vectors.
    pub fn keys(&self) -> Option<&[u64]> {
        self.keys.as_ref().map(Array::as_slice)
    }

    /// The expert that a document was sent to, where each went to one.
    pub fn expert(&self, document: DocOrdinal) -> Option<u16> {
        self.experts.as_ref()?.as_slice().get(document as usize).copied()
    }

    /// Refuses queries that were not made as the documents were.
    ///
    /// # Errors
    /// `fingerprint` or `gate` is another than the index's.
    pub fn check_queries(&self, model: &str, fingerprint: &str, gate: &str) -> Result<()> {
        let manifest = self.manifest();
        let folder = self.folder.path().display();
        ensure!(
            fingerprint == manifest.fingerprint,
            "the index in `{folder}` was made with another model (`{}`, fingerprint {}) than `{model}` (fingerprint \
             {fingerprint}): search it with that model, or encode the collection with this one",
            manifest.model,
            manifest.fingerprint
        );
        ensure!(
            gate == manifest.gate || manifest.gate != "none",
            "the index in `{folder}` was made without a gate: leave `--gate` out"
        );
        ensure!(
            gate == manifest.gate,
            "the index in `{folder}` was made with the gate `{}`: search it with `--gate {}`, or encode the collection with \
             `--gate {gate}`",
            manifest.gate,
            manifest.gate
        );
        Ok(())
    }

    /// The best `k` documents of each query, `queries` being `[queries, dim]` and normalised where the documents
    /// are. Where the index has a rounded copy of its vectors, less is read; the hits are the same bits.
    ///
    /// # Errors
    /// The queries have another dimension, or a query or a score is not finite.
    pub fn search(
        &self,
        queries: &[f32],
        k: usize,
        level: SimdLevel,
        pool: &ThreadPool,
    ) -> Result<Vec<Vec<Hit>>> {
        let vectors = self.folder.vectors();
        let id_order = |a, b| self.documents.compare_ids(a, b);
        let search = Search { queries, k, id_order: &id_order };
        let (exact, rounded);
        let store: &dyn Store = if let Some(copy) = self.folder.rounded() {
            rounded = Rounded::new(vectors.as_slice(), copy, level)?;
            &rounded
        } else {
            exact = Exact::new(vectors.as_slice(), vectors.dim(), level)?;
            &exact
        };
        Ok(store.search(&search, pool)?)
    }

    /// Reads every file and compares it with the manifest; `progress` is called with the number of bytes of every
    /// piece.
    ///
    /// # Errors
    /// A file cannot be read or was changed.
    pub fn verify(&self, progress: &mut dyn FnMut(u64)) -> Result<()> {
        self.folder.verify(progress)?;
        for document in 0..self.documents.len() {
            self.documents.row(document as DocOrdinal)?;
        }
        Ok(())
    }
}
