//! Numbers rounded to bf16 as the words of products: the upper half of their bits, to nearest, ties to even.
//!
//! Where the level has no instruction for pairs, a word is a rounded number that stays an f32.

#[cfg(target_arch = "x86_64")]
mod pairs;

use super::columns::Columns;
use super::form::Form;
use super::level::{Level, multiversion};
use super::packing::Rows;

/// `n` rows whose columns are the inner index, as `[n, words of the columns]`.
pub(super) fn along(level: Level, rows: Rows<'_>, n: usize, words: &mut Columns<'_>) {
    match Form::of_bf16(level) {
        // SAFETY: the form is chosen where the level, and so the processor, has the instruction.
        #[cfg(target_arch = "x86_64")]
        Form::Bf16 => unsafe { pairs::along(rows, n, words) },
        _ => round(level, rows, n, words),
    }
}

/// `n` rows that are the inner index, as `[words of n, columns]`.
pub(super) fn across(level: Level, rows: Rows<'_>, n: usize, words: &mut Columns<'_>) {
    match Form::of_bf16(level) {
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Form::Bf16 => unsafe { pairs::across(rows, n, words) },
        _ => round(level, rows, n, words),
    }
}

/// As [`across`] for rows that are words [`along`] their columns already, as `[words of n, numbers of the words]`: where a
/// row's last word of two holds one number, zeros are the last column.
pub(super) fn across_words(level: Level, rows: Rows<'_>, n: usize, words: &mut Columns<'_>) {
    match Form::of_bf16(level) {
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Form::Bf16 => unsafe { pairs::across_words(rows, n, words) },
        _ => round(level, rows, n, words),
    }
}

/// The nearest number of bf16; a NaN stays one.
#[inline(always)]
fn nearest(x: f32) -> f32 {
    let bits = x.to_bits();
    let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16;
    f32::from_bits(if x.is_nan() { bits >> 16 | 0x40 } else { rounded } << 16)
}

multiversion! {
    fn round(rows: Rows<'_>, n: usize, words: &mut Columns<'_>) {
        for row in 0..n {
            for (word, x) in words.row(row).iter_mut().zip(rows.row(row)) {
                *word = nearest(*x);
            }
        }
    }
}

multiversion! {
    /// The numbers of a row's words of pairs: as many as `to` holds.
    pub(super) fn numbers(words: &[f32], to: &mut [f32]) {
        let (pairs, last) = to.as_chunks_mut::<2>();
        for (pair, word) in pairs.iter_mut().zip(words) {
            let bits = word.to_bits();
            *pair = [bits << 16, bits & 0xffff_0000].map(f32::from_bits);
        }
        if let ([last], Some(word)) = (last, words.last()) {
            *last = f32::from_bits(word.to_bits() << 16);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Key;

    /// The nearest number of eight significant bits, ties to even, by arithmetic.
    fn expected(x: f32) -> f32 {
        let unit = 2f64.powi(f64::from(x).abs().log2().floor() as i32 - 7);
        ((f64::from(x) / unit).round_ties_even() * unit) as f32
    }

    /// What a word's numbers are, first the lower one.
    fn numbers(form: Form, word: f32) -> Vec<f32> {
        let bits = word.to_bits();
        match form {
            Form::Single => vec![word],
            _ => [bits << 16, bits & 0xffff_0000].map(f32::from_bits).to_vec(),
        }
    }

    #[test]
    fn numbers_go_to_the_nearest_and_ties_to_even() {
        let ties = [1.0 + 1.0 / 256.0, 1.0 + 3.0 / 256.0, -1.0 - 1.0 / 256.0, 3.0, 255.5, 1e-30];
        let drawn = (0..10_000).map(|i| Key::new(1).with(i).normal() as f32);
        for x in ties.into_iter().chain(drawn) {
            assert_eq!(nearest(x).to_bits(), expected(x).to_bits(), "{x}");
        }
        assert_eq!(nearest(-0.0).to_bits(), (-0.0_f32).to_bits());
        assert_eq!(nearest(f32::INFINITY).to_bits(), f32::INFINITY.to_bits());
        assert_eq!(nearest(f32::MAX).to_bits(), f32::INFINITY.to_bits());
        for nan in [f32::NAN, -f32::NAN, f32::from_bits(0x7f80_0001), f32::from_bits(0x7fff_ffff)] {
            assert!(nearest(nan).is_nan());
        }
    }

    #[test]
    fn words_hold_the_rounded_numbers_of_rows_and_columns() {
        for level in Level::available() {
            let form = Form::of_bf16(level);
            for (n, columns) in [(1, 1), (2, 16), (3, 26), (4, 33), (5, 47), (6, 64), (7, 63), (31, 31)] {
                let stride = columns + 3;
                let values: Vec<f32> =
                    (0..n * stride).map(|i| Key::new(2).with(i as u64).normal() as f32).collect();
                let rows = Rows { values: &values, stride, columns };
                let at = |row: usize, column: usize| match (row < n, column < columns) {
                    (true, true) => nearest(values[row * stride + column]),
                    _ => 0.0,
                };
                let mut words = vec![f32::NAN; n * form.words(columns)];
                along(level, rows, n, &mut Columns::whole(&mut words, form.words(columns)));
                for (place, &word) in words.iter().enumerate() {
                    let (row, word_at) = (place / form.words(columns), place % form.words(columns));
                    for (i, found) in numbers(form, word).into_iter().enumerate() {
                        let column = word_at * numbers(form, 0.0).len() + i;
                        assert_eq!(found.to_bits(), at(row, column).to_bits(), "{level} {n}×{columns}");
                    }
                }
                let mut words = vec![f32::NAN; form.words(n) * columns];
                across(level, rows, n, &mut Columns::whole(&mut words, columns));
                if form == Form::Bf16 {
                    let stride = form.words(columns);
                    let mut kept = vec![f32::NAN; n * stride];
                    along(level, rows, n, &mut Columns::whole(&mut kept, stride));
                    let kept = Rows { values: &kept, stride, columns: stride };
                    let mut same = vec![f32::NAN; form.words(n) * 2 * stride];
                    across_words(level, kept, n, &mut Columns::whole(&mut same, 2 * stride));
                    let bits = |words: &[f32]| words.iter().map(|word| word.to_bits()).collect::<Vec<_>>();
                    for (same, words) in same.chunks_exact(2 * stride).zip(words.chunks_exact(columns)) {
                        assert_eq!(bits(&same[..columns]), bits(words), "{level} {n}×{columns}: from words");
                        assert!(
                            bits(&same[columns..]).iter().all(|word| *word == 0),
                            "{level} {n}×{columns}"
                        );
                    }
                }
                for (place, &word) in words.iter().enumerate() {
                    let (row, column) = (place / columns, place % columns);
                    for (i, found) in numbers(form, word).into_iter().enumerate() {
                        let row = row * numbers(form, 0.0).len() + i;
                        assert_eq!(found.to_bits(), at(row, column).to_bits(), "{level} {n}×{columns}");
                    }
                }
            }
        }
    }
}
