//! Rows and queries in sixteen bits, rounded while a search goes on and never stored.
//!
//! The sum of a row's and a query's products has to fit 32 bits, so that their steps share the room: for 384 numbers
//! 2 364 on either side of zero each, nineteen times as many as a copy in eight bits has.

use super::bound::{QueryBound, RowBound, Sums, is_tame, largest};

/// Numbers side by side: a register of AVX-512, two of AVX2.
const LANES: usize = 16;

/// 1.5 · 2²³ added to a number no greater than 2²² leaves the nearest whole one in the low bits, ties to even.
const WHOLE: f32 = 12_582_912.0;

/// The same for f64.
const WHOLE_F64: f64 = 1.5 * (1_u64 << 52) as f64;

/// The largest whole number of a row and of a query: no sum of `dim` products of them overflows.
fn steps(dim: usize) -> u16 {
    (i32::MAX as usize / dim).isqrt().min(i16::MAX as usize) as u16
}

/// Two whole numbers in one.
pub(crate) fn pair(first: i16, second: i16) -> i32 {
    i32::from(first) & 0xffff | i32::from(second) << 16
}

/// Rounds a row to pairs of neighbouring positions, `[⌈dim / 2⌉]`. A number that is not finite leaves it without a
/// bound.
///
/// It becomes part of its caller, with the instructions of the caller's level.
#[expect(clippy::inline_always, reason = "a call would be compiled for the baseline's instructions")]
#[inline(always)]
pub(crate) fn round_row(row: &[f32], pairs: &mut [i32]) -> RowBound {
    let (sixteens, rest) = row.as_chunks::<LANES>();
    // Zeros change none of the sums.
    let mut last = [0.0; LANES];
    last[..rest.len()].copy_from_slice(rest);
    let largest = largest_of(sixteens, &last);
    if !is_tame(largest) {
        pairs.fill(0);
        return RowBound::NONE;
    }
    let steps = f32::from(steps(row.len()));
    let (scale, inverse) = (largest / steps, if largest > 0.0 { steps / largest } else { 0.0 });
    let (mut errors, mut squares) = ([0.0; LANES], [0.0; LANES]);
    let (whole, left) = pairs.split_at_mut(sixteens.len() * LANES / 2);
    for (numbers, pairs) in sixteens.iter().zip(whole.as_chunks_mut().0) {
        *pairs = round_sixteen(numbers, scale, inverse, &mut errors, &mut squares);
    }
    let last = round_sixteen(&last, scale, inverse, &mut errors, &mut squares);
    left.copy_from_slice(&last[..left.len()]);
    RowBound::of_squares(row.len(), scale, errors.iter().sum(), squares.iter().sum())
}

#[expect(clippy::inline_always, reason = "a call would be compiled for the baseline's instructions")]
#[inline(always)]
fn largest_of(sixteens: &[[f32; LANES]], last: &[f32; LANES]) -> f32 {
    let mut largest = last.map(f32::abs);
    for numbers in sixteens {
        for (largest, number) in largest.iter_mut().zip(numbers) {
            *largest = if number.abs() > *largest { number.abs() } else { *largest };
        }
    }
    largest.into_iter().fold(0.0, f32::max)
}

/// Rounds sixteen numbers, and adds the squares of them and of what they lose.
#[expect(clippy::inline_always, reason = "a call would be compiled for the baseline's instructions")]
#[inline(always)]
fn round_sixteen(
    numbers: &[f32; LANES],
    scale: f32,
    inverse: f32,
    errors: &mut [f32; LANES],
    squares: &mut [f32; LANES],
) -> [i32; LANES / 2] {
    let mut copies = [0_i16; LANES];
    for lane in 0..LANES {
        let whole = numbers[lane] * inverse + WHOLE;
        copies[lane] = whole.to_bits() as i16;
        let error = numbers[lane] - (whole - WHOLE) * scale;
        errors[lane] += error * error;
        squares[lane] += numbers[lane] * numbers[lane];
    }
    let mut pairs = [0; LANES / 2];
    for (own, &[first, second]) in pairs.iter_mut().zip(copies.as_chunks().0) {
        *own = pair(first, second);
    }
    pairs
}

/// Rounds a query of finite numbers for rows of [`round_row`].
pub(crate) fn round_query(query: &[f32], copy: &mut [i16]) -> QueryBound {
    let steps = steps(query.len());
    query_in_steps(query, f64::from(steps), copy)
}

/// Rounds a query of finite numbers to so many steps on either side of zero.
pub(super) fn query_in_steps(query: &[f32], steps: f64, copy: &mut [i16]) -> QueryBound {
    copy.fill(0);
    let largest = f64::from(largest(query));
    if !is_tame(largest as f32) {
        return QueryBound::NONE;
    }
    let scale = if steps > 0.0 { largest / steps } else { 0.0 };
    let mut error = 0.0;
    for (copy, number) in copy.iter_mut().zip(query.iter().map(|&number| f64::from(number))) {
        let whole = if scale > 0.0 { (number / scale + WHOLE_F64) - WHOLE_F64 } else { 0.0 };
        *copy = whole.clamp(-steps, steps) as i16;
        let distance = number - f64::from(*copy) * scale;
        error += distance * distance;
    }
    QueryBound::of(query, scale, error.sqrt(), Sums::EXACT)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `round_row` says, and what f64 says of the numbers that it made.
    fn checked(row: &[f32]) -> (RowBound, f64, f64) {
        let mut pairs = vec![-1; row.len().div_ceil(2)];
        let bound = round_row(row, &mut pairs);
        let copies = pairs.iter().flat_map(|&pair| [pair as i16, (pair >> 16) as i16]);
        let (mut error, mut norm, mut copied) = (0.0_f64, 0.0_f64, 0.0_f64);
        for (number, copy) in row.iter().map(|&number| f64::from(number)).zip(copies) {
            let copy = f64::from(copy) * f64::from(bound.scale);
            error += (number - copy).powi(2);
            norm += number * number;
            copied += copy * copy;
        }
        (bound, error.sqrt(), norm.max(copied).sqrt())
    }

    #[test]
    fn bounds_hold_and_are_tight() {
        for dim in [1, 2, 15, 16, 17, 31, 33, 384, 1025] {
            for length in [1e-14, 1e-5, 1.0, 1e7, 1e15] {
                let row: Vec<f32> = (0..dim).map(|place| length * (place as f32 + 0.7).sin()).collect();
                let (bound, error, norm) = checked(&row);
                assert!(error <= f64::from(bound.error), "{dim}, {length}: {error} and {bound:?}");
                assert!(norm <= f64::from(bound.norm), "{dim}, {length}: {norm} and {bound:?}");
                assert!(f64::from(bound.error) <= error * 1.001 + 2e-7 * norm, "{dim}, {length}: {bound:?}");
                assert!(f64::from(bound.norm) <= norm * 1.001, "{dim}, {length}: {bound:?}");
                // Half a step at each position, were all of them unlucky.
                let most = 0.5 * f64::from(bound.scale) * (dim as f64).sqrt();
                assert!(error <= 1.001 * most, "{dim}, {length}: {error} of {most}");
            }
        }
    }

    #[test]
    fn rows_without_a_bound_and_rows_of_zeros() {
        for number in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e17, 1e-17] {
            for place in [0, 16, 17] {
                let mut row = [0.0; 18];
                row[place] = number;
                let bound = checked(&row).0;
                assert!(bound.error == f32::INFINITY, "{number} at {place}: {bound:?}");
            }
        }
        assert_eq!(checked(&[0.0; 18]).0, RowBound { scale: 0.0, error: 0.0, norm: 0.0 });
        let mut nan = [1.0; 18];
        nan[3] = f32::NAN;
        assert!(checked(&nan).0.error == f32::INFINITY);
    }

    #[test]
    fn sums_of_the_largest_rows_and_queries_do_not_overflow() {
        for dim in [1_usize, 2, 3, 384, 768, 65_537, 1 << 23] {
            let (row, mut pairs, mut copy) = (vec![-1.0; dim], vec![0; dim.div_ceil(2)], vec![0; dim]);
            round_row(&row, &mut pairs);
            round_query(&row, &mut copy);
            let sum: i64 = (0..dim)
                .map(|place| {
                    let number = pairs[place / 2] >> (16 * (place % 2));
                    i64::from(number as i16) * i64::from(copy[place])
                })
                .sum();
            assert!(sum > 0 && sum <= i64::from(i32::MAX), "{dim}: {sum}");
        }
    }
}
