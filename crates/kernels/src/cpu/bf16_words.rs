//! Numbers rounded to bf16 as the words of products: the upper half of their bits, to nearest, ties to even.
//!
//! Where the level has no instruction for pairs, a word is a rounded number that stays an f32.

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

#[cfg(target_arch = "x86_64")]
mod pairs {
    use std::arch::x86_64::{
        __m512, __m512i, _mm512_loadu_si512, _mm512_mask_storeu_epi32, _mm512_maskz_loadu_ps,
        _mm512_permutexvar_epi16,
    };

    use crate::cpu::columns::Columns;
    use crate::cpu::lanes::LANES;
    use crate::cpu::packing::Rows;
    use crate::cpu::zmm::{filled, load, rounded, store_words};

    /// Up to sixteen numbers, and zeros behind them.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn load_some(numbers: &[f32]) -> __m512 {
        // SAFETY: no lane behind the numbers is read.
        unsafe { _mm512_maskz_loadu_ps(filled(numbers.len()), numbers.as_ptr()) }
    }

    /// The first words, up to sixteen.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn store_some(words: __m512i, to: &mut [f32]) {
        // SAFETY: no lane behind the words' place is written.
        unsafe { _mm512_mask_storeu_epi32(to.as_mut_ptr().cast(), filled(to.len()), words) };
    }

    #[target_feature(enable = "avx512f,avx512bf16")]
    pub(super) fn along(rows: Rows<'_>, n: usize, words: &mut Columns<'_>) {
        let width = rows.columns.div_ceil(2);
        for row in 0..n {
            let (pairs, rest) = rows.row(row).as_chunks::<{ 2 * LANES }>();
            let (whole, last) = words.row(row)[..width].split_at_mut(pairs.len() * LANES);
            for (pair, words) in pairs.iter().zip(whole.as_chunks_mut().0) {
                let ([low, high], _) = pair.as_chunks() else { unreachable!("two times sixteen") };
                store_words(rounded(load(low), load(high)), words);
            }
            if !rest.is_empty() {
                let (low, high) = rest.split_at(rest.len().min(LANES));
                store_some(rounded(load_some(low), load_some(high)), last);
            }
        }
    }

    /// From the numbers of two rows, one after the other, to their pairs.
    const ZIP: [u16; 2 * LANES] = {
        let mut places = [0; 2 * LANES];
        let mut i = 0;
        while i < LANES {
            places[2 * i] = i as u16;
            places[2 * i + 1] = (LANES + i) as u16;
            i += 1;
        }
        places
    };

    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    pub(super) fn across(rows: Rows<'_>, n: usize, words: &mut Columns<'_>) {
        // SAFETY: thirty-two places of sixteen bits are a register.
        let zip = unsafe { _mm512_loadu_si512(ZIP.as_ptr().cast()) };
        let zeros = vec![0.0; if n.is_multiple_of(2) { 0 } else { rows.columns }];
        for pair in 0..n.div_ceil(2) {
            let words = &mut words.row(pair)[..rows.columns];
            let low = rows.row(2 * pair);
            let high = if 2 * pair + 1 < n { rows.row(2 * pair + 1) } else { &zeros };
            let (low, low_rest) = low.as_chunks::<LANES>();
            let (high, high_rest) = high.as_chunks::<LANES>();
            let (whole, last) = words.as_chunks_mut::<LANES>();
            for ((low, high), words) in low.iter().zip(high).zip(whole) {
                store_words(_mm512_permutexvar_epi16(zip, rounded(load(low), load(high))), words);
            }
            if !last.is_empty() {
                let words = rounded(load_some(low_rest), load_some(high_rest));
                store_some(_mm512_permutexvar_epi16(zip, words), last);
            }
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
