//! Products with weights in eight-bit integers: operands rounded row by row, sums exact in 32 bits.
//!
//! A weight's output is rounded to 127 steps on either side of zero. An input's row is rounded to 255 steps from its
//! lowest to its highest number, since what follows GELU hardly has a negative side.
//! Such a row's steps are bytes when they are counted from the lowest (VNNI and AMX, whose instructions take a left
//! operand without a sign) or from 128 above it (AArch64, whose takes one with a sign), and what that adds to a sum is
//! taken off. Where there is no instruction for bytes, integers are multiplied in pairs of sixteen bits.
//! Sums of integers do not depend on the order, so that all levels give the same bytes up to the scaling.

mod grid;
mod input;

use grid::{LARGEST, STEPS, round_output};
pub(super) use input::Input;

use super::Cpu;
use super::form::Form;
use super::level::{Level, multiversion};
use super::memory::Buffer;
use super::right::pack_transpose;

/// Inner indices whose sums of products always fit in 32 bits.
const MOST_INPUTS: usize = i32::MAX as usize / (STEPS * LARGEST) as usize;

/// A weight as the right operand.
#[derive(Debug)]
pub(super) struct Weight {
    panels: Buffer,
    /// The step of each output.
    steps: Vec<f32>,
    /// The sum of each output's integers: what is taken off for each step by which an input's are too large.
    sums: Vec<i32>,
}

impl Weight {
    /// Rounds a weight `[outputs, inputs]`, each output by its own scale.
    pub(super) fn new(cpu: &Cpu, outputs: usize, inputs: usize, weight: &[f32]) -> Self {
        assert!(inputs <= MOST_INPUTS, "sums over {inputs} inputs leave 32 bits");
        let form = Form::of_integers(cpu.level);
        let depth = form.words(inputs);
        let mut words = cpu.memory.zeros(outputs * depth);
        let rows = weight.chunks_exact(inputs.max(1)).zip(words.chunks_exact_mut(depth.max(1)));
        let rounded = cpu.map(weight.len(), rows, |(row, words)| round_output(cpu.level, form, row, words));
        let (mut steps, mut sums): (Vec<_>, Vec<_>) = rounded.into_iter().unzip();
        // Without inputs there was nothing to round.
        steps.resize(outputs, 0.0);
        sums.resize(outputs, 0);
        let panels = pack_transpose(cpu, &words, outputs, depth);
        Self { panels, steps, sums }
    }

    /// As the right operand of products.
    pub(super) fn panels(&self) -> &[f32] {
        &self.panels
    }

    /// What the sums of a piece of an input's row stand for, with a bias, in place; it starts at this output.
    pub(super) fn rescale(
        &self,
        level: Level,
        (step, excess): (f32, i32),
        output: usize,
        bias: &[f32],
        sums: &mut [f32],
    ) {
        rescale(level, step, excess, &self.steps[output..], &self.sums[output..], bias, sums);
    }
}

multiversion! {
    /// Integer sums to what they stand for with a bias, in place; each is too large by `excess` times its output's sum.
    fn rescale(step: f32, excess: i32, steps: &[f32], sums_of_outputs: &[i32], bias: &[f32], sums: &mut [f32]) {
        for (((sum, of_output), output_step), bias) in sums.iter_mut().zip(sums_of_outputs).zip(steps).zip(bias) {
            let exact = sum.to_bits().cast_signed().wrapping_sub(excess.wrapping_mul(*of_output));
            *sum = exact as f32 * (step * output_step) + bias;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Activation, Affine, Key, LinearSize, Ops as _, Precision};

    /// A layer of `k` inputs and as many outputs as `bias` has.
    fn linear(cpu: &Cpu, k: usize, [x, weight, bias]: [&[f32]; 3], activation: Activation) -> Buffer {
        let size =
            LinearSize { rows: x.len() / k, inputs: k, outputs: bias.len(), precision: Precision::Int8 };
        let [x, weight, bias] = [x, weight, bias].map(|values| cpu.upload(values));
        let mut output = cpu.zeros(size.rows * size.outputs);
        let layer = Affine { weight: &weight, bias: &bias };
        cpu.linear(size, &x, layer, activation, None, &mut output);
        output
    }

    /// A product of `[m, k]` and `[n, k]ᵀ` in integers against the same integers in f64.
    fn check(level: Level, m: usize, n: usize, k: usize) {
        let cpu = Cpu::with_level(2, level);
        let draw = |purpose: &str, n: usize| -> Vec<f32> {
            (0..n).map(|i| Key::new(1).purpose(purpose).with(i as u64).normal() as f32).collect()
        };
        let (x, weight, bias) = (draw("x", m * k), draw("weight", n * k), draw("bias", n));
        let [out, positive] = [Activation::Identity, Activation::Relu]
            .map(|activation| linear(&cpu, k, [&x, &weight, &bias], activation));
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
                let (product, bias) = (sum * left_scale * right_scale, f64::from(bias[column]));
                let (expected, found) = (product + bias, f64::from(out[row * n + column]));
                assert!(
                    (found - expected).abs() <= 1e-6 * (product.abs() + bias.abs()) + 1e-9,
                    "{level} {m}×{n}×{k}, row {row}, column {column}: {found}, expected {expected}"
                );
                let relu = if found < 0.0 { 0.0 } else { found };
                assert!((f64::from(positive[row * n + column]) - relu).abs() < 1e-30, "the bias comes first");
            }
        }
    }

    #[test]
    fn every_level_gives_the_integers_product() {
        for level in Level::available() {
            for [m, n, k] in
                [[1, 1, 1], [5, 17, 7], [49, 40, 33], [7, 100, 1000], [7, 100, 3100], [100, 33, 384]]
            {
                check(level, m, n, k);
            }
        }
    }

    #[test]
    fn the_largest_sums_stay_in_32_bits() {
        let k = MOST_INPUTS;
        let [ones, minus, half] = [k, 0, k / 2]
            .map(|n_ones| (0..k).map(|i| if i < n_ones { 1.0 } else { -1.0 }).collect::<Vec<f32>>());
        for level in Level::available() {
            let cpu = Cpu::with_level(1, level);
            for (x, weight, expected) in [
                (&ones, &ones, 1.0),
                (&ones, &minus, -1.0),
                (&minus, &ones, -1.0),
                (&minus, &minus, 1.0),
                // 1 and -1 lie halfway between two of 255 steps: they are 127 and -128.
                (&half, &half, 1.0),
            ] {
                let out = linear(&cpu, k, [x, weight, &[0.0]], Activation::Identity);
                let mean = out[0] / k as f32;
                assert!((mean - expected).abs() < 1e-5, "{level}: {mean} for {expected}");
            }
        }
    }
}
