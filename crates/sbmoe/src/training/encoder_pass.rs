//! Token ids through the encoder, batch by batch: what a frozen encoder and a comparison with it need.

use anyhow::Result;
use sbmoe_kernels::Cpu;
use sbmoe_model::retriever::Retriever;

use super::progress::{Observer, Progress, tell};
use crate::encoding::token_batches;

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
    for batch in token_batches(&texts[done..]) {
        sink(retriever.pooled(batch))?;
        tell(observe, Progress::Advanced(batch.len() as u64))?;
    }
    tell(observe, Progress::StageDone)
}
