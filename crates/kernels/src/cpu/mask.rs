//! Dropout of rows: decided column by column in loops that vectorise.

use crate::key::column_bits;
use crate::{Dropout, Tokens};

/// What the rows of a batch need to know about their dropout.
#[derive(Clone, Copy)]
pub(super) struct Mask<'a> {
    /// The keys of the rows from the first row of the tile; empty when nothing is dropped.
    pub(super) keys: &'a [[u32; 2]],
    pub(super) threshold: u32,
    pub(super) scale: f32,
}

impl<'a> Mask<'a> {
    /// The mask of rows that have `keys`.
    pub(super) fn new(dropout: Dropout, keys: &'a [[u32; 2]]) -> Self {
        Self { keys, threshold: dropout.threshold(), scale: dropout.scale() as f32 }
    }

    /// The mask from row `row` on.
    pub(super) fn from(self, row: usize) -> Self {
        Self { keys: self.keys.get(row..).unwrap_or_default(), ..self }
    }
}

/// The key of every token's row, or nothing when nothing is dropped.
pub(super) fn row_keys(dropout: Dropout, tokens: &Tokens) -> Vec<[u32; 2]> {
    if !dropout.is_active() {
        return Vec::new();
    }
    let texts = tokens.places().iter().enumerate();
    texts
        .flat_map(|(text, &place)| (0..tokens.range(text).len()).map(move |row| dropout.row(place, 0, row)))
        .collect()
}

/// All bits set when a column stays, none when it goes.
///
/// Each column computes its pair's bits: twice the arithmetic of sharing them, and no shuffles in a vectorised loop.
/// The sign of a difference instead of a comparison: from a comparison the compiler makes masked stores, which are slow
/// on some processors.
#[inline(always)]
pub(super) fn stays(key: [u32; 2], column: u32, threshold: u32) -> u32 {
    let decision = (column_bits(key, column / 2) >> (16 * (column & 1))) & 0xffff;
    !((decision.wrapping_sub(threshold) as i32 >> 31) as u32)
}

/// `row = mask ∘ row · scale`.
#[inline(always)]
pub(super) fn apply(key: [u32; 2], threshold: u32, scale: f32, row: &mut [f32]) {
    for (column, value) in (0..).zip(row) {
        *value = f32::from_bits((*value * scale).to_bits() & stays(key, column, threshold));
    }
}
