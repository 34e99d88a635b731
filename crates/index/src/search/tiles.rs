//! How the documents are cut: by their shape alone.

use std::ops::Range;

use crate::kernel::MOST_ROWS;

/// Bytes of documents that are scored against every panel of a piece before the next are read: a part of the
/// second-level cache, the rest of which the panels need.
const TILE_BYTES: usize = 128 * 1024;

/// Tiles that a worker takes at once.
const TILES_A_SPAN: usize = 4;

/// The documents' vectors in tiles, and the tiles in spans.
pub(super) struct Tiles<'a> {
    vectors: &'a [f32],
    dim: usize,
    rows_a_tile: usize,
}

impl<'a> Tiles<'a> {
    pub(super) fn new(vectors: &'a [f32], dim: usize) -> Self {
        let rows = TILE_BYTES / (dim * size_of::<f32>());
        Self { vectors, dim, rows_a_tile: (rows / MOST_ROWS).max(1) * MOST_ROWS }
    }

    /// Numbers a vector.
    pub(super) fn dim(&self) -> usize {
        self.dim
    }

    /// Number of spans.
    pub(super) fn spans(&self) -> usize {
        self.documents().div_ceil(self.rows_a_tile * TILES_A_SPAN)
    }

    /// The tiles of a span: each one's first document and its vectors.
    pub(super) fn of_span(&self, span: usize) -> impl Iterator<Item = (usize, &'a [f32])> {
        let rows_a_span = self.rows_a_tile * TILES_A_SPAN;
        let Range { start, end } = span * rows_a_span..((span + 1) * rows_a_span).min(self.documents());
        (start..end).step_by(self.rows_a_tile).map(move |first| {
            let last = (first + self.rows_a_tile).min(end);
            (first, &self.vectors[first * self.dim..last * self.dim])
        })
    }

    fn documents(&self) -> usize {
        self.vectors.len() / self.dim
    }
}
