//! How the right operand of a product lies in memory: panels of columns.

use std::array;

use super::columns::Columns;
use super::form::Form;
use super::lanes::{LANES, Lanes};
use super::left::Left;
use super::level::multiversion;
use super::squares::{prefetch, transpose};

/// Panels that hold `columns` columns.
pub(super) fn panels(columns: usize) -> usize {
    columns.div_ceil(LANES)
}

/// The right operand of a product: panels of [`LANES`] columns, of which some rows take part.
#[derive(Clone, Copy)]
pub(super) struct Panels<'a> {
    values: &'a [f32],
    form: Form,
    /// Rows of a panel in memory.
    height: usize,
    /// The first row that takes part, and how many do.
    range: [usize; 2],
}

impl<'a> Panels<'a> {
    /// Packed panels of `height` rows of words.
    pub(super) fn new(form: Form, values: &'a [f32], height: usize) -> Self {
        Self { values, form, height, range: [0, height] }
    }

    /// What the words hold.
    pub(super) fn form(self) -> Form {
        self.form
    }

    /// `depth` of their rows, from `first`.
    pub(super) fn rows(self, first: usize, depth: usize) -> Self {
        Self { range: [first, depth], ..self }
    }

    /// `n` panels, from `first`.
    pub(super) fn slice(self, first: usize, n: usize) -> Self {
        let panel = self.height * LANES;
        Self { values: &self.values[first * panel..][..n * panel], ..self }
    }

    /// Rows that take part.
    pub(super) fn depth(self) -> usize {
        self.range[1]
    }

    /// Rows of a panel in memory, which is how many sixteens lie from panel to panel.
    pub(super) fn height(self) -> usize {
        self.height
    }

    /// The first row that takes part of the first panel, and what follows it.
    pub(super) fn start(self) -> &'a [Lanes] {
        &self.values.as_chunks().0[self.range[0]..]
    }

    #[inline(always)]
    pub(super) fn len(self) -> usize {
        self.values.len() / (self.height * LANES)
    }

    /// The rows of a panel that take part.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    pub(super) fn get(self, panel: usize) -> &'a [Lanes] {
        let [first, depth] = self.range;
        &self.values.as_chunks().0[panel * self.height + first..][..depth]
    }
}

/// Rows at `stride` from each other, of which `columns` columns count.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub(super) values: &'a [f32],
    pub(super) stride: usize,
    pub(super) columns: usize,
}

impl<'a> Rows<'a> {
    /// The same rows as the left operand of a product.
    pub(super) fn left(self) -> Left<'a> {
        Left::rows(self.values, self.stride)
    }

    /// Their transpose as the left operand of a product.
    pub(super) fn transposed(self) -> Left<'a> {
        Left::columns(self.values, self.stride)
    }

    /// The same rows without the first `rows`.
    pub(super) fn from(self, rows: usize) -> Self {
        Self { values: &self.values[rows * self.stride..], ..self }
    }

    /// The columns of one row that count.
    pub(super) fn row(self, row: usize) -> &'a [f32] {
        &self.values[row * self.stride..][..self.columns]
    }
}

multiversion! {
    /// Packs `n` rows as they are, into `n` rows of every panel; a panel is a row of `packed`.
    pub(super) fn pack(rows: Rows<'_>, n: usize, packed: &mut Columns<'_>) {
        for (panel, first) in (0..rows.columns).step_by(LANES).enumerate() {
            let width = LANES.min(rows.columns - first);
            let packed = &mut packed.row(panel).as_chunks_mut::<LANES>().0[..n];
            for (row, to) in packed.iter_mut().enumerate() {
                let from = &rows.values[row * rows.stride + first..][..width];
                if let Some(from) = from.first_chunk::<LANES>() {
                    *to = *from;
                } else {
                    *to = array::from_fn(|column| from.get(column).copied().unwrap_or(0.0));
                }
            }
        }
    }
}

multiversion! {
    /// Packs the transpose of `n` rows: sixteen rows are a panel.
    pub(super) fn pack_transposed(rows: Rows<'_>, n: usize, packed: &mut [f32]) {
        let packed = packed.as_chunks_mut::<LANES>().0;
        for (panel, packed) in packed.chunks_exact_mut(rows.columns).enumerate() {
            let first = panel * LANES;
            let height = LANES.min(n - first);
            if height == LANES {
                transpose_sixteen(rows.from(first), packed);
            } else {
                packed.fill([0.0; LANES]);
                for lane in 0..height {
                    for (to, x) in packed.iter_mut().zip(rows.row(first + lane)) {
                        to[lane] = *x;
                    }
                }
            }
        }
    }
}

/// Sixteen rows as columns, four by four.
#[inline(always)]
fn transpose_sixteen(rows: Rows<'_>, packed: &mut [Lanes]) {
    let (squares, rest) = packed.as_chunks_mut::<4>();
    let whole = 4 * squares.len();
    for row in (0..LANES).step_by(4) {
        let (a, b) = (rows.row(row).as_chunks().0, rows.row(row + 1).as_chunks().0);
        let (c, d) = (rows.row(row + 2).as_chunks().0, rows.row(row + 3).as_chunks().0);
        let next = rows.values.as_ptr().wrapping_add((row + 4) * rows.stride);
        for (place, ((((to, a), b), c), d)) in squares.iter_mut().zip(a).zip(b).zip(c).zip(d).enumerate() {
            // Four squares of four rows are as many cache lines: a square asks for one of the next four rows'.
            prefetch(next.wrapping_add(place % 4 * rows.stride + place / 4 * LANES));
            let columns = transpose([*a, *b, *c, *d]);
            for (to, column) in to.iter_mut().zip(columns) {
                to[row..row + 4].copy_from_slice(&column);
            }
        }
    }
    for lane in 0..LANES {
        for (to, x) in rest.iter_mut().zip(&rows.row(lane)[whole..]) {
            to[lane] = *x;
        }
    }
}
