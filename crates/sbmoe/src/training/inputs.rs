//! What the training library reads of the texts: token ids, or the pooled vectors of a frozen encoder.

use anyhow::Result;
use sbmoe_train::{Inputs, PooledTexts};

use super::encoder_pass::encode;
use super::examples::HeldOut;
use super::pooled_cache::pooled;
use super::prepared::Prepared;
use super::progress::Observer;
use super::tokens::{Side, tokenize};

/// Tokenises the texts, and runs them through the encoder when it is frozen.
pub(super) fn inputs(run: &Prepared, observe: &mut Observer<'_>) -> Result<Inputs> {
    let Prepared { retriever, queries, documents, .. } = run;
    if run.config.freeze_encoder {
        let encoder = (run.fingerprint.as_str(), run.config.precision);
        let pooled = pooled(retriever, encoder, (queries, documents), &run.folder.pooled(), observe)?;
        return Ok(Inputs::Pooled { queries: pooled.queries, documents: pooled.documents });
    }
    Ok(Inputs::Tokens {
        queries: tokenize(retriever, Side::Query, &queries.contents, observe)?,
        documents: tokenize(retriever, Side::Document, &documents.contents, observe)?,
    })
}

/// Pooled vectors of the held-out queries and of the documents that they are ranked over, from the encoder as it is.
pub(super) fn held_out_vectors(
    run: &Prepared,
    inputs: &Inputs,
    held_out: &HeldOut,
    observe: &mut Observer<'_>,
) -> Result<(Vec<f32>, Vec<f32>)> {
    let hidden = run.retriever.architecture.hidden();
    match inputs {
        Inputs::Pooled { queries, documents } => {
            let own = |texts: &PooledTexts, ordinals: &[u32]| {
                texts.rows(ordinals, hidden).collect::<Vec<_>>().concat()
            };
            Ok((own(queries, &held_out.queries), own(documents, &held_out.documents)))
        }
        Inputs::Tokens { queries, documents } => {
            let name = "scoring the encoder alone";
            let mut vectors = |texts: &[Vec<u32>], ordinals: &[u32]| {
                let own: Vec<Vec<u32>> =
                    ordinals.iter().map(|&ordinal| texts[ordinal as usize].clone()).collect();
                let mut vectors = Vec::with_capacity(own.len() * hidden);
                let mut sink = |part: Vec<f32>| {
                    vectors.extend(part);
                    Ok(())
                };
                encode(&run.retriever, &own, (name, 0), observe, &mut sink).map(|()| vectors)
            };
            Ok((vectors(queries, &held_out.queries)?, vectors(documents, &held_out.documents)?))
        }
    }
}
