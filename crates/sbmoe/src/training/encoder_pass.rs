//! Token ids through the encoder, batch by batch: what a frozen encoder and a comparison with it need.

use anyhow::Result;
use sbmoe_kernels::Cpu;
use sbmoe_model::retriever::Retriever;

use super::progress::{Observer, Progress, tell};

/// Tokens of a batch through the encoder: large enough for full speed, small enough for the caches.
const BATCH_TOKENS: usize = 8192;

/// Hands the pooled vectors of `texts`, the first `done` excepted, to `sink` batch by batch, `[batch, hidden]` each.
///
/// Batches follow from the texts alone: going on at the beginning of one makes the same batches as never stopping.
pub(super) fn encode(
    retriever: &Retriever<Cpu>,
    texts: &[Vec<u32>],
    (name, done): (&str, usize),
    observe: &mut Observer<'_>,
    sink: &mut dyn FnMut(Vec<f32>) -> Result<()>,
) -> Result<()> {
    tell(observe, Progress::Stage { name: name.to_owned(), total: texts.len() as u64, done: done as u64 })?;
    let mut rest = &texts[done..];
    while !rest.is_empty() {
        let mut held = 0;
        let fits = rest.iter().take_while(|text| {
            held += text.len();
            held <= BATCH_TOKENS
        });
        let (batch, after) = rest.split_at(fits.count().max(1));
        sink(retriever.pooled(batch))?;
        rest = after;
        tell(observe, Progress::Advanced(batch.len() as u64))?;
    }
    tell(observe, Progress::StageDone)
}
