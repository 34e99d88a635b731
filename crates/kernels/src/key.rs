//! Counter-based randomness: every draw is a pure function of what it is for.
//!
//! A [`Key`] is built from a seed and then narrowed part by part (purpose, step, place, row, …).
//! Nothing is stored and nothing advances, so a resumed run, a batch computed in parts and any number of threads draw
//! the same values.

/// The name of one random draw, or of a family of draws that [`Key::with`] narrows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key(u64);

impl Key {
    /// The family of all draws of a seed.
    pub fn new(seed: u64) -> Self {
        Self(finalize(seed ^ 0x5bd1_e995_7b93_1f0d))
    }

    /// Narrows the family by one part: a step, a layer, a row.
    #[must_use]
    pub fn with(self, part: u64) -> Self {
        Self(finalize(self.0.rotate_left(23) ^ part.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    }

    /// Narrows the family by a purpose in words.
    #[must_use]
    pub fn purpose(self, words: &str) -> Self {
        words.bytes().fold(self, |key, byte| key.with(u64::from(byte)))
    }

    /// 64 random bits.
    pub fn bits(self) -> u64 {
        self.0
    }

    /// Uniform in `[0, 1)`, with 53 random bits.
    pub fn uniform(self) -> f64 {
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Standard normal, by the Box–Muller transform.
    pub fn normal(self) -> f64 {
        let radius = (-2.0 * (1.0 - self.with(1).uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.with(2).uniform()).cos()
    }

    /// Uniform in `0..n`; the bias is below `n / 2⁶⁴`.
    pub fn below(self, n: usize) -> usize {
        ((u128::from(self.0) * n as u128) >> 64) as usize
    }

    /// Shuffles `items` (Fisher–Yates).
    pub fn shuffle<T>(self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.with(last as u64).below(last + 1));
        }
    }
}

/// The splitmix64 finaliser: every input bit reaches every output bit.
fn finalize(mut bits: u64) -> u64 {
    bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// Dropout of one layer at one step: which elements stay is a function of the key and the element's coordinates.
#[derive(Debug, Clone, Copy)]
pub struct Dropout {
    /// An element goes when its 16 random bits are below this.
    threshold: u32,
    key: Key,
}

impl Dropout {
    /// Nothing goes.
    pub const NONE: Self = Self { threshold: 0, key: Key(0) };

    /// Elements go with probability `rate`, rounded to a multiple of 2⁻¹⁶.
    pub fn new(rate: f64, key: Key) -> Self {
        Self { threshold: (rate.clamp(0.0, 0.999) * 65536.0).round() as u32, key }
    }

    /// Whether anything can go.
    pub fn is_active(self) -> bool {
        self.threshold > 0
    }

    /// What the elements that stay are multiplied by, so that the expectation is kept.
    pub fn scale(self) -> f64 {
        65536.0 / f64::from(65536 - self.threshold)
    }

    /// The threshold of the 16-bit decisions.
    pub fn threshold(self) -> u32 {
        self.threshold
    }

    /// The two words that key row `row` of the text at `place` (`head` is 0 outside attention).
    pub fn row(self, place: u32, head: usize, row: usize) -> [u32; 2] {
        let bits = self.key.with(u64::from(place) << 32 | head as u64).with(row as u64).bits();
        [bits as u32, (bits >> 32) as u32]
    }

    /// Whether the element in `column` of a keyed row stays.
    #[expect(clippy::inline_always, reason = "a loop over columns vectorises only when this is inlined")]
    #[inline(always)]
    pub fn keeps(self, row: [u32; 2], column: usize) -> bool {
        let bits = column_bits(row, (column / 2) as u32);
        (bits >> (16 * (column as u32 & 1))) & 0xffff >= self.threshold
    }
}

/// 32 random bits for a pair of neighbouring columns: two multiplications, so that a row vectorises.
#[expect(clippy::inline_always, reason = "a loop over columns vectorises only when this is inlined")]
#[inline(always)]
pub(crate) fn column_bits(row: [u32; 2], pair: u32) -> u32 {
    let mut bits = pair.wrapping_mul(0x9e37_79b9) ^ row[0];
    bits = (bits ^ (bits >> 16)).wrapping_mul(0x85eb_ca6b);
    bits = (bits ^ (bits >> 13)).wrapping_add(row[1]).wrapping_mul(0xc2b2_ae35);
    bits ^ (bits >> 16)
}
