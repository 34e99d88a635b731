//! How the documents are cut: by their shape alone.

use std::ops::Range;

use crate::kernel::MOST_ROWS;

/// Bytes of documents that are scored against every panel of a piece before the next are read: a part of the
/// second-level cache, the rest of which the panels need.
const TILE_BYTES: usize = 128 * 1024;

/// Tiles that a worker takes at once.
const TILES_A_SPAN: usize = 4;

/// The documents in tiles, and the tiles in spans.
pub(super) struct Tiles {
    documents: usize,
    rows_a_tile: usize,
}

impl Tiles {
    /// Cuts documents that take so many bytes each while they are scored.
    pub(super) fn new(documents: usize, bytes_a_row: usize) -> Self {
        let rows = TILE_BYTES / bytes_a_row;
        Self { documents, rows_a_tile: (rows / MOST_ROWS).max(1) * MOST_ROWS }
    }

    /// Number of spans.
    pub(super) fn spans(&self) -> usize {
        self.documents.div_ceil(self.rows_a_tile * TILES_A_SPAN)
    }

    /// The tiles of a span.
    pub(super) fn of_span(&self, span: usize) -> impl Iterator<Item = Range<usize>> {
        let (rows, rows_a_span) = (self.rows_a_tile, self.rows_a_tile * TILES_A_SPAN);
        let Range { start, end } = span * rows_a_span..((span + 1) * rows_a_span).min(self.documents);
        (start..end).step_by(rows).map(move |first| first..(first + rows).min(end))
    }
}
