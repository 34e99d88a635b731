//! Rows rounded to the integers of products: each has a grid of its own, of which zero is a step.

use super::form::Form;
use super::functions::ROUNDER;
use super::lanes::{LANES, largest};
use super::level::multiversion;
use super::memory::{bytes_mut, words_mut};

/// The largest number that a weight is rounded to.
pub(super) const LARGEST: i32 = 127;

/// The steps of an input's row.
pub(super) const STEPS: i32 = 255;

/// What a sum of an output stands for, and what is taken off it for each step that its input's zero is above the lowest.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Output {
    pub(super) step: f32,
    pub(super) sum: i32,
}

/// The steps that a row is rounded to: whole multiples of `step`, from `-below` to `highest`.
#[derive(Clone, Copy)]
struct Grid {
    step: f32,
    /// 1 ÷ step, or 0 for a row of zeros.
    factor: f32,
    below: i32,
    highest: i32,
}

impl Grid {
    /// So many steps over a range of `size`, of which `low` is below zero. The step is NaN when the row is not finite.
    #[inline(always)]
    fn new(row: &[f32], size: f32, steps: i32, low: f32) -> Self {
        let factor = if size > 0.0 { steps as f32 / size } else { 0.0 };
        let below = nearest(low * factor);
        let step = size / steps as f32 + poison(row);
        Self { step, factor, below, highest: steps.wrapping_sub(below) }
    }

    /// The nearest step, ties to even; both ends of the range may go up.
    #[inline(always)]
    fn nearest(self, x: f32) -> i32 {
        nearest(x * self.factor).min(self.highest)
    }

    /// Writes a row as words.
    #[inline(always)]
    fn write(self, form: Form, row: &[f32], words: &mut [f32]) {
        if form == Form::Bytes {
            let bytes = bytes_mut(words);
            let (own, behind) = bytes.split_at_mut(row.len());
            for (byte, &x) in own.iter_mut().zip(row) {
                *byte = self.nearest(x).wrapping_add(self.below) as u8;
            }
            behind.fill(0);
        } else {
            let (even, last) = row.as_chunks::<2>();
            let words = words_mut(words);
            for (pair, &[low, high]) in words.iter_mut().zip(even) {
                *pair = self.nearest(low) & 0xffff | self.nearest(high) << 16;
            }
            if let (Some(pair), &[last]) = (words.last_mut(), last) {
                *pair = self.nearest(last) & 0xffff;
            }
        }
    }
}

multiversion! {
    /// Rounds a row of a weight.
    pub(super) fn round_output(form: Form, row: &[f32], words: &mut [f32]) -> Output {
        let (low, high) = extremes(row);
        let grid = Grid::new(row, if high > low { high } else { low }, LARGEST, 0.0);
        grid.write(form, row, words);
        // A row that is not finite has a step of NaN, and any sum.
        let sum = row.iter().fold(0, |sum: i32, &x| sum.wrapping_add(grid.nearest(x)));
        Output { step: grid.step, sum }
    }
}

multiversion! {
    /// Rounds a row of an input, and returns the step and how many of them lie below zero.
    pub(super) fn round_input(form: Form, row: &[f32], words: &mut [f32]) -> (f32, i32) {
        let (low, high) = extremes(row);
        let grid = Grid::new(row, low + high, STEPS, low);
        grid.write(form, row, words);
        (grid.step, grid.below)
    }
}

/// The nearest integer, ties to even, of a number below 2²².
#[inline(always)]
fn nearest(x: f32) -> i32 {
    (x + ROUNDER).to_bits().wrapping_sub(ROUNDER.to_bits()).cast_signed()
}

/// The sizes of the lowest and the highest element.
#[inline(always)]
fn extremes(values: &[f32]) -> (f32, f32) {
    let mut lowest = [0.0_f32; LANES];
    let (chunks, rest) = values.as_chunks::<LANES>();
    for chunk in chunks {
        for lane in 0..LANES {
            lowest[lane] = if chunk[lane] < lowest[lane] { chunk[lane] } else { lowest[lane] };
        }
    }
    let low = lowest.iter().chain(rest).fold(0.0, |low: f32, &x| if x < low { x } else { low });
    (-low, largest(values).max(0.0))
}

/// 0, or NaN when an element is not finite.
#[inline(always)]
fn poison(values: &[f32]) -> f32 {
    let mut sums = [0.0; LANES];
    let (chunks, rest) = values.as_chunks::<LANES>();
    for chunk in chunks {
        for lane in 0..LANES {
            sums[lane] += chunk[lane] * 0.0;
        }
    }
    sums.iter().sum::<f32>() + rest.iter().map(|x| x * 0.0).sum::<f32>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Level;

    #[test]
    fn rows_of_zeros_stay_zeros_and_nan_stays_nan() {
        for level in Level::available() {
            let (form, mut words) = (Form::of_integers(level), [7.0; 2]);
            let depth = form.words(3);
            let (step, below) = round_input(level, form, &[0.0, 0.0, 0.0], &mut words[..depth]);
            assert_eq!((step.to_bits(), below), (0, 0));
            assert!(words[..depth].iter().all(|word| word.to_bits() == 0));
            for bad in [[0.0, f32::NAN, 1.0], [0.0, f32::NEG_INFINITY, 0.0], [f32::INFINITY, 0.0, 0.0]] {
                assert!(round_input(level, form, &bad, &mut words[..depth]).0.is_nan(), "{bad:?}");
                assert!(round_output(level, form, &bad, &mut words[..depth]).step.is_nan(), "{bad:?}");
            }
        }
    }

    /// The integers that words hold.
    fn integers(form: Form, words: &[f32]) -> Vec<i32> {
        let bits = words.iter().map(|word| word.to_bits().cast_signed());
        match form {
            Form::Bytes => bits.flat_map(|word| word.to_le_bytes().map(i32::from)).collect(),
            _ => bits.flat_map(|word| [i32::from(word as i16), word >> 16]).collect(),
        }
    }

    #[test]
    fn inputs_are_rounded_to_256_steps_whose_ends_are_the_extremes() {
        for level in Level::available() {
            let form = Form::of_integers(level);
            // Both ends lie halfway between two steps, and both would go up.
            for (row, step, expected) in [
                ([-127.5_f32, 0.0, 3.0, 127.5], 1.0_f32, [-128, 0, 3, 127]),
                ([-0.2, 0.0, 25.3, 12.6], 0.1, [-2, 0, 253, 126]),
                ([1.0, 255.0, 2.0, 0.0], 1.0, [1, 255, 2, 0]),
                ([-255.0, -1.0, -254.0, -9.0], 1.0, [-255, -1, -254, -9]),
            ] {
                let mut words = vec![0.0; form.words(4)];
                let (found, below) = round_input(level, form, &row, &mut words);
                assert!((found - step).abs() < 1e-6, "{row:?}");
                let offset = if form == Form::Bytes { below } else { 0 };
                let found: Vec<i32> = integers(form, &words).iter().map(|x| x - offset).collect();
                assert_eq!(found, expected, "{level} {row:?}");
            }
        }
    }
}
