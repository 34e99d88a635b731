//! Estimates from a copy in bfloat16: by an instruction for pairs where there is one, else in f32.

use std::ops::Range;

use crate::kernel::rounded::{PANEL_WIDTH, bf16_lone, bf16_panel, has_pairs_of_bf16, widen_bf16};
use crate::kernel::{Block, Kernel, MOST_WIDTH, Scores};
use crate::level::{SimdLevel, has_fast_bf16};
use crate::rounded::bf16;
use crate::rounded::bound::{QueryBound, RowBound};
use crate::search::panel::lay_out;

use super::{Estimates, pack_pairs};

/// A copy in bfloat16.
pub(in crate::search) struct Bf16<'a> {
    pub(in crate::search) numbers: &'a [u16],
    pub(in crate::search) bounds: &'a [[f32; RowBound::COLUMNS]],
    pub(in crate::search) dim: usize,
    pub(in crate::search) level: SimdLevel,
}

impl Bf16<'_> {
    /// Whether the rows are multiplied as they lie in the file, which takes queries in bfloat16, too.
    fn has_pairs(&self) -> bool {
        self.dim.is_multiple_of(2) && has_pairs_of_bf16(self.level) && has_fast_bf16()
    }

    fn rows(&self, documents: Range<usize>) -> &[u16] {
        &self.numbers[documents.start * self.dim..documents.end * self.dim]
    }
}

/// Queries beside rows in bfloat16.
pub(in crate::search) enum Bf16Panel {
    /// One query as it is, `[dim]`.
    Lone(Vec<f32>),
    /// Queries as they are for rows that are widened, `[dim, width]`.
    Wide(Vec<f32>, Kernel),
    /// Rounded queries, `[dim / 2, PANEL_WIDTH]` pairs.
    Pairs(Vec<i32>),
}

impl Estimates for Bf16<'_> {
    type Panel = Bf16Panel;
    type Ready = Vec<f32>;

    fn bytes_a_row(&self) -> usize {
        self.dim * if self.has_pairs() { size_of::<u16>() } else { size_of::<f32>() }
    }

    fn width(&self, left: usize) -> usize {
        if left > 1 && self.has_pairs() { PANEL_WIDTH } else { Kernel::for_queries(self.level, left).width }
    }

    fn pack(&self, queries: &[f32], width: usize) -> (Bf16Panel, Vec<QueryBound>) {
        if width > 1 && self.has_pairs() {
            let (panel, bounds) = pack_pairs(queries, self.dim, bf16::round_query);
            return (Bf16Panel::Pairs(panel), bounds);
        }
        let bounds = queries.chunks_exact(self.dim).map(bf16::bound_query).collect();
        let values = lay_out(queries, self.dim, width);
        let panel = match width {
            1 => Bf16Panel::Lone(values),
            _ => Bf16Panel::Wide(values, Kernel::for_queries(self.level, width)),
        };
        (panel, bounds)
    }

    fn ready(&self, tile: Range<usize>, wide: &mut Vec<f32>) {
        if !self.has_pairs() {
            wide.resize(tile.len() * self.dim, 0.0);
            widen_bf16(self.level, self.rows(tile), wide);
        }
    }

    fn bounds<'a>(
        &'a self,
        first: usize,
        within: Range<usize>,
        _wide: &'a Vec<f32>,
    ) -> &'a [[f32; RowBound::COLUMNS]] {
        &self.bounds[first + within.start..first + within.end]
    }

    fn estimate(
        &self,
        panel: &Bf16Panel,
        first: usize,
        within: Range<usize>,
        wide: &Vec<f32>,
        values: &mut [f32],
    ) {
        let documents = first + within.start..first + within.end;
        match panel {
            Bf16Panel::Lone(query) => bf16_lone(self.level, query, self.rows(documents), values),
            Bf16Panel::Pairs(panel) => bf16_panel(self.level, panel, self.rows(documents), values),
            Bf16Panel::Wide(panel, kernel) => {
                let rows = &wide[within.start * self.dim..within.end * self.dim];
                score_all(*kernel, panel, self.dim, rows, values);
            }
        }
    }
}

/// The scores of some rows into `[rows, width]`. The kernel's own floors do not know how far a row may be off, so
/// everything leaves it.
fn score_all(kernel: Kernel, panel: &[f32], dim: usize, mut rows: &[f32], mut values: &mut [f32]) {
    let floors = [f32::INFINITY; MOST_WIDTH];
    let mut scores = Scores::new();
    while !rows.is_empty() {
        let count = if rows.len() >= kernel.rows * dim { kernel.rows } else { 1 };
        let (now, later) = rows.split_at(count * dim);
        let block = Block { panel, rows: now, dim, floors: &floors[..kernel.width] };
        kernel.score(block, &mut scores);
        let (out, rest) = values.split_at_mut(count * kernel.width);
        out.copy_from_slice(&scores.values[..count * kernel.width]);
        (rows, values) = (later, rest);
    }
}
