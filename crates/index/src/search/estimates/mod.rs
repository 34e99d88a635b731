//! Estimates of scores: how rows and queries are laid out for them, and which kernel reads them.
//!
//! [`Int8`] and [`Bf16`] read a copy that was rounded once; [`Int16`] rounds the f32 rows of a tile when it comes to
//! it.

mod bf16;
mod int16;
mod int8;

use std::ops::Range;

use crate::kernel::rounded::PANEL_WIDTH;
use crate::rounded::bound::{QueryBound, RowBound};
use crate::rounded::int16::pair;

pub(super) use self::bf16::Bf16;
pub(super) use self::int8::Int8;
pub(super) use self::int16::Int16;

/// Rows from which scores are estimated.
pub(super) trait Estimates: Sync {
    /// Queries, laid out.
    type Panel: Sync;
    /// What is made of a tile's rows before panels meet them.
    type Ready: Default + Send + Sync;

    /// Bytes that a document takes in a tile.
    fn bytes_a_row(&self) -> usize;

    /// How many of `left` queries, 1 or more, the next panel takes.
    fn width(&self, left: usize) -> usize;

    /// Lays out at most `width` queries, `[queries, dim]`, and bounds each.
    fn pack(&self, queries: &[f32], width: usize) -> (Self::Panel, Vec<QueryBound>);

    /// Makes a tile ready for panels of more than one query.
    fn ready(&self, tile: Range<usize>, ready: &mut Self::Ready);

    /// The bounds of some rows, which are `within` the tile that begins with the document `first`.
    fn bounds<'a>(
        &'a self,
        first: usize,
        within: Range<usize>,
        ready: &'a Self::Ready,
    ) -> &'a [[f32; RowBound::COLUMNS]];

    /// Estimates the same rows for a panel into `[rows, width]`.
    fn estimate(
        &self,
        panel: &Self::Panel,
        first: usize,
        within: Range<usize>,
        ready: &Self::Ready,
        values: &mut [f32],
    );
}

/// Rounds at most [`PANEL_WIDTH`] queries, `[queries, dim]`, into pairs of neighbouring positions,
/// `[⌈dim / 2⌉, PANEL_WIDTH]`, and bounds each.
fn pack_pairs(
    queries: &[f32],
    dim: usize,
    round: impl Fn(&[f32], &mut [i16]) -> QueryBound,
) -> (Vec<i32>, Vec<QueryBound>) {
    let (mut panel, mut copy) = (vec![0; dim.div_ceil(2) * PANEL_WIDTH], vec![0; dim]);
    let mut bounds = Vec::with_capacity(PANEL_WIDTH);
    for (lane, query) in queries.chunks_exact(dim).enumerate() {
        bounds.push(round(query, &mut copy));
        for (place, two) in copy.chunks(2).enumerate() {
            panel[place * PANEL_WIDTH + lane] = pair(two[0], two.get(1).copied().unwrap_or(0));
        }
    }
    (panel, bounds)
}
