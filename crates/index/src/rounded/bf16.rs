//! Rows in bfloat16: the sign, the exponent and seven bits of an f32.

use super::bound::{QueryBound, RowBound, Sums, is_tame, largest};

/// Roundings that an estimate takes beyond those of its dimension: partial sums are added in the end.
const SUMS: usize = 8;

/// Rounds to nearest, ties to even.
#[inline]
fn nearest(number: f32) -> u16 {
    let bits = number.to_bits();
    ((bits + 0x7fff + (bits >> 16 & 1)) >> 16) as u16
}

/// Rounds a row of finite numbers.
pub(crate) fn round_row(row: &[f32], copy: &mut [u16]) -> RowBound {
    if !is_tame(largest(row)) {
        copy.fill(0);
        return RowBound::NONE;
    }
    for (copy, &number) in copy.iter_mut().zip(row) {
        *copy = nearest(number);
    }
    RowBound::of(row, 1.0, copy.iter().map(|&bits| f64::from(widen(bits))))
}

/// The number that stands for a bfloat16.
#[inline]
pub(crate) fn widen(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

/// The bound of a query that stays as it is.
pub(crate) fn bound_query(query: &[f32]) -> QueryBound {
    if is_tame(largest(query)) {
        QueryBound::of(query, 1.0, 0.0, Sums { roundings: query.len() + SUMS, are_flushed: false })
    } else {
        QueryBound::NONE
    }
}

/// Rounds a query of finite numbers to the bits of bfloat16, for the instruction that multiplies pairs: products of bfloat16 are exact, each is
/// added with one rounding in whatever order, and what is subnormal becomes zero (Intel 64 and IA-32 Architectures Software
/// Developer's Manual, volume 2, VDPBF16PS).
pub(crate) fn round_query(query: &[f32], copy: &mut [i16]) -> QueryBound {
    copy.fill(0);
    if !is_tame(largest(query)) {
        return QueryBound::NONE;
    }
    let mut error = 0.0;
    for (copy, &number) in copy.iter_mut().zip(query) {
        let bits = nearest(number);
        *copy = bits.cast_signed();
        let distance = f64::from(number) - f64::from(widen(bits));
        error += distance * distance;
    }
    let sums = Sums { roundings: query.len() + SUMS, are_flushed: true };
    QueryBound::of(query, 1.0, error.sqrt(), sums)
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
