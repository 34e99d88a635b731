//! The left operand of a product: words where they lie, or packed into panels of rows.

use super::level::Level;
use super::packing::rows_of;

/// The left operand of a product.
#[derive(Clone, Copy)]
pub(super) struct Left<'a> {
    pub(super) values: &'a [f32],
    pub(super) layout: Layout,
}

/// Where the element of a row and an inner index lies.
#[derive(Clone, Copy)]
pub(super) enum Layout {
    /// Rows at this distance from each other.
    Rows(usize),
    /// Inner indices at this distance from each other, the rows of each side by side.
    Columns(usize),
    /// As columns, for as many rows at a time as the registers hold; a panel has this many inner indices in memory.
    Panels(usize),
}

impl<'a> Left<'a> {
    /// Rows that lie `stride` elements apart.
    pub(super) fn rows(values: &'a [f32], stride: usize) -> Self {
        Self { values, layout: Layout::Rows(stride) }
    }

    /// The transpose of rows that lie `stride` elements apart.
    pub(super) fn columns(values: &'a [f32], stride: usize) -> Self {
        Self { values, layout: Layout::Columns(stride) }
    }

    /// What [`pack_columns`](super::packing::pack_columns) wrote for an inner index of `depth`: rows from `row`, which
    /// begins a panel, and inner indices from `first`.
    pub(super) fn panels(level: Level, packed: &'a [f32], depth: usize, row: usize, first: usize) -> Self {
        let height = rows_of(level);
        debug_assert!(row.is_multiple_of(height), "row {row} lies inside a panel of {height}");
        Self { values: &packed[row * depth + first * height..], layout: Layout::Panels(depth) }
    }
}
