//! Products with weights in eight-bit integers: operands rounded row by row, sums exact in 32 bits.
//!
//! All numbers are held in sixteen bits, two of the inner index side by side: one instruction multiplies and adds such
//! pairs without ever saturating, which the instructions for bytes of AVX2 do. Weights use eight of the bits; inputs, whose
//! few large numbers would leave the others too few steps, use as many as the sums allow, at no cost.
//! Sums of integers do not depend on the order, so all levels give the same bytes up to the scaling.

use super::functions::ROUNDER;
use super::lanes::{LANES, largest};
use super::level::multiversion;
use super::memory::{Buffer, words, words_mut};
use super::packing::panels;
use super::tiles::{ROWS, Tile, each_tile};
use super::{Cpu, int8_tile, pairs};

/// The largest number that a weight is rounded to.
const LARGEST: i32 = 127;

/// Inner indices whose sums of products always fit in 32 bits.
const MOST_INPUTS: usize = i32::MAX as usize / (LARGEST * LARGEST) as usize;

/// The largest number that an input is rounded to: sums over `inputs` products with weights fit 32 bits.
fn largest_input(inputs: usize) -> f32 {
    (i32::MAX / LARGEST / inputs as i32).min(i32::from(i16::MAX)) as f32
}

/// A weight in panels of sixteen outputs.
#[derive(Debug)]
pub(super) struct Weight {
    /// `[panels, pairs, 16]` pairs.
    pairs: Vec<i32>,
    /// What each output was divided by, `[panels · 16]`.
    scales: Vec<f32>,
}

impl Weight {
    /// Rounds a weight `[outputs, inputs]`, each output by its own scale.
    pub(super) fn new(cpu: &Cpu, outputs: usize, inputs: usize, weight: &[f32]) -> Self {
        assert!(inputs <= MOST_INPUTS, "sums over {inputs} inputs leave 32 bits");
        let (depth, columns) = (inputs.div_ceil(2), panels(outputs) * LANES);
        let (mut pairs, mut scales) = (vec![0; columns * depth], vec![0.0; columns]);
        let mut row = vec![0; depth];
        for (output, values) in weight.chunks_exact(inputs.max(1)).enumerate() {
            scales[output] = round_row(cpu.level, values, LARGEST as f32, &mut row);
            let panel = &mut pairs[output / LANES * LANES * depth..][..LANES * depth];
            for (to, &pair) in panel.iter_mut().skip(output % LANES).step_by(LANES).zip(&row) {
                *to = pair;
            }
        }
        Self { pairs, scales }
    }
}

multiversion! {
    /// Divides a row so that its largest element becomes `steps`, rounds, and writes pairs; returns what it divided by,
    /// which is NaN when an element is not finite.
    fn round_row(values: &[f32], steps: f32, pairs: &mut [i32]) -> f32 {
        let (low, high) = extremes(values);
        let size = if high > low { high } else { low };
        let factor = if size > 0.0 { steps / size } else { 0.0 };
        let (even, rest) = values.as_chunks::<2>();
        for (pair, [low, high]) in pairs.iter_mut().zip(even) {
            *pair = (nearest(low * factor) & 0xffff | nearest(high * factor) << 16) as i32;
        }
        if let (Some(pair), [last]) = (pairs.last_mut(), rest) {
            *pair = (nearest(last * factor) & 0xffff) as i32;
        }
        size / steps + poison(values)
    }
}

/// The nearest integer, as the bits of an i32; ties to even.
#[inline(always)]
fn nearest(x: f32) -> u32 {
    (x + ROUNDER).to_bits().wrapping_sub(ROUNDER.to_bits())
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
    /// `[m, pairs]` pairs.
    pairs: Buffer,
    /// `[m]`.
    scales: Buffer,
}

fn round_rows(cpu: &Cpu, x: &[f32], m: usize, k: usize) -> Rounded {
    let depth = k.div_ceil(2);
    let (mut pairs, mut scales) = (cpu.memory.scratch(m * depth), cpu.memory.scratch(m));
    let rows =
        x.chunks((ROWS * k).max(1)).zip(pairs.chunks_mut((ROWS * depth).max(1))).zip(scales.chunks_mut(ROWS));
    cpu.each(m * k, rows, |((x, pairs), scales)| {
        let rows = x.chunks_exact(k).zip(words_mut(pairs).chunks_exact_mut(depth));
        for ((x, pairs), scale) in rows.zip(scales) {
            *scale = round_row(cpu.level, x, largest_input(k), pairs);
        }
    });
    Rounded { pairs, scales }
}

multiversion! {
    /// Integer sums to what they stand for, in place.
    fn rescale(row_scale: f32, column_scales: &[f32], sums: &mut [f32]) {
        for (sum, column_scale) in sums.iter_mut().zip(column_scales) {
            *sum = sum.to_bits().cast_signed() as f32 * (row_scale * column_scale);
        }
    }
}

/// `x · weightᵀ` for `x [m, k]` and a weight of `n` outputs; rows of sums go to `finish` as [`each_tile`] says.
pub(super) fn product<const N: usize>(
    cpu: &Cpu,
    [m, n, k]: [usize; 3],
    x: &[f32],
    weight: &Weight,
    targets: [&mut [f32]; N],
    finish: impl Fn(usize, &[f32], [&mut [f32]; N]) + Send + Sync,
) {
    assert!(x.len() >= m * k, "product of {m}×{n}×{k} with a buffer that is too short");
    let (depth, rounded) = (k.div_ceil(2), round_rows(cpu, &x[..m * k], m, k));
    let (left, scales) = (words(&rounded.pairs), &rounded.scales);
    let sum = |tile: Tile, sums: &mut [f32]| {
        let stride = tile.stride();
        let sums = &mut sums[..tile.rows * stride];
        sums.fill(0.0);
        let right = &weight.pairs[tile.column * depth..][..stride * depth];
        let (left, words) = (&left[tile.row * depth..], words_mut(sums));
        pairs::multiply(
            |left, right| int8_tile::tile(cpu.level, left, right),
            depth,
            left,
            right,
            words,
            stride,
        );
        for (sums, scale) in sums.chunks_exact_mut(stride).zip(&scales[tile.row..]) {
            rescale(cpu.level, *scale, &weight.scales[tile.column..][..stride], sums);
        }
    };
    each_tile(cpu, [m, n, k], targets, sum, finish);
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
        let round = |row: &[f32], steps: f32| -> (Vec<f64>, f64) {
            let largest = row.iter().fold(0.0_f32, |a, x| a.max(x.abs()));
            let factor = steps / largest;
            let integers = row.iter().map(|x| f64::from((x * factor).round_ties_even())).collect();
            (integers, f64::from(largest / steps))
        };
        for row in 0..m {
            let (left, left_scale) = round(&x[row * k..][..k], largest_input(k));
            for column in 0..n {
                let (right, right_scale) = round(&weight[column * k..][..k], 127.0);
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
            let mut pairs = [7; 2];
            assert_eq!(round_row(level, &[0.0, 0.0, 0.0], 127.0, &mut pairs).to_bits(), 0);
            assert_eq!(pairs, [0, 0]);
            assert!(round_row(level, &[0.0, f32::NAN, 1.0], 127.0, &mut pairs).is_nan());
            assert!(round_row(level, &[0.0, f32::NEG_INFINITY], 127.0, &mut pairs[..1]).is_nan());
        }
    }

    #[test]
    fn the_largest_inputs_and_weights_never_overflow() {
        for k in [1, 2, 384, 1536, 5000, MOST_INPUTS] {
            let sum = largest_input(k) as i64 * i64::from(LARGEST) * k as i64;
            assert!(largest_input(k) >= LARGEST as f32 && sum <= i64::from(i32::MAX), "{k} inputs");
            assert!(largest_input(k) <= f32::from(i16::MAX));
        }
    }

    #[test]
    fn numbers_are_rounded_to_the_nearest_of_255() {
        let mut pairs = [0; 2];
        let scale = round_row(Level::best(), &[-254.0, 3.0, 254.0], 127.0, &mut pairs);
        assert_eq!(scale.to_bits(), 2.0_f32.to_bits());
        assert_eq!(pairs, [(-127_i32 & 0xffff) | (2 << 16), 127]);
    }
}
