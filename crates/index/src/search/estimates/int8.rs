//! Estimates from a copy in eight bits: sums of integers.

use std::ops::Range;

use crate::kernel::rounded::{PANEL_WIDTH, int8_lone, pairs_panel, widen_int8};
use crate::level::SimdLevel;
use crate::rounded::bound::{QueryBound, RowBound};
use crate::rounded::int8;

use super::{Estimates, pack_pairs};

/// A copy in integers.
pub(in crate::search) struct Int8<'a> {
    pub(in crate::search) numbers: &'a [i8],
    pub(in crate::search) bounds: &'a [[f32; RowBound::COLUMNS]],
    pub(in crate::search) dim: usize,
    pub(in crate::search) level: SimdLevel,
}

/// Queries in integers.
pub(in crate::search) enum Int8Panel {
    /// One query, `[dim]`.
    Lone(Vec<i16>),
    /// Pairs of neighbouring positions, `[⌈dim / 2⌉, PANEL_WIDTH]`.
    Many(Vec<i32>),
}

impl Estimates for Int8<'_> {
    type Panel = Int8Panel;
    type Ready = Vec<i32>;

    fn bytes_a_row(&self) -> usize {
        self.dim.div_ceil(2) * size_of::<i32>()
    }

    fn width(&self, left: usize) -> usize {
        if left == 1 { 1 } else { PANEL_WIDTH }
    }

    fn pack(&self, queries: &[f32], width: usize) -> (Int8Panel, Vec<QueryBound>) {
        if width == 1 {
            let mut copy = vec![0; self.dim];
            let bound = int8::round_query(queries, &mut copy);
            return (Int8Panel::Lone(copy), vec![bound]);
        }
        let (panel, bounds) = pack_pairs(queries, self.dim, int8::round_query);
        (Int8Panel::Many(panel), bounds)
    }

    fn ready(&self, tile: Range<usize>, pairs: &mut Vec<i32>) {
        pairs.resize(tile.len() * self.dim.div_ceil(2), 0);
        widen_int8(self.level, &self.numbers[tile.start * self.dim..tile.end * self.dim], self.dim, pairs);
    }

    fn bounds<'a>(
        &'a self,
        first: usize,
        within: Range<usize>,
        _pairs: &'a Vec<i32>,
    ) -> &'a [[f32; RowBound::COLUMNS]] {
        &self.bounds[first + within.start..first + within.end]
    }

    fn estimate(
        &self,
        panel: &Int8Panel,
        first: usize,
        within: Range<usize>,
        pairs: &Vec<i32>,
        values: &mut [f32],
    ) {
        match panel {
            Int8Panel::Lone(query) => {
                let rows = (first + within.start) * self.dim..(first + within.end) * self.dim;
                int8_lone(self.level, query, &self.numbers[rows], values);
            }
            Int8Panel::Many(panel) => {
                let columns = self.dim.div_ceil(2);
                pairs_panel(self.level, panel, &pairs[within.start * columns..within.end * columns], values);
            }
        }
    }
}
