//! Vectors searched by their f32 rows alone.

use std::ops::Range;

use rayon::ThreadPool;

use crate::error::IndexError;
use crate::hit::{DocOrdinal, Hit};
use crate::kernel::rounded::has_pairs_of_integers;
use crate::level::SimdLevel;
use crate::store::{Search, Store};

use super::estimates::Int16;
use super::panel::{Panel, pack};
use super::sift::{BATCH, sift};
use super::tiles::Tiles;
use super::worker::Worker;
use super::{Fault, Scan, answer, run};

/// Vectors searched exactly.
///
/// A batch of queries has its scores estimated from rows rounded to sixteen bits, where the processor multiplies
/// pairs of them (AVX512-VNNI, AVX-VNNI), and those that may be among the best computed: the hits, their scores and their
/// order are the same bits.
#[derive(Clone, Copy, Debug)]
pub struct Exact<'a> {
    vectors: &'a [f32],
    dim: usize,
    level: SimdLevel,
}

impl<'a> Exact<'a> {
    /// A store over `vectors`, `[documents, dim]`, such as [`Vectors::as_slice`](crate::Vectors::as_slice) gives
    /// them.
    ///
    /// # Errors
    /// `vectors` is not a whole number of rows, or of more than there are ordinals, or `dim` is 0.
    pub fn new(vectors: &'a [f32], dim: usize, level: SimdLevel) -> Result<Self, IndexError> {
        if dim == 0 {
            return Err(IndexError::ZeroDimension);
        }
        if !vectors.len().is_multiple_of(dim) {
            return Err(IndexError::RowLength { columns: dim, received: vectors.len() });
        }
        check_ordinals(vectors.len() / dim)?;
        Ok(Self { vectors, dim, level })
    }

    /// All vectors, `[documents, dim]`.
    pub(super) fn vectors(&self) -> &'a [f32] {
        self.vectors
    }

    /// The hits of at most a block of queries, every score computed in f32.
    pub(super) fn scan_all(
        &self,
        search: &Search<'_>,
        first_query: usize,
    ) -> Result<Vec<Vec<Hit>>, IndexError> {
        // A scan of everything never gives up.
        Ok(answer(self, search, first_query)?.unwrap_or_default())
    }

    /// The instructions chosen, which the processor has.
    pub(super) fn level(&self) -> SimdLevel {
        self.level
    }
}

/// Refuses more documents than there are ordinals.
fn check_ordinals(documents: usize) -> Result<(), IndexError> {
    let most = u64::from(DocOrdinal::MAX) + 1;
    if documents as u64 > most {
        return Err(IndexError::TooManyDocuments { documents, most });
    }
    Ok(())
}

impl Store for Exact<'_> {
    fn dim(&self) -> usize {
        self.dim
    }

    fn len(&self) -> usize {
        self.vectors.len() / self.dim
    }

    fn search(&self, search: &Search<'_>, pool: &ThreadPool) -> Result<Vec<Vec<Hit>>, IndexError> {
        run(self, search, pool, |block, first_query| {
            let queries = block.queries.len() / self.dim;
            if queries < BATCH || !has_pairs_of_integers(self.level) {
                return self.scan_all(block, first_query);
            }
            let estimates = Int16 { vectors: self.vectors, dim: self.dim, level: self.level };
            Ok(sift(self, &estimates, block, first_query)?.0)
        })
    }
}

impl Scan for Exact<'_> {
    type Panel = Panel;
    type Worker = Worker;

    fn exact(&self) -> &Exact<'_> {
        self
    }

    fn tiles(&self) -> Tiles {
        Tiles::new(self.len(), self.dim * size_of::<f32>())
    }

    fn pack(&self, queries: &[f32]) -> Vec<Panel> {
        pack(queries, self.dim, self.level)
    }

    fn worker(&self, queries: usize) -> Worker {
        Worker::new(queries)
    }

    fn scan(&self, worker: &mut Worker, tile: Range<usize>, panels: &[Panel], search: &Search<'_>) {
        let vectors = &self.vectors[tile.start * self.dim..tile.end * self.dim];
        for panel in panels {
            worker.scan(tile.start, vectors, self.dim, panel, search);
        }
    }

    fn fault(worker: &Worker) -> Option<Fault> {
        worker.fault()
    }

    fn merge(
        &self,
        workers: &[Worker],
        _panels: &[Panel],
        query: usize,
        search: &Search<'_>,
    ) -> (Vec<Hit>, Option<Fault>) {
        (Worker::merge(workers, query, search), None)
    }
}

#[cfg(test)]
#[cfg(target_pointer_width = "64")]
mod tests {
    use super::*;

    #[test]
    fn more_documents_than_ordinals_are_refused() {
        assert!(check_ordinals(1 << 32).is_ok());
        let message = check_ordinals((1 << 32) + 1).unwrap_err().to_string();
        assert!(message.starts_with("4294967297 documents"), "{message}");
    }
}
