//! Rows in eight bits and queries in sixteen, so that their inner products are sums of integers.
//!
//! A document's numbers are divided by its scale, its largest number ÷ 127, and rounded, ties to even. A query's are
//! rounded as finely as sums of 32 bits allow, since that costs nothing: its share of the error vanishes beside the
//! document's.

use super::bound::{QueryBound, RowBound, is_tame, largest};
use super::int16::query_in_steps;

/// The largest number of a document's copy.
const STEPS: f32 = 127.0;

/// Rounds a row of finite numbers.
pub(crate) fn round_row(row: &[f32], copy: &mut [i8]) -> RowBound {
    let largest = largest(row);
    if !is_tame(largest) {
        copy.fill(0);
        return RowBound::NONE;
    }
    let scale = largest / STEPS;
    for (copy, number) in copy.iter_mut().zip(row) {
        *copy = if scale > 0.0 { (number / scale).round_ties_even().clamp(-STEPS, STEPS) as i8 } else { 0 };
    }
    RowBound::of(row, scale, copy.iter().map(|&number| f64::from(number) * f64::from(scale)))
}

/// Rounds a query of finite numbers to such whole numbers that no sum with a document's overflows.
pub(crate) fn round_query(query: &[f32], copy: &mut [i16]) -> QueryBound {
    // 128, since a damaged file may hold −128 and sums must not overflow even then.
    let steps = f64::from(i16::MAX).min((i64::from(i32::MAX) / (128 * query.len() as i64)) as f64);
    query_in_steps(query, steps, copy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_rounded_to_127_steps_on_either_side() {
        let mut copy = [0; 4];
        let bound = round_row(&[254.0, -254.0, 1.0, -3.0], &mut copy);
        assert_eq!((copy, bound.scale), ([127, -127, 0, -2], 2.0));
        assert!(bound.error >= 2_f32.sqrt() && bound.error < 1.4144, "{bound:?}");
        let zeros = RowBound { scale: 0.0, error: 0.0, norm: 0.0 };
        assert_eq!((round_row(&[0.0; 4], &mut copy), copy), (zeros, [0; 4]));
        assert_eq!((round_row(&[1e30; 4], &mut copy), copy), (RowBound::NONE, [0; 4]));
    }

    #[test]
    fn sums_with_the_longest_rows_do_not_overflow() {
        for dim in [1_usize, 384, 768, 65_536, 1 << 23] {
            let (query, mut copy) = (vec![-1.0; dim], vec![0; dim]);
            round_query(&query, &mut copy);
            let sum: i64 = copy.iter().map(|&number| -128 * i64::from(number)).sum();
            assert!(sum > 0 && sum <= i64::from(i32::MAX), "{dim}: {sum}");
        }
    }

    #[test]
    fn a_query_is_much_closer_to_its_copy_than_a_document() {
        let numbers: Vec<f32> = (0..384).map(|place| (place as f32).sin()).collect();
        let document = round_row(&numbers, &mut vec![0; 384]);
        let query = round_query(&numbers, &mut vec![0; 384]);
        assert!(query.share * 50.0 < document.error / document.norm, "{query:?}, {document:?}");
    }
}
