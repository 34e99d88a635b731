//! A matrix cut into ranges of columns that threads may write at the same time.

use std::marker::PhantomData;
use std::slice;

/// Neighbouring columns of neighbouring rows of a row-major matrix, exclusively borrowed.
pub(super) struct Columns<'a> {
    start: *mut f32,
    rows: usize,
    stride: usize,
    width: usize,
    matrix: PhantomData<&'a mut [f32]>,
}

// SAFETY: it is an exclusive borrow of its elements, as `&mut [f32]` is.
unsafe impl Send for Columns<'_> {}

impl<'a> Columns<'a> {
    /// Cuts a matrix of rows of `stride` elements every `width` columns; the last range may be narrower.
    pub(super) fn split(matrix: &'a mut [f32], stride: usize, width: usize) -> impl Iterator<Item = Self> {
        let (rows, start) = (matrix.len() / stride.max(1), matrix.as_mut_ptr());
        (0..stride).step_by(width.max(1)).map(move |column| Self {
            // Only reached for columns below `stride`; an empty matrix is never dereferenced.
            start: start.wrapping_add(column),
            rows,
            stride,
            width: width.min(stride - column),
            matrix: PhantomData,
        })
    }

    /// Cuts them every `height` rows; the last block may be lower.
    pub(super) fn blocks(self, height: usize) -> impl Iterator<Item = Self> {
        let Self { start, rows, stride, width, matrix } = self;
        (0..rows).step_by(height).map(move |row| Self {
            start: start.wrapping_add(row * stride),
            rows: height.min(rows - row),
            stride,
            width,
            matrix,
        })
    }

    /// The columns of one row.
    pub(super) fn row(&mut self, row: usize) -> &mut [f32] {
        assert!(row < self.rows, "row {row} of {}", self.rows);
        // SAFETY: the elements lie inside the matrix (`row < rows` and the range ends at most at `stride`); ranges of
        // one matrix do not overlap, and the borrow of `self` is exclusive.
        unsafe { slice::from_raw_parts_mut(self.start.add(row * self.stride), self.width) }
    }
}
