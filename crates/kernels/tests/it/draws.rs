//! Random inputs that depend on a seed alone.

use sbmoe_kernels::{Key, Tokens};

/// Numbers for one test; each call draws others.
pub(crate) struct Draws(Key);

impl Draws {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Key::new(seed))
    }

    /// Standard normal values.
    pub(crate) fn normal(&mut self, n: usize) -> Vec<f32> {
        self.0 = self.0.with(1);
        (0..n).map(|i| self.0.with(i as u64).normal() as f32).collect()
    }

    /// Standard normal values with all the bits of f64.
    pub(crate) fn wide(&mut self, n: usize) -> Vec<f64> {
        self.0 = self.0.with(2);
        (0..n).map(|i| self.0.with(i as u64).normal()).collect()
    }

    /// Integers in `0..below`.
    pub(crate) fn integers(&mut self, n: usize, below: usize) -> Vec<u32> {
        self.0 = self.0.with(3);
        (0..n).map(|i| self.0.with(i as u64).below(below) as u32).collect()
    }

    /// Texts of the given lengths, whose tokens repeat when the vocabulary is small.
    pub(crate) fn tokens(&mut self, lengths: &[usize], vocabulary: usize) -> Tokens {
        let texts: Vec<Vec<u32>> = lengths.iter().map(|&length| self.integers(length, vocabulary)).collect();
        Tokens::new(&texts, 3)
    }
}
