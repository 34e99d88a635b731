//! Four rows to exponentials at once, in registers of AVX-512.
//!
//! One row waits for its largest number and then for each power's polynomial, longer than the arithmetic takes; four rows
//! wait together. To the bit what [`exponentials`](super::softmax::exponentials) gives.

use std::arch::x86_64::{
    __m512, _MM_FROUND_TO_NEAREST_INT, _mm512_add_ps, _mm512_fmadd_ps, _mm512_max_ps, _mm512_mul_ps,
    _mm512_reduce_max_ps, _mm512_roundscale_ps, _mm512_scalef_ps, _mm512_set1_ps, _mm512_setzero_ps,
    _mm512_sub_ps,
};
use std::f32::consts::{LN_2, LOG2_E};

use super::functions::{EXP2, LOWEST};
use super::lanes::{LANES, Lanes, tree_sum};
use super::zmm::{load, rounded, store, store_words};

/// Rows that are worked on together.
pub(super) const ROWS: usize = 4;

/// [`exp2_of_negative`](super::functions::exp2_of_negative) of sixteen numbers.
#[inline]
#[target_feature(enable = "avx512f")]
fn exp2_of_negative(x: __m512) -> __m512 {
    // The second operand where one is NaN.
    let x = _mm512_max_ps(_mm512_set1_ps(LOWEST), x);
    let n = _mm512_roundscale_ps::<_MM_FROUND_TO_NEAREST_INT>(x);
    let r = _mm512_sub_ps(x, n);
    let [rest @ .., last] = EXP2;
    let mut sum = _mm512_set1_ps(last);
    for coefficient in rest.into_iter().rev() {
        sum = _mm512_fmadd_ps(sum, r, _mm512_set1_ps(coefficient));
    }
    _mm512_scalef_ps(sum, n)
}

/// What becomes of a row's powers, two registers at a time: `(row, place of the first, powers)`.
trait Write: Fn(&mut [Lanes], usize, [__m512; 2]) {}

impl<F: Fn(&mut [Lanes], usize, [__m512; 2])> Write for F {}

/// `row = exp(scale · (row − largest))` of four rows of `length` registers that lie `stride` registers apart; returns
/// scale · largest and the sum of each.
#[target_feature(enable = "avx512f")]
pub(super) fn exponentials(scale: f32, rows: &mut [Lanes], stride: usize, length: usize) -> [[f32; 2]; ROWS] {
    let write = |row: &mut [Lanes], place: usize, [first, second]: [__m512; 2]| {
        store(first, &mut row[place]);
        if let Some(to) = row.get_mut(place + 1) {
            store(second, to);
        }
    };
    four(scale, rows, stride, length, write)
}

/// The same, rounded to words of two numbers in bf16, which stand where a row began.
#[target_feature(enable = "avx512f,avx512bf16")]
pub(super) fn exponentials_in_words(
    scale: f32,
    rows: &mut [Lanes],
    stride: usize,
    length: usize,
) -> [[f32; 2]; ROWS] {
    let write = |row: &mut [Lanes], place: usize, [first, second]: [__m512; 2]| {
        store_words(rounded(first, second), &mut row[place / 2]);
    };
    four(scale, rows, stride, length, write)
}

#[inline]
#[target_feature(enable = "avx512f")]
#[expect(clippy::needless_range_loop, reason = "iterators over rows would keep their sums in memory")]
fn four(scale: f32, rows: &mut [Lanes], stride: usize, length: usize, write: impl Write) -> [[f32; 2]; ROWS] {
    let (low, high) = rows.split_at_mut(2 * stride);
    let ((a, b), (c, d)) = (low.split_at_mut(stride), high.split_at_mut(stride));
    let rows = [&mut a[..length], &mut b[..length], &mut c[..length], &mut d[..length]];
    let scale = scale * LOG2_E;
    let mut largest = [_mm512_set1_ps(f32::NEG_INFINITY); ROWS];
    for place in 0..length {
        for row in 0..ROWS {
            largest[row] = _mm512_max_ps(load(&rows[row][place]), largest[row]);
        }
    }
    let (mut found, mut sums) = ([[0.0; 2]; ROWS], [_mm512_setzero_ps(); ROWS]);
    for row in 0..ROWS {
        let number = _mm512_reduce_max_ps(largest[row]);
        found[row][0] = number * scale * LN_2;
        largest[row] = _mm512_set1_ps(number);
    }
    let power = |scores: &Lanes, largest: __m512| {
        let distance = _mm512_sub_ps(load(scores), largest);
        exp2_of_negative(_mm512_mul_ps(distance, _mm512_set1_ps(scale)))
    };
    for place in (0..length).step_by(2) {
        for row in 0..ROWS {
            let first = power(&rows[row][place], largest[row]);
            sums[row] = _mm512_add_ps(sums[row], first);
            let second =
                rows[row].get(place + 1).map_or(_mm512_setzero_ps(), |scores| power(scores, largest[row]));
            sums[row] = _mm512_add_ps(sums[row], second);
            write(rows[row], place, [first, second]);
        }
    }
    for row in 0..ROWS {
        let mut lanes = [0.0; LANES];
        store(sums[row], &mut lanes);
        found[row][1] = tree_sum(lanes);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::columns::Columns;
    use crate::cpu::packing::Rows;
    use crate::cpu::{bf16_words, softmax};
    use crate::{Key, Level, LevelKind};

    fn bits(row: &[f32]) -> Vec<u32> {
        row.iter().map(|x| x.to_bits()).collect()
    }

    /// Words in place of powers, for rows that are a register apart.
    fn check_words(level: Level, length: usize) {
        let (key, stride) = (Key::new(length as u64), (length + 1) * LANES);
        let scores: Vec<f32> = (0..ROWS * stride).map(|i| key.with(i as u64).normal() as f32).collect();
        let (mut powers, mut words) = (scores.clone(), scores);
        // SAFETY: the level has the instructions.
        let found = unsafe {
            [
                exponentials(0.2, powers.as_chunks_mut().0, length + 1, length),
                exponentials_in_words(0.2, words.as_chunks_mut().0, length + 1, length),
            ]
        };
        assert_eq!(found[0].map(|row| row.map(f32::to_bits)), found[1].map(|row| row.map(f32::to_bits)));
        let columns = length * LANES;
        let mut expected = vec![0.0; ROWS * columns / 2];
        let to = &mut Columns::whole(&mut expected, columns.div_ceil(2));
        bf16_words::along(level, Rows { values: &powers, stride, columns }, ROWS, to);
        for (row, expected) in words.chunks_exact(stride).zip(expected.chunks_exact(columns / 2)) {
            assert_eq!(bits(&row[..columns / 2]), bits(expected), "{length} registers");
        }
    }

    #[test]
    fn words_hold_the_rounded_powers() {
        if let Some(level) = LevelKind::Avx512Bf16.detect() {
            for length in [1, 2, 3, 16] {
                check_words(level, length);
            }
        }
    }

    /// Four drawn rows of `length` registers, a register apart: what pads a row at the end of the first, a NaN in the
    /// second.
    fn check(length: usize, spread: f64) {
        let (key, stride) = (Key::new(length as u64), (length + 1) * LANES);
        let mut rows: Vec<f32> =
            (0..ROWS * stride).map(|i| (key.with(i as u64).normal() * spread) as f32).collect();
        rows[length * LANES - 1] = f32::NEG_INFINITY;
        rows[stride + 5] = f32::NAN;
        let mut expected = rows.clone();
        // SAFETY: the test asks for the level before.
        let found = unsafe { exponentials(0.2, rows.as_chunks_mut().0, length + 1, length) };
        let pairs = rows.chunks_exact(stride).zip(expected.chunks_exact_mut(stride));
        for (number, (ours, alone)) in pairs.enumerate() {
            let one = softmax::exponentials::<true>(0.2, &mut alone[..length * LANES]);
            if number == 1 {
                assert!(found[1][1].is_nan() && one[1].is_nan(), "a NaN stays one");
                continue;
            }
            assert_eq!(found[number].map(f32::to_bits), one.map(f32::to_bits), "row {number} of {length}");
            assert_eq!(bits(ours), bits(alone), "row {number} of {length}");
        }
    }

    #[test]
    fn four_rows_are_to_the_bit_what_each_is_alone() {
        if LevelKind::Avx512.detect().is_some() {
            for length in [1, 2, 15, 16] {
                for spread in [0.1, 3.0, 1e3, 1e30] {
                    check(length, spread);
                }
            }
        }
    }
}
