//! What the training library reads of the texts: token ids, or the pooled vectors of a frozen encoder; and the vectors of
//! the encoder as it came, which a run is compared with and by which near queries are found.

use anyhow::Result;
use sbmoe_model::folder::Similarity;
use sbmoe_model::moe::Side;
use sbmoe_train::{Inputs, PooledTexts};

use super::pooled_cache::pooled;
use super::prepared::Prepared;
use super::progress::Observer;
use super::tokens::tokenize;

/// The vectors of the encoder as it came, by ordinal, of length 1 where it is meant to be compared by cosine.
#[derive(Debug, Default)]
pub(super) struct EncoderVectors {
    /// `[queries, hidden]`.
    pub(super) queries: Vec<f32>,
    /// `[documents, hidden]`; empty where nothing is ranked.
    pub(super) documents: Vec<f32>,
}

/// Tokenises the texts, and runs them through the encoder when it is frozen. `anchors` are texts that stand behind the
/// queries.
pub(super) fn inputs(run: &Prepared, anchors: &[String], observe: &mut Observer<'_>) -> Result<Inputs> {
    let Prepared { retriever, queries, documents, .. } = run;
    if run.config.freeze_encoder {
        let mut own = stored(run, Side::Query, &queries.contents, observe)?;
        if !anchors.is_empty() {
            let anchors = stored(run, Side::Query, anchors, observe)?;
            own.vectors.extend(anchors.vectors);
            own.keys.extend(anchors.keys);
            own.tokens.extend(anchors.tokens);
        }
        let documents = stored(run, Side::Document, &documents.texts.contents, observe)?;
        return Ok(Inputs::Pooled { queries: own, documents });
    }
    let mut own = tokenize(retriever, Side::Query, &queries.contents, observe)?;
    own.extend(tokenize(retriever, Side::Query, anchors, observe)?);
    let documents = tokenize(retriever, Side::Document, &documents.texts.contents, observe)?;
    Ok(Inputs::Tokens { queries: own, documents })
}

/// The encoder's own vectors of all queries and, where `ranks`, of all documents.
pub(super) fn encoder_vectors(
    run: &Prepared,
    inputs: &Inputs,
    ranks: bool,
    observe: &mut Observer<'_>,
) -> Result<EncoderVectors> {
    let Prepared { retriever, queries, documents, .. } = run;
    let hidden = retriever.architecture.hidden();
    let (mut queries, mut documents) = match inputs {
        Inputs::Pooled { queries: own, documents } => (
            own.vectors[..queries.len() * hidden].to_vec(),
            if ranks { documents.vectors.clone() } else { Vec::new() },
        ),
        Inputs::Tokens { .. } => (
            stored(run, Side::Query, &queries.contents, observe)?.vectors,
            if ranks {
                stored(run, Side::Document, &documents.texts.contents, observe)?.vectors
            } else {
                Vec::new()
            },
        ),
    };
    if retriever.folder.meant_similarity() == Similarity::Cosine {
        normalize(hidden, &mut queries);
        normalize(hidden, &mut documents);
    }
    Ok(EncoderVectors { queries, documents })
}

/// Some rows of `[rows, hidden]`.
pub(super) fn rows(vectors: &[f32], hidden: usize, ordinals: &[u32]) -> Vec<f32> {
    ordinals.iter().flat_map(|&row| &vectors[row as usize * hidden..][..hidden]).copied().collect()
}

/// Makes every row of length 1; a row of zeros stays.
pub(super) fn normalize(hidden: usize, vectors: &mut [f32]) {
    for row in vectors.chunks_exact_mut(hidden) {
        let norm = row.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
        if norm > 0.0 {
            for value in row {
                *value = (f64::from(*value) / norm) as f32;
            }
        }
    }
}

fn stored(run: &Prepared, side: Side, texts: &[String], observe: &mut Observer<'_>) -> Result<PooledTexts> {
    let encoder = (run.fingerprints.model.as_str(), run.config.precision);
    pooled(&run.retriever, encoder, (side, texts), &run.folder.pooled(), observe)
}
