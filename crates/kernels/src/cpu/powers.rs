//! Four rows to exponentials at once, in registers of AVX-512.
//!
//! One row waits for its largest number and then for each power's polynomial, longer than the arithmetic takes; four rows
//! wait together. To the bit what [`exponentials`](super::softmax::exponentials) gives.

use std::arch::x86_64::{
    __m512, _MM_FROUND_TO_NEAREST_INT, _mm512_add_ps, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_max_ps,
    _mm512_mul_ps, _mm512_reduce_max_ps, _mm512_roundscale_ps, _mm512_scalef_ps, _mm512_set1_ps,
    _mm512_setzero_ps, _mm512_storeu_ps, _mm512_sub_ps,
};
use std::f32::consts::{LN_2, LOG2_E};

use super::functions::{EXP2, LOWEST};
use super::lanes::{LANES, Lanes, tree_sum};

/// Rows that are worked on together.
pub(super) const ROWS: usize = 4;

#[inline]
#[target_feature(enable = "avx512f")]
fn load(lanes: &Lanes) -> __m512 {
    // SAFETY: sixteen numbers are a register.
    unsafe { _mm512_loadu_ps(lanes.as_ptr()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store(register: __m512, to: &mut Lanes) {
    // SAFETY: sixteen numbers are a register.
    unsafe { _mm512_storeu_ps(to.as_mut_ptr(), register) };
}

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

/// `row = exp(scale · (row − largest))` of four rows of `length` registers that lie `stride` registers apart; returns
/// scale · largest and the sum of each.
#[target_feature(enable = "avx512f")]
#[expect(clippy::needless_range_loop, reason = "iterators over rows would keep their sums in memory")]
pub(super) fn exponentials(scale: f32, rows: &mut [Lanes], stride: usize, length: usize) -> [[f32; 2]; ROWS] {
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
    for place in 0..length {
        for row in 0..ROWS {
            let distance = _mm512_sub_ps(load(&rows[row][place]), largest[row]);
            let power = exp2_of_negative(_mm512_mul_ps(distance, _mm512_set1_ps(scale)));
            store(power, &mut rows[row][place]);
            sums[row] = _mm512_add_ps(sums[row], power);
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
    use crate::cpu::softmax;
    use crate::{Key, Level};

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
            let bits = |row: &[f32]| row.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(ours), bits(alone), "row {number} of {length}");
        }
    }

    #[test]
    fn four_rows_are_to_the_bit_what_each_is_alone() {
        if Level::Avx512.is_available() {
            for length in [1, 2, 15, 16] {
                for spread in [0.1, 3.0, 1e3, 1e30] {
                    check(length, spread);
                }
            }
        }
    }
}
