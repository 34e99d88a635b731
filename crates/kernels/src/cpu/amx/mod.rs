//! AMX, by which Intel's Xeons multiply tiles: sixteen rows of sixteen words by sixteen words of a panel.
//!
//! Of the eight tiles four hold sums (32 rows by two panels), two words of the left operand, and two words of the right
//! one, whose panels need no other layout: sixteen of their rows are a tile.
//!
//! Sums are added in the order of the inner index, sixteen words an instruction, which takes numbers of bf16 below 2⁻¹²⁶
//! for zero.

mod block;
mod state;

use std::cell::RefCell;

use self::block::{ADD, TALL, WIDE, Words, bf16, bytes};
use self::state::Tiles;
use super::columns::Columns;
use super::form::Form;
use super::lanes::LANES;
use super::left::{Layout, Left};
use super::level::{Level, LevelKind};
use super::packing::{Panels, Rows, pack_transposed};

pub(super) use state::is_available;

/// Rows of a tile, and words of the inner index.
const SIDE: usize = 16;

/// Rows whose sums the tiles hold.
const ROWS: usize = 2 * SIDE;

/// [`multiply`](super::block::multiply) at the level that has tiles, of bf16 or bytes.
pub(super) fn multiply(
    level: Level,
    left: Left<'_>,
    n: usize,
    right: Panels<'_>,
    accumulate: bool,
    out: &mut Columns<'_>,
) {
    assert_eq!(level.kind(), LevelKind::Amx, "the level that has tiles");
    let depth = right.depth();
    if depth == 0 || n == 0 {
        return;
    }
    if out.width() < right.len() * LANES {
        return SUMS.with_borrow_mut(|sums| through(level, sums, left, n, right, accumulate, out));
    }
    match left.layout {
        Layout::Rows(stride_of_left) => {
            assert!(left.values.len() >= (n - 1) * stride_of_left + depth, "{n} rows of {depth} words");
            let words = Words { start: left.values.as_ptr(), row: 4 * stride_of_left, tile: 4 * SIDE };
            // SAFETY: no processor without tiles has this level; the operand's places were looked at.
            unsafe { in_tiles(words, n, right, accumulate, out) };
        }
        Layout::Columns(stride_of_left) => ROOM.with_borrow_mut(|room| {
            // Packed as if it were a right operand, sixteen inner words of a row are a row of a tile.
            let rows = Rows { values: left.values, stride: stride_of_left, columns: n };
            room.resize(depth.next_multiple_of(SIDE) * n, 0.0);
            pack_transposed(level, rows, depth, room);
            let words = Words { start: room.as_ptr(), row: 4 * SIDE, tile: 4 * SIDE * n };
            // SAFETY: as above.
            unsafe { in_tiles(words, n, right, accumulate, out) };
        }),
    }
}

thread_local! {
    /// The words of a transposed left operand.
    static ROOM: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
    /// Sums by whole panels.
    static SUMS: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// [`multiply`] where rows of `out` end inside the last panel: tiles are stored whole.
fn through(
    level: Level,
    sums: &mut Vec<f32>,
    left: Left<'_>,
    n: usize,
    right: Panels<'_>,
    accumulate: bool,
    out: &mut Columns<'_>,
) {
    let (width, stride) = (out.width(), right.len() * LANES);
    sums.resize(n * stride, 0.0);
    if accumulate {
        for (row, sums) in sums.chunks_exact_mut(stride).enumerate() {
            sums[..width].copy_from_slice(out.row(row));
        }
    }
    multiply(level, left, n, right, accumulate, &mut Columns::whole(sums, stride));
    for (row, sums) in sums.chunks_exact(stride).enumerate() {
        out.row(row).copy_from_slice(&sums[..width]);
    }
}

/// # Safety
/// The processor has tiles, and `left` has `n` rows as deep as the panels.
unsafe fn in_tiles(left: Words, n: usize, right: Panels<'_>, accumulate: bool, out: &mut Columns<'_>) {
    let (panels, depth) = (right.len(), right.depth());
    let out = out.place(n, panels);
    assert!(out.holds(panels), "whole panels");
    let block = match right.form() {
        Form::Bytes => bytes,
        _ => bf16,
    };
    let (whole, whole_rows) = (depth / SIDE * SIDE, n / ROWS * ROWS);
    for (first, words, tiles) in [(0, SIDE, depth / SIDE), (whole, depth - whole, 1)] {
        let add = if accumulate || first > 0 { ADD } else { 0 };
        for (start, end) in [(0, whole_rows), (whole_rows, n)] {
            if words * tiles == 0 || start == end {
                continue;
            }
            let rows = ROWS.min(end - start);
            let tall = if rows > SIDE { TALL } else { 0 };
            // SAFETY: the caller's word; a block's rows and panels are below those that were looked at.
            unsafe {
                let _tiles = Tiles::shaped(rows, words);
                for panel in (0..panels).step_by(2) {
                    let wide = if panel + 1 < panels { WIDE } else { 0 };
                    let right =
                        [panel, (panel + 1).min(panels - 1)].map(|panel| right.get(panel)[first..].as_ptr());
                    for row in (start..end).step_by(ROWS) {
                        let out = out.from(row, panel);
                        block(
                            left.at(row, first),
                            right,
                            tiles,
                            out.start,
                            4 * out.stride,
                            tall | wide | add,
                        );
                    }
                }
            }
        }
    }
}
