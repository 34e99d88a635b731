//! A small generator of random numbers, so that an input is a function of seed, target and number alone.
//!
//! Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators" (2014), SplitMix64.

/// The state of a generator.
pub struct Random(u64);

impl Random {
    /// The generator of one input of a target.
    pub fn of(seed: u64, target: &str, number: u64) -> Self {
        let start = Self(seed).next();
        // FNV-1a over the name, so that a target's inputs stay what they are when another one is added.
        let name =
            target.bytes().fold(start, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        Self(Self(name).next() ^ number.wrapping_mul(0xd134_2543_de82_ef95))
    }

    /// 64 random bits.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 up to `end`, which it does not reach; 0 where `end` is 0.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % (end.max(1) as u64)) as usize
    }

    /// One of several, which are not none.
    pub fn choose<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    /// Whether something happens that happens once in `times`.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }
}
