//! Two numbers a word, by the instruction that rounds a register of them.

use std::arch::x86_64::{
    __m512, __m512i, _mm512_loadu_si512, _mm512_mask_storeu_epi32, _mm512_maskz_loadu_epi32,
    _mm512_maskz_loadu_ps, _mm512_permutex2var_epi16, _mm512_permutexvar_epi16,
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

/// Up to sixteen words, and zeros behind them.
#[inline]
#[target_feature(enable = "avx512f")]
fn load_words(words: &[f32]) -> __m512i {
    // SAFETY: no lane behind the words is read.
    unsafe { _mm512_maskz_loadu_epi32(filled(words.len()), words.as_ptr().cast()) }
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

/// From the words of two rows, one after the other, to the pairs of the first or of the second half of their numbers.
const fn zip_of_words(half: usize) -> [u16; 2 * LANES] {
    let mut places = [0; 2 * LANES];
    let mut i = 0;
    while i < 2 * LANES {
        let row = i % 2;
        places[i] = (row * 2 * LANES + half * LANES + i / 2) as u16;
        i += 1;
    }
    places
}

#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn across_words(rows: Rows<'_>, n: usize, words: &mut Columns<'_>) {
    // SAFETY: thirty-two places of sixteen bits are a register.
    let zip = [const { zip_of_words(0) }, const { zip_of_words(1) }]
        .map(|places| unsafe { _mm512_loadu_si512(places.as_ptr().cast()) });
    let zeros = vec![0.0; if n.is_multiple_of(2) { 0 } else { rows.columns }];
    for pair in 0..n.div_ceil(2) {
        let low = rows.row(2 * pair);
        let high = if 2 * pair + 1 < n { rows.row(2 * pair + 1) } else { &zeros };
        let pieces = low.chunks(LANES).zip(high.chunks(LANES));
        for ((low, high), words) in pieces.zip(words.row(pair).chunks_mut(2 * LANES)) {
            let (low, high) = (load_words(low), load_words(high));
            for (zip, words) in zip.into_iter().zip(words.chunks_mut(LANES)) {
                store_some(_mm512_permutex2var_epi16(low, zip, high), words);
            }
        }
    }
}
