//! Products with weights in eight-bit integers: operands rounded row by row, sums exact in 32 bits.
//!
//! A weight's output is rounded to 127 steps on either side of zero. An input's row is rounded to 255 steps from its
//! lowest to its highest number, since what follows GELU hardly has a negative side.
//! The instruction for bytes takes a left operand without a sign: its steps are counted from the lowest, and what that
//! adds to a sum is taken off. Where there is none, integers are multiplied in pairs of sixteen bits.
//! Sums of integers do not depend on the order, so that all levels give the same bytes up to the scaling.

use super::Cpu;
use super::form::Form;
use super::functions::ROUNDER;
use super::lanes::{LANES, largest};
use super::level::multiversion;
use super::memory::{Buffer, bytes_mut, words_mut};
use super::product::{self, Operand, Right, pack_right};
use super::tiles::ROWS;

/// The largest number that a weight is rounded to.
const LARGEST: i32 = 127;

/// The steps of an input's row.
const STEPS: i32 = 255;

/// Inner indices whose sums of products always fit in 32 bits.
const MOST_INPUTS: usize = i32::MAX as usize / (STEPS * LARGEST) as usize;

/// A weight as the right operand.
#[derive(Debug)]
pub(super) struct Weight {
    panels: Buffer,
    outputs: Vec<Output>,
}

/// What a sum of an output stands for, and what is taken off it for each step that its input's zero is above the lowest.
#[derive(Debug, Clone, Copy, Default)]
struct Output {
    step: f32,
    sum: i32,
}

impl Weight {
    /// Rounds a weight `[outputs, inputs]`, each output by its own scale.
    pub(super) fn new(cpu: &Cpu, outputs: usize, inputs: usize, weight: &[f32]) -> Self {
        assert!(inputs <= MOST_INPUTS, "sums over {inputs} inputs leave 32 bits");
        let form = Form::of_integers(cpu.level);
        let depth = form.words(inputs);
        let mut words = cpu.memory.zeros(outputs * depth);
        let rows = weight.chunks_exact(inputs.max(1)).zip(words.chunks_exact_mut(depth.max(1)));
        let outputs_of = rows.map(|(row, words)| round_output(cpu.level, form, row, words)).collect();
        let panels = pack_right(cpu, Operand::transposed(&words), outputs, depth);
        Self { panels, outputs: outputs_of }
    }
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
    fn round_output(form: Form, row: &[f32], words: &mut [f32]) -> Output {
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
    fn round_input(form: Form, row: &[f32], words: &mut [f32]) -> (f32, i32) {
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

/// A left operand `[m, k]`, each row rounded by its own scale.
struct Rounded {
    /// `[m, words]`.
    words: Buffer,
    /// The step of each row, and how many of them lie below zero, `[m]`.
    rows: Vec<(f32, i32)>,
}

fn round_rows(cpu: &Cpu, form: Form, x: &[f32], m: usize, k: usize) -> Rounded {
    let depth = form.words(k);
    let (mut words, mut rows) = (cpu.memory.scratch(m * depth), vec![(0.0, 0); m]);
    let tiles =
        x.chunks((ROWS * k).max(1)).zip(words.chunks_mut((ROWS * depth).max(1))).zip(rows.chunks_mut(ROWS));
    cpu.each(m * k, tiles, |((x, words), rows)| {
        for ((x, words), row) in x.chunks_exact(k).zip(words.chunks_exact_mut(depth)).zip(rows) {
            *row = round_input(cpu.level, form, x, words);
        }
    });
    Rounded { words, rows }
}

multiversion! {
    /// Integer sums to what they stand for, in place; each is too large by `excess` times its output's sum.
    fn rescale(step: f32, excess: i32, outputs: &[Output], sums: &mut [f32]) {
        for (sum, output) in sums.iter_mut().zip(outputs) {
            let exact = sum.to_bits().cast_signed().wrapping_sub(excess.wrapping_mul(output.sum));
            *sum = exact as f32 * (step * output.step);
        }
    }
}

/// `x · weightᵀ` for `x [m, k]` and a weight of `n` outputs; rows of sums go to `finish` as
/// [`each_tile`](super::tiles::each_tile) says.
pub(super) fn product<const N: usize>(
    cpu: &Cpu,
    [m, n, k]: [usize; 3],
    x: &[f32],
    weight: &Weight,
    targets: [&mut [f32]; N],
    finish: impl Fn([usize; 2], &mut [f32], [&mut [f32]; N]) + Send + Sync,
) {
    assert!(x.len() >= m * k, "product of {m}×{n}×{k} with a buffer that is too short");
    let form = Form::of_integers(cpu.level);
    let Rounded { words, rows } = round_rows(cpu, form, &x[..m * k], m, k);
    let (left, right) = (Operand::plain(&words), Right::Packed(&weight.panels));
    product::product(
        cpu,
        form,
        [m, n, form.words(k)],
        left,
        right,
        targets,
        |[row, column], sums, targets| {
            let (step, below) = rows[row];
            // Pairs have a sign, and nothing to take off.
            let excess = if form == Form::Bytes { below } else { 0 };
            rescale(cpu.level, step, excess, &weight.outputs[column..], sums);
            finish([row, column], sums, targets);
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Key, Level, Ops as _};

    /// A product of `[m, k]` and `[n, k]ᵀ` in integers against the same integers in f64.
    fn check(level: Level, m: usize, n: usize, k: usize) {
        let cpu = Cpu::with_level(2, level);
        let draw = |purpose: &str, n: usize| -> Vec<f32> {
            (0..n).map(|i| Key::new(1).purpose(purpose).with(i as u64).normal() as f32).collect()
        };
        let (x, weight) = (draw("x", m * k), draw("weight", n * k));
        let mut out = cpu.zeros(m * n);
        product(&cpu, [m, n, k], &x, &Weight::new(&cpu, n, k, &weight), [&mut out], |_, sums, [out]| {
            out.copy_from_slice(sums);
        });
        let round = |row: &[f32], range: f32, steps: f32| -> (Vec<f64>, f64) {
            let integers = row.iter().map(|x| f64::from((x * (steps / range)).round_ties_even())).collect();
            (integers, f64::from(range / steps))
        };
        let highest = |row: &[f32]| row.iter().fold(0.0_f32, |a, &x| a.max(x));
        let lowest = |row: &[f32]| row.iter().fold(0.0_f32, |a, &x| a.max(-x));
        for row in 0..m {
            let x = &x[row * k..][..k];
            let (left, left_scale) = round(x, highest(x) + lowest(x), 255.0);
            for column in 0..n {
                let weight = &weight[column * k..][..k];
                let (right, right_scale) = round(weight, highest(weight).max(lowest(weight)), 127.0);
                let sum: f64 = left.iter().zip(&right).map(|(a, b)| a * b).sum();
                let (expected, found) = (sum * left_scale * right_scale, f64::from(out[row * n + column]));
                assert!(
                    (found - expected).abs() <= 1e-6 * expected.abs() + 1e-9,
                    "{level} {m}×{n}×{k}, row {row}, column {column}: {found}, expected {expected}"
                );
            }
        }
    }

    #[test]
    fn every_level_gives_the_integers_product() {
        for level in Level::available() {
            for [m, n, k] in [[1, 1, 1], [5, 17, 7], [49, 40, 33], [7, 100, 1000], [100, 33, 384]] {
                check(level, m, n, k);
            }
        }
    }

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

    #[test]
    fn the_largest_sums_stay_in_32_bits() {
        let (k, cpu) = (MOST_INPUTS, Cpu::new(1));
        for sign in [1.0, -1.0] {
            let mut out = cpu.zeros(1);
            let weight = Weight::new(&cpu, 1, k, &vec![sign; k]);
            product(&cpu, [1, 1, k], &vec![1.0; k], &weight, [&mut out], |_, sums, [out]| {
                out.copy_from_slice(sums);
            });
            assert!((out[0] - sign * k as f32).abs() < 1.0, "{}", out[0]);
        }
    }
}
