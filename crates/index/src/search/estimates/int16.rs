//! Estimates from the f32 rows themselves, each tile rounded to sixteen bits before many queries meet it.

use std::ops::Range;

use crate::kernel::rounded::{PANEL_WIDTH, pairs_panel, round_pairs};
use crate::level::SimdLevel;
use crate::rounded::bound::{QueryBound, RowBound};
use crate::rounded::int16;

use super::{Estimates, pack_pairs};

/// Rows as they are, `[documents, dim]`.
pub(in crate::search) struct Int16<'a> {
    pub(in crate::search) vectors: &'a [f32],
    pub(in crate::search) dim: usize,
    pub(in crate::search) level: SimdLevel,
}

/// A tile, rounded.
#[derive(Default)]
pub(in crate::search) struct Int16Tile {
    /// `[rows, ⌈dim / 2⌉]`.
    pairs: Vec<i32>,
    bounds: Vec<[f32; RowBound::COLUMNS]>,
}

impl Int16<'_> {
    fn columns(&self) -> usize {
        self.dim.div_ceil(2)
    }
}

impl Estimates for Int16<'_> {
    type Panel = Vec<i32>;
    type Ready = Int16Tile;

    fn bytes_a_row(&self) -> usize {
        self.columns() * size_of::<i32>()
    }

    fn width(&self, _left: usize) -> usize {
        PANEL_WIDTH
    }

    fn pack(&self, queries: &[f32], _width: usize) -> (Vec<i32>, Vec<QueryBound>) {
        pack_pairs(queries, self.dim, int16::round_query)
    }

    fn ready(&self, tile: Range<usize>, ready: &mut Int16Tile) {
        ready.pairs.resize(tile.len() * self.columns(), 0);
        ready.bounds.clear();
        let rows = self.vectors[tile.start * self.dim..tile.end * self.dim].chunks_exact(self.dim);
        for (row, pairs) in rows.zip(ready.pairs.chunks_exact_mut(self.columns())) {
            ready.bounds.push(round_pairs(self.level, row, pairs).to_row());
        }
    }

    fn bounds<'a>(
        &'a self,
        _first: usize,
        within: Range<usize>,
        ready: &'a Int16Tile,
    ) -> &'a [[f32; RowBound::COLUMNS]] {
        &ready.bounds[within]
    }

    fn estimate(
        &self,
        panel: &Vec<i32>,
        _first: usize,
        within: Range<usize>,
        ready: &Int16Tile,
        values: &mut [f32],
    ) {
        let rows = within.start * self.columns()..within.end * self.columns();
        pairs_panel(self.level, panel, &ready.pairs[rows], values);
    }
}
