//! Products in bf16: operands rounded to the upper half of their bits, sums in f32.
//!
//! A level with an instruction for it multiplies pairs of the inner index; the others take the product of the rounded
//! numbers in f32, whose multiplications are then exact: the results differ by the rounding of sums alone.

use super::bf16_words::{across, along};
use super::form::Form;
use super::memory::Buffer;
use super::packing::Rows;
use super::product::{self, Operand, Right};
use super::{Cpu, TILE};

/// Rounds and packs `[k, n]`.
pub(super) fn pack_right(cpu: &Cpu, right: Operand<'_>, n: usize, k: usize) -> Buffer {
    let values = &words(cpu, right.values, [n, k], right.is_transposed);
    product::pack_right(cpu, Operand { values, ..right }, n, Form::of_bf16(cpu.level).words(k))
}

/// The words of `[m, k]`, which lie as the operand does.
pub(super) fn left_words(cpu: &Cpu, left: Operand<'_>, m: usize, k: usize) -> Buffer {
    words(cpu, left.values, [m, k], !left.is_transposed)
}

/// `left · right` for `[m, k] · [k, n]`, where `left` is of [`left_words`] and `right` what [`pack_right`] made, as
/// [`product`](product::product) says.
pub(super) fn product<const N: usize>(
    cpu: &Cpu,
    [m, n, k]: [usize; 3],
    left: Operand<'_>,
    right: &[f32],
    accumulate: bool,
    targets: [&mut [f32]; N],
    finish: impl Fn([usize; 2], [&mut [f32]; N]) + Send + Sync,
) {
    let form = Form::of_bf16(cpu.level);
    product::product(
        cpu,
        form,
        [m, n, form.words(k)],
        left,
        Right::Packed(right),
        accumulate,
        targets,
        finish,
    );
}

/// The words of an operand of inner index `k`: of `[outer, k]` where the inner index lies along the rows, or of
/// `[k, outer]`.
fn words(cpu: &Cpu, values: &[f32], [outer, k]: [usize; 2], is_along: bool) -> Buffer {
    let form = Form::of_bf16(cpu.level);
    let depth = form.words(k);
    let mut words = cpu.memory.scratch(outer * depth);
    let (rows, columns) = if is_along { (outer, k) } else { (k, outer) };
    // An even number of rows, so that no pair of them is cut.
    let height = (TILE / columns.max(1)).next_multiple_of(2).max(2);
    let tile = if is_along { height * depth } else { form.words(height) * columns };
    let tiles = words.chunks_mut(tile.max(1)).zip((0..rows).step_by(height));
    cpu.each(rows * columns, tiles, |(words, first)| {
        let from = Rows { values: &values[first * columns..], stride: columns, columns };
        let n = height.min(rows - first);
        if is_along { along(cpu.level, from, n, words) } else { across(cpu.level, from, n, words) }
    });
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Key, Level, Ops as _};

    fn found(x: f32) -> f32 {
        let mut words = [0.0];
        along(Level::Scalar, Rows { values: &[x], stride: 1, columns: 1 }, 1, &mut words);
        words[0]
    }

    fn draw(purpose: &str, n: usize) -> Vec<f32> {
        (0..n).map(|i| Key::new(1).purpose(purpose).with(i as u64).normal() as f32).collect()
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
            let a = Operand { values: &left_words(&cpu, a, m, k), ..a };
            product(&cpu, [m, n, k], a, &packed, false, [&mut out], product::as_it_is);
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
