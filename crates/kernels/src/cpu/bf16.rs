//! Products in bf16: operands rounded to the upper half of their bits, sums in f32.
//!
//! A level with an instruction for it multiplies pairs of the inner index; the others take the product of the rounded
//! numbers in f32, whose multiplications are then exact: the results differ by the rounding of sums alone.

use super::bf16_words::{across, along};
use super::columns::Columns;
use super::form::Form;
use super::memory::Buffer;
use super::packing::Rows;
use super::sums::add_rows;
use super::{Cpu, TILE};

/// The words of `[rows, columns]`, whose columns are the inner index, as `[rows, words]`.
pub(super) fn words(cpu: &Cpu, values: &[f32], rows: usize, columns: usize) -> Buffer {
    assert!(values.len() >= rows * columns, "{rows}×{columns} with {} elements", values.len());
    let depth = Form::of_bf16(cpu.level).words(columns);
    let mut words = cpu.memory.scratch(rows * depth);
    let height = height(columns);
    let values = values[..rows * columns].chunks((height * columns).max(1));
    let tiles = words.chunks_mut((height * depth).max(1)).zip(values);
    cpu.each(rows * columns, tiles, |(words, values)| {
        let rows = Rows { values, stride: columns, columns };
        along(cpu.level, rows, values.len() / columns, &mut Columns::whole(words, depth));
    });
    words
}

/// As [`words`], and with the rows as the inner index, as `[words, columns]`; the sum of each column is added to `sums`,
/// of which there are as many as columns.
pub(super) fn words_both_ways(cpu: &Cpu, values: &[f32], sums: &mut [f32]) -> [Buffer; 2] {
    let columns = sums.len();
    assert!(values.len().is_multiple_of(columns.max(1)), "{} elements in rows of {columns}", values.len());
    let (form, rows, height) = (Form::of_bf16(cpu.level), values.len() / columns.max(1), height(columns));
    let mut words =
        [rows * form.words(columns), form.words(rows) * columns].map(|len| cpu.memory.scratch(len));
    let [along_words, across_words] = &mut words;
    let mut slots = cpu.memory.zeros(rows.div_ceil(height) * columns);
    let tiles = (along_words.chunks_mut((height * form.words(columns)).max(1)))
        .zip(across_words.chunks_mut((form.words(height) * columns).max(1)))
        .zip(values.chunks((height * columns).max(1)).zip(slots.chunks_mut(columns.max(1))));
    cpu.each(rows * columns, tiles, |((along_words, across_words), (values, slot))| {
        let (rows, n) = (Rows { values, stride: columns, columns }, values.len() / columns);
        along(cpu.level, rows, n, &mut Columns::whole(along_words, form.words(columns)));
        across(cpu.level, rows, n, &mut Columns::whole(across_words, columns));
        add_rows(cpu.level, values, slot);
    });
    add_rows(cpu.level, &slots, sums);
    words
}

/// Rows that a task rounds: an even number, so that no pair of them is cut.
fn height(columns: usize) -> usize {
    (TILE / columns.max(1)).next_multiple_of(2).max(2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::product::{Operand, Term, as_it_is, product};
    use crate::cpu::right::{pack_rows, pack_transpose};
    use crate::cpu::source::Source;
    use crate::{Key, Level, Ops as _, Precision};

    fn found(x: f32) -> f32 {
        let mut words = [0.0];
        let rows = Rows { values: &[x], stride: 1, columns: 1 };
        along(Level::SCALAR, rows, 1, &mut Columns::whole(&mut words, 1));
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
            let (form, mut sums) = (Form::of_bf16(level), vec![1.0; m]);
            let left_words = if left_transposed {
                words_both_ways(&cpu, &left, &mut sums).into_iter().next_back().expect("both ways")
            } else {
                words(&cpu, &left, m, k)
            };
            let panels = if right_transposed {
                pack_transpose(&cpu, &words(&cpu, &right, n, k), n, form.words(k))
            } else {
                pack_rows(&cpu, Precision::Bf16, Source::Plain(&right), n, k)
            };
            let operand = Operand { values: &left_words, is_transposed: left_transposed };
            let (mut out, term) = (cpu.zeros(m * n), Term { left: operand, right: &panels });
            product(&cpu, form, [m, n, form.words(k)], &[term], false, [&mut out], as_it_is);
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
    fn both_ways_are_the_words_of_the_rows_and_of_the_columns_and_sums_are_added() {
        for level in Level::available() {
            for (rows, columns) in [(1, 1), (3, 1300), (100, 390), (7, 20_000)] {
                let (cpu, values) = (Cpu::with_level(2, level), draw("values", rows * columns));
                let mut sums = vec![1.0; columns];
                let [along, across] = words_both_ways(&cpu, &values, &mut sums);
                assert_eq!(along[..], words(&cpu, &values, rows, columns)[..]);
                let mut expected = cpu.zeros(across.len());
                let whole = Rows { values: &values, stride: columns, columns };
                super::across(level, whole, rows, &mut Columns::whole(&mut expected, columns));
                let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
                assert_eq!(bits(&across), bits(&expected), "{level} {rows}×{columns}");
                for (column, sum) in sums.iter().enumerate() {
                    let exact: f64 = (0..rows).map(|row| f64::from(values[row * columns + column])).sum();
                    assert!((f64::from(*sum) - 1.0 - exact).abs() < 1e-4, "{level} {rows}×{columns}");
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
