//! Dropout of rows: sixteen decisions at a time.

use super::lanes::LANES;
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

/// All bits set for the columns that stay, none for those that go; `first` is a multiple of [`LANES`].
#[inline(always)]
pub(super) fn lanes(key: [u32; 2], first: usize, threshold: u32) -> [u32; LANES] {
    let mut bits = [0; LANES / 2];
    for (pair, bits) in bits.iter_mut().enumerate() {
        *bits = column_bits(key, (first / 2 + pair) as u32);
    }
    let mut mask = [0; LANES];
    for lane in 0..LANES {
        let decision = (bits[lane / 2] >> (16 * (lane as u32 & 1))) & 0xffff;
        mask[lane] = if decision >= threshold { u32::MAX } else { 0 };
    }
    mask
}

/// `row = mask ∘ row · scale`.
#[inline(always)]
pub(super) fn apply(key: [u32; 2], threshold: u32, scale: f32, row: &mut [f32]) {
    for (chunk, values) in row.chunks_mut(LANES).enumerate() {
        let mask = lanes(key, chunk * LANES, threshold);
        for (value, mask) in values.iter_mut().zip(mask) {
            *value = f32::from_bits((*value * scale).to_bits() & mask);
        }
    }
}
