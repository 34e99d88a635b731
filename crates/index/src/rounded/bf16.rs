//! Rows in bfloat16: the sign, the exponent and seven bits of an f32.

use super::bound::{QueryBound, RowBound, is_tame, largest};

/// Roundings that an estimate takes beyond those of its dimension: partial sums are added in the end.
const SUMS: usize = 8;

/// Rounds a row of finite numbers to nearest, ties to even.
pub(crate) fn round_row(row: &[f32], copy: &mut [u16]) -> RowBound {
    if !is_tame(largest(row)) {
        copy.fill(0);
        return RowBound::NONE;
    }
    for (copy, number) in copy.iter_mut().zip(row) {
        let bits = number.to_bits();
        *copy = ((bits + 0x7fff + (bits >> 16 & 1)) >> 16) as u16;
    }
    RowBound::of(row, 1.0, copy.iter().map(|&bits| f64::from(widen(bits))))
}

/// The number that stands for a bfloat16.
#[inline]
pub(crate) fn widen(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

/// The bound of a query, which stays as it is.
pub(crate) fn bound_query(query: &[f32]) -> QueryBound {
    if is_tame(largest(query)) {
        QueryBound::of(query, 1.0, 0.0, query.len() + SUMS)
    } else {
        QueryBound::NONE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_rounded_to_nearest_even() {
        let step = 1.0 / 128.0;
        let check = |number: f32, expected: f32| {
            let mut copy = [0];
            round_row(&[number], &mut copy);
            assert_eq!(widen(copy[0]).to_bits(), expected.to_bits(), "{number}");
        };
        check(1.0 + step, 1.0 + step);
        check(1.0 + 0.5 * step, 1.0);
        check(1.0 + 1.5 * step, 1.0 + 2.0 * step);
        check(-1.0 - 0.51 * step, -1.0 - step);
        check(-0.0, -0.0);
        check(1.999, 2.0);
    }
}
