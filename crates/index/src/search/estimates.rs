//! Estimates of scores from the two kinds of copies: how queries are laid out for each, and which kernel reads them.

use std::ops::Range;

use crate::kernel::rounded::{
    PANEL_WIDTH, bf16_lone, bf16_panel, has_pairs_of_bf16, int8_lone, int8_panel, pair, widen_bf16,
    widen_int8,
};
use crate::kernel::{Block, Kernel, MOST_WIDTH, Scores};
use crate::level::SimdLevel;
use crate::rounded::bound::QueryBound;
use crate::rounded::{bf16, int8};

use super::panel::lay_out;

/// A copy from which scores are estimated.
pub(super) trait Estimates: Sync {
    /// Queries, laid out.
    type Panel: Sync;
    /// A number of a tile as the panels' kernel reads it.
    type Wide: Copy + Default + Send + Sync;

    /// Bytes that a document takes in a tile.
    fn bytes_a_row(&self) -> usize;

    /// How many of `left` queries, 1 or more, the next panel takes.
    fn width(&self, left: usize) -> usize;

    /// Lays out at most `width` queries, `[queries, dim]`, and bounds each.
    fn pack(&self, queries: &[f32], width: usize) -> (Self::Panel, Vec<QueryBound>);

    /// Makes a tile ready for panels of more than one query.
    fn widen(&self, tile: Range<usize>, wide: &mut Vec<Self::Wide>);

    /// Estimates some rows for a panel into `[rows, width]`; `within` are their places in the tile that begins with
    /// the document `first`.
    fn estimate(
        &self,
        panel: &Self::Panel,
        first: usize,
        within: Range<usize>,
        wide: &[Self::Wide],
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

/// A copy in integers.
pub(super) struct Int8<'a> {
    pub(super) numbers: &'a [i8],
    pub(super) dim: usize,
    pub(super) level: SimdLevel,
}

/// Queries in integers.
pub(super) enum Int8Panel {
    /// One query, `[dim]`.
    Lone(Vec<i16>),
    /// Pairs of neighbouring positions, `[⌈dim / 2⌉, PANEL_WIDTH]`.
    Many(Vec<i32>),
}

impl Estimates for Int8<'_> {
    type Panel = Int8Panel;
    type Wide = i32;

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

    fn widen(&self, tile: Range<usize>, wide: &mut Vec<i32>) {
        wide.resize(tile.len() * self.dim.div_ceil(2), 0);
        widen_int8(self.level, &self.numbers[tile.start * self.dim..tile.end * self.dim], self.dim, wide);
    }

    fn estimate(
        &self,
        panel: &Int8Panel,
        first: usize,
        within: Range<usize>,
        wide: &[i32],
        values: &mut [f32],
    ) {
        match panel {
            Int8Panel::Lone(query) => {
                let rows = (first + within.start) * self.dim..(first + within.end) * self.dim;
                int8_lone(self.level, query, &self.numbers[rows], values);
            }
            Int8Panel::Many(panel) => {
                let pairs = self.dim.div_ceil(2);
                int8_panel(self.level, panel, &wide[within.start * pairs..within.end * pairs], values);
            }
        }
    }
}

/// A copy in bfloat16.
pub(super) struct Bf16<'a> {
    pub(super) numbers: &'a [u16],
    pub(super) dim: usize,
    pub(super) level: SimdLevel,
}

impl Bf16<'_> {
    /// Whether the rows are multiplied as they lie in the file, which takes queries in bfloat16, too.
    fn has_pairs(&self) -> bool {
        self.dim.is_multiple_of(2) && has_pairs_of_bf16(self.level)
    }

    fn rows(&self, documents: Range<usize>) -> &[u16] {
        &self.numbers[documents.start * self.dim..documents.end * self.dim]
    }
}

/// Queries beside rows in bfloat16.
pub(super) enum Bf16Panel {
    /// One query as it is, `[dim]`.
    Lone(Vec<f32>),
    /// Queries as they are for rows that are widened, `[dim, width]`.
    Wide(Vec<f32>, Kernel),
    /// Rounded queries, `[dim / 2, PANEL_WIDTH]` pairs.
    Pairs(Vec<i32>),
}

impl Estimates for Bf16<'_> {
    type Panel = Bf16Panel;
    type Wide = f32;

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

    fn widen(&self, tile: Range<usize>, wide: &mut Vec<f32>) {
        if !self.has_pairs() {
            wide.resize(tile.len() * self.dim, 0.0);
            widen_bf16(self.level, self.rows(tile), wide);
        }
    }

    fn estimate(
        &self,
        panel: &Bf16Panel,
        first: usize,
        within: Range<usize>,
        wide: &[f32],
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
