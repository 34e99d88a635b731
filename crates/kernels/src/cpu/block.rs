//! Blocks of products, by the instructions of a level: what attention and the large products are made of.
//!
//! Operands are made of 32-bit words ([`Form`]), each one number or several narrow ones; the loops are the same for all.
//! The right operand is packed into panels of sixteen columns (`packing`); the left one is read where it lies.
//! Each element of the result is summed in the order of the inner index, whatever the blocking.

#[cfg(target_arch = "x86_64")]
use super::amx;
use super::blocking::blocked;
use super::columns::Columns;
use super::form::Form;
use super::left::Left;
use super::level::{Level, LevelKind, multiversion};
use super::packing::Panels;
#[cfg(target_arch = "x86_64")]
use super::sixteen::{Avx2, Avx2Bytes, Avx2Pairs, Avx512, Avx512Bf16, Avx512Bytes, Avx512Pairs};
#[cfg(target_arch = "aarch64")]
use super::sixteen::{Neon, NeonBytes};
use super::sixteen::{Portable, PortablePairs};

/// `out = left · right`, or `out += …`, for `n` rows of words of the form that `right` has.
/// `out` has as many columns as the panels of `right`, or ends inside the last of them, or has more, which stay as they are.
pub(super) fn multiply(
    level: Level,
    left: Left<'_>,
    n: usize,
    right: Panels<'_>,
    accumulate: bool,
    out: &mut Columns<'_>,
) {
    match (right.form(), level.kind()) {
        #[cfg(target_arch = "x86_64")]
        (Form::Bf16 | Form::Bytes, LevelKind::Amx) => amx::multiply(level, left, n, right, accumulate, out),
        // SAFETY: there is no level whose instructions this processor lacks.
        #[cfg(target_arch = "x86_64")]
        (Form::Bf16, LevelKind::Avx512Bf16) => unsafe { bf16(left, n, right, accumulate, out) },
        // SAFETY: as above, and the feature that is no part of the level was found.
        #[cfg(target_arch = "x86_64")]
        (Form::Bytes, LevelKind::Avx2) if is_x86_feature_detected!("avxvnni") => unsafe {
            bytes_avx2(left, n, right, accumulate, out);
        },
        #[cfg(target_arch = "x86_64")]
        (Form::Bytes, LevelKind::Avx512 | LevelKind::Avx512Bf16)
            if is_x86_feature_detected!("avx512vnni") =>
        {
            // SAFETY: as above.
            unsafe { bytes_avx512(left, n, right, accumulate, out) }
        }
        // SAFETY: as above.
        #[cfg(target_arch = "aarch64")]
        (Form::Bytes, LevelKind::Neon) if std::arch::is_aarch64_feature_detected!("dotprod") => unsafe {
            bytes_neon(left, n, right, accumulate, out);
        },
        // SAFETY: every AArch64 processor has the instructions.
        #[cfg(target_arch = "aarch64")]
        (Form::Single, LevelKind::Neon) => unsafe {
            blocked::<Neon, 6, 1>(left, n, right, accumulate, out);
        },
        (Form::Single | Form::Pairs, _) => everywhere(level, left, n, right, accumulate, out),
        (form, _) => unreachable!("{form:?} at level {level}"),
    }
}

/// [`blocked`], compiled for what a type of sums needs.
macro_rules! compiled {
    ($name:ident, $features:literal, $sums:ty, $rows:literal, $wide:literal) => {
        #[target_feature(enable = $features)]
        fn $name(left: Left<'_>, n: usize, right: Panels<'_>, accumulate: bool, out: &mut Columns<'_>) {
            // SAFETY: this function is compiled for what the type needs.
            unsafe { blocked::<$sums, $rows, $wide>(left, n, right, accumulate, out) }
        }
    };
}

#[cfg(target_arch = "x86_64")]
compiled!(bf16, "avx512f,avx512bw,avx512bf16", Avx512Bf16, 12, 2);
#[cfg(target_arch = "x86_64")]
compiled!(bytes_avx512, "avx512f,avx512bw,avx512vnni", Avx512Bytes, 12, 2);
#[cfg(target_arch = "x86_64")]
compiled!(bytes_avx2, "avx2,fma,avxvnni", Avx2Bytes, 6, 1);
#[cfg(target_arch = "aarch64")]
compiled!(bytes_neon, "dotprod", NeonBytes, 6, 1);

multiversion! {
    /// The forms that every level has.
    fn everywhere(left: Left<'_>, n: usize, right: Panels<'_>, accumulate: bool, out: &mut Columns<'_>) {
        let is_pairs = right.form() == Form::Pairs;
        // SAFETY: each width is a level's, which the processor has.
        unsafe {
            match (WIDTH, is_pairs) {
                #[cfg(target_arch = "x86_64")]
                (16, false) => blocked::<Avx512, 12, 2>(left, n, right, accumulate, out),
                #[cfg(target_arch = "x86_64")]
                (16, true) => blocked::<Avx512Pairs, 12, 2>(left, n, right, accumulate, out),
                #[cfg(target_arch = "x86_64")]
                (8, false) => blocked::<Avx2, 6, 1>(left, n, right, accumulate, out),
                #[cfg(target_arch = "x86_64")]
                (8, true) => blocked::<Avx2Pairs, 6, 1>(left, n, right, accumulate, out),
                (_, false) => blocked::<Portable<FMA>, 2, 1>(left, n, right, accumulate, out),
                (_, true) => blocked::<PortablePairs, 2, 1>(left, n, right, accumulate, out),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::lanes::LANES;
    use super::super::packing::{Rows, pack_transposed, panels};
    use super::*;
    use crate::Key;

    /// Also where a processor would choose bytes.
    #[test]
    fn pairs_of_integers_are_summed_exactly_at_every_level() {
        let integers = |purpose: &str, n: usize| -> Vec<i16> {
            (0..n).map(|i| (Key::new(2).purpose(purpose).with(i as u64).normal() * 99.0) as i16).collect()
        };
        let words = |integers: &[i16]| -> Vec<f32> {
            let pairs = integers.as_chunks::<2>().0.iter();
            pairs.map(|[a, b]| f32::from_bits(u32::from(*a as u16) | u32::from(*b as u16) << 16)).collect()
        };
        for level in Level::available() {
            for (n, depth, columns) in [(1, 1, 1), (13, 9, 40), (31, 5, 50)] {
                // `[n, depth]` pairs, and `[columns, depth]` of the transpose.
                let (left, right) = (integers("left", 2 * n * depth), integers("right", 2 * columns * depth));
                let mut packed = vec![f32::NAN; panels(columns) * LANES * depth];
                let rows = words(&right);
                pack_transposed(
                    level,
                    Rows { values: &rows, stride: depth, columns: depth },
                    columns,
                    &mut packed,
                );
                let (stride, left_words) = (panels(columns) * LANES, words(&left));
                let mut out = vec![f32::NAN; n * stride];
                let right_panels = Panels::new(Form::Pairs, &packed, depth);
                let operand = Left::rows(&left_words, depth);
                multiply(level, operand, n, right_panels, false, &mut Columns::whole(&mut out, stride));
                for (row, column) in (0..n).flat_map(|row| (0..columns).map(move |column| (row, column))) {
                    let pairs = left[2 * row * depth..][..2 * depth].iter().zip(&right[2 * column * depth..]);
                    let sum: i32 = pairs.map(|(&a, &b)| i32::from(a) * i32::from(b)).sum();
                    assert_eq!(
                        out[row * stride + column].to_bits().cast_signed(),
                        sum,
                        "{level} {n}×{columns}"
                    );
                }
            }
        }
    }
}
