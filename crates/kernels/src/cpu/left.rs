//! The left operand of a product: words where they lie, as rows or as columns.

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
}
