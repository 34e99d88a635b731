//! Rows rounded to the integers of products: each has a grid of its own, of which zero is a step.

use crate::cpu::form::Form;
use crate::cpu::functions::ROUNDER;
use crate::cpu::lanes::{LANES, Lanes, tree, tree_sum};
use crate::cpu::level::multiversion;
use crate::cpu::memory::{bytes_mut, words_mut};

/// The largest number that a weight is rounded to.
pub(super) const LARGEST: i32 = 127;

/// The steps of an input's row.
pub(super) const STEPS: i32 = 255;

/// The byte that stands for the lowest of an input's steps: whether it has a sign is the instruction's choice ([`Form`]).
const LOWEST_BYTE: i32 = if cfg!(target_arch = "aarch64") { -128 } else { 0 };

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
    /// So many steps over a range of `size`, of which `low` is below zero. The step is NaN when `poison` is.
    #[inline(always)]
    fn new(size: f32, steps: i32, low: f32, poison: f32) -> Self {
        let factor = if size > 0.0 { steps as f32 / size } else { 0.0 };
        let below = nearest(low * factor);
        let step = size / steps as f32 + poison;
        Self { step, factor, below, highest: steps.wrapping_sub(below) }
    }

    /// The nearest step, ties to even; both ends of the range may go up.
    #[inline(always)]
    fn nearest(self, x: f32) -> i32 {
        nearest(x * self.factor).min(self.highest)
    }

    /// Writes a row as words of pairs, or of bytes, each of which is larger by `excess`.
    #[inline(always)]
    fn write(self, form: Form, excess: i32, row: &[f32], words: &mut [f32]) {
        match form {
            Form::Pairs => {
                let (even, last) = row.as_chunks::<2>();
                let words = words_mut(words);
                for (pair, &[low, high]) in words.iter_mut().zip(even) {
                    *pair = self.nearest(low) & 0xffff | self.nearest(high) << 16;
                }
                if let (Some(pair), &[last]) = (words.last_mut(), last) {
                    *pair = self.nearest(last) & 0xffff;
                }
            }
            Form::Bytes => {
                let bytes = bytes_mut(words);
                let (own, behind) = bytes.split_at_mut(row.len());
                for (byte, &x) in own.iter_mut().zip(row) {
                    *byte = self.nearest(x).wrapping_add(excess) as u8;
                }
                behind.fill(0);
            }
            form => unreachable!("{form:?} for integers of eight bits"),
        }
    }
}

multiversion! {
    /// Rounds a row of a weight, and returns the step and the sum of the integers.
    pub(super) fn round_output(form: Form, row: &[f32], words: &mut [f32]) -> (f32, i32) {
        let Survey { low, high, poison } = Survey::new(row);
        let grid = Grid::new(if high > low { high } else { low }, LARGEST, 0.0, poison);
        grid.write(form, 0, row, words);
        // A row that is not finite has a step of NaN, and any sum.
        let sum = row.iter().fold(0, |sum: i32, &x| sum.wrapping_add(grid.nearest(x)));
        (grid.step, sum)
    }
}

multiversion! {
    /// Rounds a row of an input, and returns the step and by how much its integers are written too large: for bytes, whose
    /// 255 steps begin at the lowest byte, by as many of them as lie below zero.
    pub(super) fn round_input(form: Form, row: &[f32], words: &mut [f32]) -> (f32, i32) {
        let Survey { low, high, poison } = Survey::new(row);
        let grid = Grid::new(low + high, STEPS, low, poison);
        let excess = if form == Form::Bytes { grid.below.wrapping_add(LOWEST_BYTE) } else { 0 };
        grid.write(form, excess, row, words);
        (grid.step, excess)
    }
}

/// The nearest integer, ties to even, of a number below 2²².
#[inline(always)]
fn nearest(x: f32) -> i32 {
    (x + ROUNDER).to_bits().wrapping_sub(ROUNDER.to_bits()).cast_signed()
}

#[inline(always)]
fn lower(a: f32, b: f32) -> f32 {
    if b < a { b } else { a }
}

#[inline(always)]
fn higher(a: f32, b: f32) -> f32 {
    if b > a { b } else { a }
}

/// What a grid is made of.
struct Survey {
    /// The sizes of the lowest and the highest element, 0 where there is none on that side of zero.
    low: f32,
    high: f32,
    /// 0, or NaN when an element is not finite.
    poison: f32,
}

impl Survey {
    #[inline(always)]
    fn look(chunk: &Lanes, [lowest, highest, poison]: &mut [Lanes; 3]) {
        for lane in 0..LANES {
            lowest[lane] = lower(lowest[lane], chunk[lane]);
            highest[lane] = higher(highest[lane], chunk[lane]);
            poison[lane] += chunk[lane] * 0.0;
        }
    }

    /// Looks at a row once, two registers at a time so that none waits for itself.
    #[inline(always)]
    fn new(row: &[f32]) -> Self {
        let mut lanes = [[[0.0_f32; LANES]; 3]; 2];
        let (chunks, rest) = row.as_chunks::<LANES>();
        let (pairs, last) = chunks.as_chunks::<2>();
        for pair in pairs {
            for half in 0..2 {
                Self::look(&pair[half], &mut lanes[half]);
            }
        }
        for chunk in last {
            Self::look(chunk, &mut lanes[0]);
        }
        let [[lowest, highest, poison], second] = &mut lanes;
        for lane in 0..LANES {
            lowest[lane] = lower(lowest[lane], second[0][lane]);
            highest[lane] = higher(highest[lane], second[1][lane]);
            poison[lane] += second[2][lane];
        }
        for (lane, &x) in rest.iter().enumerate() {
            lowest[lane] = lower(lowest[lane], x);
            highest[lane] = higher(highest[lane], x);
            poison[lane] += x * 0.0;
        }
        Self { low: -tree(*lowest, lower), high: tree(*highest, higher), poison: tree_sum(*poison) }
    }
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
            let (step, excess) = round_input(level, form, &[0.0, 0.0, 0.0], &mut words[..depth]);
            let lowest = if form == Form::Bytes { LOWEST_BYTE } else { 0 };
            assert_eq!((step.to_bits(), excess), (0, lowest));
            assert_eq!(integers(form, &words[..depth])[..3], [excess; 3]);
            assert_eq!(integers(form, &words[..depth])[3..], [0]);
            for bad in [[0.0, f32::NAN, 1.0], [0.0, f32::NEG_INFINITY, 0.0], [f32::INFINITY, 0.0, 0.0]] {
                assert!(round_input(level, form, &bad, &mut words[..depth]).0.is_nan(), "{bad:?}");
                assert!(round_output(level, form, &bad, &mut words[..depth]).0.is_nan(), "{bad:?}");
            }
        }
    }

    /// The integers that words hold.
    fn integers(form: Form, words: &[f32]) -> Vec<i32> {
        let bits = words.iter().map(|word| word.to_bits().cast_signed());
        match form {
            Form::Bytes if LOWEST_BYTE < 0 => {
                bits.flat_map(|word| word.to_le_bytes().map(|byte| i32::from(byte.cast_signed()))).collect()
            }
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
                let (found, excess) = round_input(level, form, &row, &mut words);
                assert!((found - step).abs() < 1e-6, "{row:?}");
                let found: Vec<i32> = integers(form, &words).iter().map(|x| x - excess).collect();
                assert_eq!(found, expected, "{level} {row:?}");
            }
        }
    }
}
