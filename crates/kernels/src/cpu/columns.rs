//! A matrix cut into ranges of columns that threads may write at the same time, and where in them sums go.

use std::marker::PhantomData;
use std::slice;

use super::lanes::{LANES, Lanes};
use super::squares::prefetch;

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
    /// All columns of a matrix of rows of `stride` elements.
    pub(super) fn whole(matrix: &'a mut [f32], stride: usize) -> Self {
        let (rows, start) = (matrix.len() / stride.max(1), matrix.as_mut_ptr());
        Self { start, rows, stride, width: stride, matrix: PhantomData }
    }

    /// Cuts a matrix of rows of `stride` elements every `width` columns; the last range may be narrower.
    pub(super) fn split(matrix: &'a mut [f32], stride: usize, width: usize) -> impl Iterator<Item = Self> {
        let whole = Self::whole(matrix, stride);
        (0..stride).step_by(width.max(1)).map(move |column| Self {
            // Only reached for columns below `stride`; an empty matrix is never dereferenced.
            start: whole.start.wrapping_add(column),
            width: width.min(stride - column),
            ..whole
        })
    }

    /// Cuts them every `height` rows; the last block may be lower.
    pub(super) fn blocks(self, height: usize) -> impl Iterator<Item = Self> {
        (0..self.rows).step_by(height).map(move |row| Self {
            start: self.start.wrapping_add(row * self.stride),
            rows: height.min(self.rows - row),
            ..self
        })
    }

    /// Number of columns.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// Where the sums of `n` rows by some panels go: all of the columns, or as many as the panels have.
    pub(super) fn place(&mut self, n: usize, panels: usize) -> Place {
        assert!(n <= self.rows && panels * LANES < self.width + LANES, "{n} rows of {panels} panels");
        Place { start: self.start, stride: self.stride, columns: self.width.min(panels * LANES) }
    }

    /// Asks for the cache lines of a row that is written soon: a store that misses waits as a load does.
    pub(super) fn ask(&self, row: usize) {
        let start = self.start.wrapping_add(row * self.stride);
        (0..self.width).step_by(LANES).for_each(|column| prefetch(start.wrapping_add(column)));
    }

    /// The columns of one row.
    pub(super) fn row(&mut self, row: usize) -> &mut [f32] {
        assert!(row < self.rows, "row {row} of {}", self.rows);
        // SAFETY: the elements lie inside the matrix (`row < rows` and the range ends at most at `stride`); ranges of
        // one matrix do not overlap, and the borrow of `self` is exclusive.
        unsafe { slice::from_raw_parts_mut(self.start.add(row * self.stride), self.width) }
    }
}

/// Where the sums of rows by panels go, without the borrow: what is made of [`Columns::place`].
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) start: *mut f32,
    /// Elements from row to row.
    pub(super) stride: usize,
    /// Columns that count: fewer than the panels have where the last one ends inside a matrix's row.
    columns: usize,
}

impl Place {
    /// The same without the first rows and panels.
    #[inline(always)]
    pub(super) fn from(self, row: usize, panel: usize) -> Self {
        let start = self.start.wrapping_add(row * self.stride + panel * LANES);
        Self { start, columns: self.columns - panel * LANES, ..self }
    }

    /// Whether panels end where the columns do, or before.
    #[inline(always)]
    pub(super) fn holds(self, panels: usize) -> bool {
        panels * LANES <= self.columns
    }

    /// Asks for a cache line of each panel of each row.
    #[inline(always)]
    pub(super) fn ask(self, rows: usize, panels: usize) {
        for row in 0..rows {
            for panel in 0..panels {
                prefetch(self.start.wrapping_add(row * self.stride + panel * LANES));
            }
        }
    }

    /// Sixteen elements.
    ///
    /// # Safety
    /// They are within what the place was made of, which nobody else reads or writes, and all of them count.
    #[inline(always)]
    pub(super) unsafe fn lanes<'a>(self, row: usize, panel: usize) -> &'a mut Lanes {
        // SAFETY: the caller's word; lanes are aligned as their elements are.
        unsafe { &mut *self.start.add(row * self.stride + panel * LANES).cast() }
    }

    /// What is left of a row's columns from a panel on.
    ///
    /// # Safety
    /// As for [`Place::lanes`], for those columns.
    #[inline(always)]
    pub(super) unsafe fn last<'a>(self, row: usize, panel: usize) -> &'a mut [f32] {
        let (start, columns) = (row * self.stride + panel * LANES, self.columns - panel * LANES);
        // SAFETY: the caller's word.
        unsafe { slice::from_raw_parts_mut(self.start.add(start), columns) }
    }
}
