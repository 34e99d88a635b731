//! Texts to token ids, on all threads, in order.

use anyhow::Result;
use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator as _};
use sbmoe_kernels::Cpu;
use sbmoe_model::moe::Side;
use sbmoe_model::retriever::{Retriever, RetrieverError};

use super::progress::{Observer, Progress, tell};

/// Texts between two reports of progress.
const PIECE: usize = 2048;

/// Token ids of one text.
fn tokenize_one(retriever: &Retriever<Cpu>, side: Side, text: &str) -> Result<Vec<u32>, RetrieverError> {
    match side {
        Side::Query => retriever.tokenize_query(text),
        Side::Document => retriever.tokenize_document(text),
    }
}

/// Token ids of every text.
pub(super) fn tokenize(
    retriever: &Retriever<Cpu>,
    side: Side,
    texts: &[String],
    observe: &mut Observer<'_>,
) -> Result<Vec<Vec<u32>>> {
    let name = match side {
        Side::Query => "tokenising queries",
        Side::Document => "tokenising documents",
    };
    tell(observe, Progress::Stage { name: name.to_owned(), total: texts.len() as u64, done: 0 })?;
    let mut tokens = Vec::with_capacity(texts.len());
    for piece in texts.chunks(PIECE) {
        let ids: Result<Vec<Vec<u32>>, RetrieverError> = retriever
            .ops
            .pool()
            .install(|| piece.par_iter().map(|text| tokenize_one(retriever, side, text)).collect());
        tokens.extend(ids?);
        tell(observe, Progress::Advanced(piece.len() as u64))?;
    }
    tell(observe, Progress::StageDone)?;
    Ok(tokens)
}
