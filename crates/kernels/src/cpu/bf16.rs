//! Products in bf16: operands rounded to the upper half of their bits, sums in f32.
//!
//! A level with an instruction for it multiplies pairs of the inner index; the others round the operands in f32 and take
//! the product in f32, whose multiplications are then exact: the results differ by the rounding of sums alone.

use super::bf16_tile::{self, is_native};
use super::lanes::LANES;
use super::level::multiversion;
use super::memory::{Buffer, words, words_mut};
use super::packing::panels;
use super::product::{self, Operand, Right};
use super::tiles::{ROWS, Tile, each_tile};
use super::{Cpu, TILE, pairs};

/// The right operand of a product, rounded and in panels of sixteen columns.
#[derive(Debug)]
pub(super) enum Packed {
    /// `[panels, pairs, 16]` pairs.
    Pairs(Buffer),
    /// What [`product::pack_right`] makes of the rounded numbers.
    Rounded(Buffer),
}

/// Rounds and packs `[k, n]`.
pub(super) fn pack_right(cpu: &Cpu, right: Operand<'_>, n: usize, k: usize) -> Packed {
    if is_native(cpu.level) {
        return Packed::Pairs(right_pairs(cpu, right, n, k));
    }
    let mut panels = product::pack_right(cpu, right, n, k);
    cpu.each(panels.len(), panels.chunks_mut(TILE), |tile| round(cpu.level, tile));
    Packed::Rounded(panels)
}

/// `left · right` for `[m, k] · [k, n]`; rows of sums go to `finish` as [`each_tile`] says.
pub(super) fn product<const N: usize>(
    cpu: &Cpu,
    [m, n, k]: [usize; 3],
    left: Operand<'_>,
    right: &Packed,
    targets: [&mut [f32]; N],
    finish: impl Fn(usize, &[f32], [&mut [f32]; N]) + Send + Sync,
) {
    let left = Operand { values: &left.values[..m * k], ..left };
    let right = match right {
        Packed::Pairs(right) => words(right),
        Packed::Rounded(right) => {
            let values = &rounded(cpu, left.values);
            let left = Operand { values, ..left };
            return product::product(cpu, [m, n, k], left, Right::Packed(right), targets, finish);
        }
    };
    let (depth, left) = (k.div_ceil(2), left_pairs(cpu, left, m, k));
    let left = words(&left);
    let sum = |tile: Tile, sums: &mut [f32]| {
        let stride = tile.stride();
        let sums = &mut sums[..tile.rows * stride];
        sums.fill(0.0);
        let right = &right[tile.column * depth..][..stride * depth];
        let left = &left[tile.row * depth..];
        pairs::multiply(
            |left, right| bf16_tile::tile(cpu.level, left, right),
            depth,
            left,
            right,
            sums,
            stride,
        );
    };
    each_tile(cpu, [m, n, k], targets, sum, finish);
}

/// The bits of the nearest bf16 number, ties to even, in the lower half; a NaN stays one.
#[inline(always)]
fn nearest(x: f32) -> u32 {
    let bits = x.to_bits();
    let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16;
    if x.is_nan() { bits >> 16 | 0x40 } else { rounded }
}

/// Two rounded numbers side by side.
#[inline(always)]
fn pair(low: f32, high: f32) -> i32 {
    (nearest(low) | nearest(high) << 16).cast_signed()
}

multiversion! {
    /// Rounds every number, which stays an f32.
    fn round(values: &mut [f32]) {
        for x in values {
            *x = f32::from_bits(nearest(*x) << 16);
        }
    }
}

fn rounded(cpu: &Cpu, values: &[f32]) -> Buffer {
    let mut copy = cpu.memory.scratch(values.len());
    let tiles = copy.chunks_mut(TILE).zip(values.chunks(TILE));
    cpu.each(values.len(), tiles, |(copy, values)| {
        copy.copy_from_slice(values);
        round(cpu.level, copy);
    });
    copy
}

/// Writes numbers `stride` apart.
#[inline(always)]
fn write(from: impl Iterator<Item = i32>, to: &mut [i32], stride: usize) {
    if stride == 1 {
        to.iter_mut().zip(from).for_each(|(to, from)| *to = from);
    } else {
        to.iter_mut().step_by(stride).zip(from).for_each(|(to, from)| *to = from);
    }
}

multiversion! {
    /// Writes the pairs that lie side by side in a row.
    fn along(row: &[f32], pairs: &mut [i32], stride: usize) {
        let (even, rest) = row.as_chunks::<2>();
        write(even.iter().map(|[low, high]| pair(*low, *high)), pairs, stride);
        if let [last] = rest {
            pairs[even.len() * stride] = pair(*last, 0.0);
        }
    }
}

multiversion! {
    /// Writes the pairs that two rows make, element by element.
    fn across(low: &[f32], high: &[f32], pairs: &mut [i32], stride: usize) {
        write(low.iter().zip(high).map(|(low, high)| pair(*low, *high)), pairs, stride);
    }
}

/// Rows `2p` and `2p + 1` of a matrix, of which there are `k`: `n` elements from `first` on; behind the last row are
/// zeros.
fn two_rows(values: &[f32], [k, width]: [usize; 2], p: usize, first: usize, n: usize) -> [&[f32]; 2] {
    const ZEROS: &[f32] = &[0.0; ROWS];
    [2 * p, 2 * p + 1].map(|row| if row < k { &values[row * width + first..][..n] } else { &ZEROS[..n] })
}

/// A left operand `[m, k]` as `[m, pairs]`.
fn left_pairs(cpu: &Cpu, left: Operand<'_>, m: usize, k: usize) -> Buffer {
    let depth = k.div_ceil(2);
    let mut packed = cpu.memory.scratch(m * depth);
    let tiles = packed.chunks_mut((ROWS * depth).max(1)).zip((0..m).step_by(ROWS));
    cpu.each(m * k, tiles, |(packed, first)| {
        let (packed, rows) = (words_mut(packed), ROWS.min(m - first));
        if left.is_transposed {
            for p in 0..depth {
                let [low, high] = two_rows(left.values, [k, m], p, first, rows);
                across(cpu.level, low, high, &mut packed[p..], depth);
            }
        } else {
            for (row, packed) in left.values[first * k..].chunks_exact(k).zip(packed.chunks_exact_mut(depth))
            {
                along(cpu.level, row, packed, 1);
            }
        }
    });
    packed
}

/// A right operand `[k, n]` as `[panels, pairs, 16]`.
fn right_pairs(cpu: &Cpu, right: Operand<'_>, n: usize, k: usize) -> Buffer {
    let depth = k.div_ceil(2);
    let mut packed = cpu.memory.scratch(panels(n) * LANES * depth);
    let tiles = packed.chunks_mut((LANES * depth).max(1)).zip((0..n).step_by(LANES));
    cpu.each(n * k, tiles, |(packed, first)| {
        let (packed, columns) = (words_mut(packed), LANES.min(n - first));
        if columns < LANES {
            packed.fill(0);
        }
        if right.is_transposed {
            for (lane, row) in right.values[first * k..].chunks_exact(k).take(columns).enumerate() {
                along(cpu.level, row, &mut packed[lane..], LANES);
            }
        } else {
            for (p, packed) in packed.chunks_exact_mut(LANES).enumerate() {
                let [low, high] = two_rows(right.values, [k, n], p, first, columns);
                across(cpu.level, low, high, packed, 1);
            }
        }
    });
    packed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Key, Level, Ops as _};

    /// The nearest number of eight significant bits, ties to even, by arithmetic.
    fn expected(x: f32) -> f32 {
        let unit = 2f64.powi(f64::from(x).abs().log2().floor() as i32 - 7);
        ((f64::from(x) / unit).round_ties_even() * unit) as f32
    }

    fn found(x: f32) -> f32 {
        f32::from_bits(nearest(x) << 16)
    }

    fn draw(purpose: &str, n: usize) -> Vec<f32> {
        (0..n).map(|i| Key::new(1).purpose(purpose).with(i as u64).normal() as f32).collect()
    }

    #[test]
    fn numbers_go_to_the_nearest_and_ties_to_even() {
        let ties = [1.0 + 1.0 / 256.0, 1.0 + 3.0 / 256.0, -1.0 - 1.0 / 256.0, 3.0, 255.5, 1e-30];
        for x in ties.into_iter().chain(draw("x", 10_000)) {
            assert_eq!(found(x).to_bits(), expected(x).to_bits(), "{x}");
        }
        assert_eq!(found(-0.0).to_bits(), (-0.0_f32).to_bits());
        assert_eq!(found(f32::INFINITY).to_bits(), f32::INFINITY.to_bits());
        assert_eq!(found(f32::MAX).to_bits(), f32::INFINITY.to_bits());
        for nan in [f32::NAN, -f32::NAN, f32::from_bits(0x7f80_0001), f32::from_bits(0x7fff_ffff)] {
            assert!(found(nan).is_nan());
        }
    }

    /// A product of every layout of its operands against one of the rounded numbers in f64.
    fn check(level: Level, m: usize, n: usize, k: usize) {
        let cpu = Cpu::with_level(2, level);
        let (left, right) = (draw("left", m * k), draw("right", k * n));
        for (left_transposed, right_transposed) in
            [(false, false), (false, true), (true, false), (true, true)]
        {
            let [a, b] = [Operand { values: &left, is_transposed: left_transposed }, {
                Operand { values: &right, is_transposed: right_transposed }
            }];
            let mut out = cpu.zeros(m * n);
            let packed = pack_right(&cpu, b, n, k);
            product(&cpu, [m, n, k], a, &packed, [&mut out], |_, sums, [out]| out.copy_from_slice(sums));
            for row in 0..m {
                for column in 0..n {
                    let left = |i: usize| left[if left_transposed { i * m + row } else { row * k + i }];
                    let right =
                        |i: usize| right[if right_transposed { column * k + i } else { i * n + column }];
                    let products = (0..k).map(|i| f64::from(found(left(i))) * f64::from(found(right(i))));
                    let (sum, size) = products.fold((0.0, 0.0), |(sum, size), x| (sum + x, size + x.abs()));
                    let far = (f64::from(out[row * n + column]) - sum).abs();
                    assert!(
                        far <= 1e-6 * size,
                        "{level} {m}×{n}×{k}, row {row}, column {column}: {far:e} away"
                    );
                }
            }
        }
    }

    #[test]
    fn every_level_gives_the_product_of_the_rounded_numbers() {
        for level in Level::available() {
            for [m, n, k] in [[1, 1, 1], [5, 17, 7], [49, 40, 33], [7, 100, 1000], [100, 33, 384]] {
                check(level, m, n, k);
            }
        }
    }
}
