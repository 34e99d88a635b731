//! Vectors searched by their f32 rows alone.

use std::ops::Range;

use rayon::ThreadPool;

use crate::error::IndexError;
use crate::hit::Hit;
use crate::level::SimdLevel;
use crate::store::{Search, Store};

use super::panel::{Panel, pack};
use super::tiles::Tiles;
use super::worker::Worker;
use super::{Fault, Scan, run};

/// Vectors searched exactly.
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
    /// `vectors` is not a whole number of rows, `dim` is 0, or the processor lacks the instructions of `level`.
    pub fn new(vectors: &'a [f32], dim: usize, level: SimdLevel) -> Result<Self, IndexError> {
        if dim == 0 {
            return Err(IndexError::ZeroDimension);
        }
        if !vectors.len().is_multiple_of(dim) {
            return Err(IndexError::RowLength { columns: dim, received: vectors.len() });
        }
        if !level.is_available() {
            return Err(IndexError::LevelUnavailable { level: level.name(), best: SimdLevel::best().name() });
        }
        Ok(Self { vectors, dim, level })
    }

    /// All vectors, `[documents, dim]`.
    pub(super) fn vectors(&self) -> &'a [f32] {
        self.vectors
    }

    /// The instructions chosen, which the processor has.
    pub(super) fn level(&self) -> SimdLevel {
        self.level
    }
}

impl Store for Exact<'_> {
    fn dim(&self) -> usize {
        self.dim
    }

    fn len(&self) -> usize {
        self.vectors.len() / self.dim
    }

    fn search(&self, search: &Search<'_>, pool: &ThreadPool) -> Result<Vec<Vec<Hit>>, IndexError> {
        run(self, search, pool)
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

    fn merge(&self, workers: &[Worker], query: usize, search: &Search<'_>) -> (Vec<Hit>, Option<Fault>) {
        (Worker::merge(workers, query, search), None)
    }
}
