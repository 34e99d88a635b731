//! Results of products cut into tiles that stay in the second cache until they are finished.

use super::Cpu;
use super::columns::Columns;
use super::form::Form;
use super::lanes::LANES;
use super::packing::Rows;

/// Rows of a tile: a multiple of what every level holds in registers, few enough that a chunk of the left operand and
/// the sums share the second cache.
pub(super) const ROWS: usize = 96;

/// Columns of a tile, when there are rows enough to go round.
pub(super) const COLUMNS: usize = 384;

/// The least columns of a tile.
const FEWEST_COLUMNS: usize = 64;

/// The least rows of a block: what AVX-512's registers hold.
const FEWEST_ROWS: usize = 12;

/// Tiles below which the columns are cut finer, so that threads share short batches.
const TILES: usize = 16;

/// A piece of a product's result.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tile {
    /// The first row.
    pub(super) row: usize,
    /// The first column, which begins a panel.
    pub(super) column: usize,
    /// Number of rows.
    pub(super) rows: usize,
    /// Number of columns.
    pub(super) columns: usize,
}

impl Tile {
    /// Elements from row to row of its sums in memory of their own: whole panels.
    pub(super) fn stride(self) -> usize {
        self.columns.next_multiple_of(LANES)
    }

    /// Such sums as rows.
    pub(super) fn sums(self, sums: &[f32]) -> Rows<'_> {
        Rows { values: sums, stride: self.stride(), columns: self.columns }
    }
}

/// A matrix that is cut as a product's result is. A tile's rows and columns are whole words of any form: it begins at
/// multiples of [`ROWS`] and of two panels.
pub(super) struct Target<'a> {
    values: &'a mut [f32],
    /// How many rows and columns of the result one of its own stands for.
    of: [usize; 2],
}

impl<'a> Target<'a> {
    /// `[m, n]`.
    pub(super) fn result(values: &'a mut [f32]) -> Self {
        Self { values, of: [1, 1] }
    }

    /// `[m, words]`: words along the result's rows.
    pub(super) fn along(values: &'a mut [f32], form: Form) -> Self {
        Self { values, of: [1, form.numbers()] }
    }

    /// `[words, n]`: words across them.
    pub(super) fn across(values: &'a mut [f32], form: Form) -> Self {
        Self { values, of: [form.numbers(), 1] }
    }

    /// `[tiles, n]`: a row for each row of tiles.
    pub(super) fn slots(values: &'a mut [f32]) -> Self {
        Self { values, of: [ROWS, 1] }
    }

    /// Cuts it into its pieces of tiles, in their order.
    fn cut(self, [m, n]: [usize; 2], width: usize) -> impl Iterator<Item = Columns<'a>> {
        let Self { values, of: [rows, columns] } = self;
        let stride = n.div_ceil(columns);
        Columns::split(&mut values[..m.div_ceil(rows) * stride], stride, width / columns)
            .flat_map(move |range| range.blocks(ROWS / rows))
    }
}

/// Every tile of a product `[m, k] · [k, n]`, with its pieces of `targets`.
pub(super) fn each_tile<const N: usize>(
    cpu: &Cpu,
    [m, n, k]: [usize; 3],
    targets: [Target<'_>; N],
    work: impl Fn(Tile, [Columns<'_>; N]) + Send + Sync,
) {
    let width = tile_columns(m, n);
    let mut targets = targets.map(|target| target.cut([m, n], width));
    let tiles = places([m, n], width)
        .map(|tile| (tile, targets.each_mut().map(|pieces| pieces.next().expect("a piece a tile"))));
    cpu.each(m * n * k / 16, tiles, |(tile, targets)| work(tile, targets));
}

/// Rows of a block of whole rows of a result with `m` rows, unless these are too few to go round; it depends on the shape
/// alone.
pub(super) fn block_rows(m: usize) -> Option<usize> {
    (m >= TILES * FEWEST_ROWS).then(|| m.div_ceil(TILES).next_multiple_of(FEWEST_ROWS).min(ROWS))
}

/// Columns of a tile of a result with `m` rows and `n` columns; it depends on the shape alone.
fn tile_columns(m: usize, n: usize) -> usize {
    let blocks = TILES.div_ceil(m.div_ceil(ROWS).max(1));
    n.div_ceil(blocks).next_multiple_of(2 * LANES).clamp(FEWEST_COLUMNS, COLUMNS)
}

/// Where the tiles are, in their order: a weight's panels meet all rows before the next panels do, since they are the
/// larger operand of a tile.
fn places([m, n]: [usize; 2], width: usize) -> impl Iterator<Item = Tile> {
    (0..n).step_by(width).flat_map(move |column| {
        (0..m).step_by(ROWS).map(move |row| Tile {
            row,
            column,
            rows: ROWS.min(m - row),
            columns: width.min(n - column),
        })
    })
}
