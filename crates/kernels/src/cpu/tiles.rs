//! Results of products cut into tiles that stay in the second cache until they are finished.
//!
//! Sums go where the result is. What is done with them (a bias, an activation) is the caller's, row by row, while they
//! are still near.

use super::Cpu;
use super::columns::Columns;
use super::lanes::LANES;

/// Rows of a tile: a multiple of what every level holds in registers, few enough that a chunk of the left operand and
/// the sums share the second cache.
pub(super) const ROWS: usize = 96;

/// Columns of a tile, when there are rows enough to go round.
const COLUMNS: usize = 384;

/// The least columns of a tile.
const FEWEST_COLUMNS: usize = 64;

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

/// Every tile of a product `[m, k] · [k, n]`: `sum` writes its sums to its piece of the first of `targets`, which are
/// `[m, n]`; then each row of the tile goes to `finish`, with the row and the column that it starts at, as that piece of
/// the row of each of them.
pub(super) fn each_tile<const N: usize>(
    cpu: &Cpu,
    [m, n, k]: [usize; 3],
    targets: [&mut [f32]; N],
    sum: impl Fn(Tile, &mut Columns<'_>) + Send + Sync,
    finish: impl Fn([usize; 2], [&mut [f32]; N]) + Send + Sync,
) {
    let width = tile_columns(m, n);
    let mut targets = targets.map(|target| cut(&mut target[..m * n], n, width));
    let work = places([m, n], width)
        .map(|tile| (tile, targets.each_mut().map(|tiles| tiles.next().expect("a tile a place"))));
    cpu.each(m * n * k / 16, work, |(tile, mut targets)| {
        sum(tile, &mut targets[0]);
        for row in 0..tile.rows {
            finish([tile.row + row, tile.column], targets.each_mut().map(|target| target.row(row)));
        }
    });
}

/// Columns of a tile of a result with `m` rows and `n` columns; it depends on the shape alone.
fn tile_columns(m: usize, n: usize) -> usize {
    let blocks = TILES.div_ceil(m.div_ceil(ROWS).max(1));
    n.div_ceil(blocks).next_multiple_of(2 * LANES).clamp(FEWEST_COLUMNS, COLUMNS)
}

/// Cuts a row-major matrix of `n` columns into tiles, in their order.
fn cut(matrix: &mut [f32], n: usize, width: usize) -> impl Iterator<Item = Columns<'_>> {
    Columns::split(matrix, n, width).flat_map(|columns| columns.blocks(ROWS))
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
