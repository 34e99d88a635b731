//! Another model as the teacher: its vectors, compared as it is meant to be.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use sbmoe_index::Similarity;
use sbmoe_kernels::{Cpu, Precision};
use sbmoe_model::folder;
use sbmoe_model::moe::Side;

use super::super::pooled_cache::pooled;
use super::super::prepared::{find_model, open_retriever};
use super::super::progress::Observer;
use crate::encoding::{VectorMaker, VectorOptions};
use crate::model_source::ModelSource;

/// A teacher that is opened.
#[derive(Debug)]
pub(in crate::training) struct TeacherModel {
    /// Where it lies.
    pub(in crate::training) source: ModelSource,
    /// Of the whole model.
    pub(in crate::training) fingerprint: String,
    maker: VectorMaker,
}

impl TeacherModel {
    /// Opens the model that a user names, with its own length, similarity, block and gate.
    pub(in crate::training) fn open(
        name: &str,
        cpu: &Arc<Cpu>,
        precision: Precision,
        observe: &mut Observer<'_>,
    ) -> Result<Self> {
        let attempt = |observe: &mut Observer<'_>| -> Result<Self> {
            let source = find_model(name, None, observe)?;
            let fingerprint = folder::fingerprint(&source.dir)?.model;
            let retriever = open_retriever((name, &source), Arc::clone(cpu), None, observe)?;
            let similarity = Some(match retriever.folder.meant_similarity() {
                folder::Similarity::Cosine => Similarity::Cos,
                folder::Similarity::Dot => Similarity::Dot,
            });
            let options = VectorOptions { similarity, precision, ..VectorOptions::default() };
            Ok(Self { source, fingerprint, maker: VectorMaker::new(retriever, options)? })
        };
        attempt(observe).context("the teacher (`--teacher`) cannot be used")
    }

    /// Whether its vectors are compared by cosine.
    pub(in crate::training) fn by_cosine(&self) -> bool {
        self.maker.similarity == Similarity::Cos
    }

    /// Numbers of a vector.
    pub(in crate::training) fn dimensions(&self) -> usize {
        self.maker.dimensions
    }

    /// Vectors `[texts, dimensions]` whose inner products are its scores; what the encoder makes is stored under `folder`.
    pub(in crate::training) fn vectors(
        &self,
        side: Side,
        texts: &[String],
        folder: &Path,
        observe: &mut Observer<'_>,
    ) -> Result<Vec<f32>> {
        let encoder = (self.fingerprint.as_str(), self.maker.precision);
        let stored = pooled(&self.maker.retriever, encoder, (side, texts), folder, observe)?;
        let vectors = self.maker.from_pooled(side, stored.vectors, stored.keys)?.vectors;
        // A score that is not a number would count as one that the teacher did not give.
        let bad = vectors.chunks_exact(self.dimensions()).position(|row| row.iter().any(|v| !v.is_finite()));
        let side = if side == Side::Query { "query" } else { "document" };
        let place = bad.unwrap_or_default();
        ensure!(bad.is_none(), "the teacher's vector of the {side} `{}` is not finite", texts[place]);
        Ok(vectors)
    }
}
