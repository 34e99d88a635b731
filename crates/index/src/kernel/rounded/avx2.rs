//! Estimates for AVX2 with FMA.

use std::arch::x86_64::{
    __m128i, __m256, __m256i, _MM_HINT_T0, _mm_add_epi32, _mm_add_ps, _mm_loadu_si128, _mm_prefetch,
    _mm_storeu_ps, _mm_storeu_si128, _mm256_add_epi32, _mm256_castps256_ps128, _mm256_castsi256_ps,
    _mm256_castsi256_si128, _mm256_cvtepi8_epi16, _mm256_cvtepi32_ps, _mm256_cvtepu16_epi32,
    _mm256_dpwssd_avx_epi32, _mm256_extractf128_ps, _mm256_extracti128_si256, _mm256_fmadd_ps,
    _mm256_hadd_epi32, _mm256_hadd_ps, _mm256_loadu_ps, _mm256_loadu_si256, _mm256_madd_epi16,
    _mm256_set1_epi32, _mm256_setzero_ps, _mm256_setzero_si256, _mm256_slli_epi32, _mm256_storeu_ps,
    _mm256_storeu_si256,
};

use super::PANEL_WIDTH;
use super::portable;
use crate::rounded::bound::RowBound;
use crate::rounded::int16;

/// Rows that the integers' kernel holds in registers at once.
pub(super) const ROWS: usize = 6;

/// Rows that one query takes at once: as many sums as are needed to keep the multipliers busy.
const LONE_ROWS: usize = 8;

/// Bytes between what is read and what is asked for.
const AHEAD: usize = 4096;

/// Widens all but what is left of a multiple of sixteen, and says how many that were.
///
/// # Safety
/// The processor must have AVX2, and `pairs` half as many numbers as `row`, rounded up.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn widen_int8(row: &[i8], pairs: &mut [i32]) -> usize {
    let (sixteens, _) = row.as_chunks::<16>();
    for (sixteen, pairs) in sixteens.iter().zip(pairs.as_chunks_mut::<8>().0) {
        // SAFETY: both chunks have the size that is read or written; two neighbours are a pair, the first below.
        unsafe {
            let numbers = _mm256_cvtepi8_epi16(_mm_loadu_si128(sixteen.as_ptr().cast()));
            _mm256_storeu_si256(pairs.as_mut_ptr().cast(), numbers);
        }
    }
    sixteens.len() * 16
}

/// [`int16::round_row`] with this level's instructions.
///
/// # Safety
/// The processor must have AVX2.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn round_pairs(row: &[f32], pairs: &mut [i32]) -> RowBound {
    int16::round_row(row, pairs)
}

/// Sums of `ROWS` rows of pairs for sixteen queries.
///
/// # Safety
/// The processor must have AVX2; `panel` must hold sixteen pairs for each of a row's, `rows` `ROWS` rows and
/// `values` `ROWS` × 16 numbers.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn pairs_panel<const ROWS: usize>(panel: &[i32], rows: &[i32], values: &mut [f32]) {
    // SAFETY: the caller's word.
    unsafe {
        sums_of_pairs::<ROWS>(
            panel,
            rows,
            values,
            #[inline(always)]
            |sum, queries, document| _mm256_add_epi32(sum, _mm256_madd_epi16(queries, document)),
        );
    }
}

/// [`pairs_panel`] by the instruction that adds the products to a sum.
///
/// # Safety
/// As for [`pairs_panel`], and the processor must have AVX-VNNI.
#[target_feature(enable = "avx2,fma,avxvnni")]
pub(super) unsafe fn pairs_panel_vnni<const ROWS: usize>(panel: &[i32], rows: &[i32], values: &mut [f32]) {
    // SAFETY: the caller's word.
    unsafe {
        sums_of_pairs::<ROWS>(
            panel,
            rows,
            values,
            #[inline(always)]
            |sum, queries, document| _mm256_dpwssd_avx_epi32(sum, queries, document),
        );
    }
}

/// The loop of [`pairs_panel`]: `add(sum, queries, document)` is a sum and the products of eight pairs.
///
/// # Safety
/// As for [`pairs_panel`].
#[expect(
    clippy::inline_always,
    reason = "on its own it is compiled without AVX2, and each instruction is a call"
)]
#[inline(always)]
unsafe fn sums_of_pairs<const ROWS: usize>(
    panel: &[i32],
    rows: &[i32],
    values: &mut [f32],
    add: impl Fn(__m256i, __m256i, __m256i) -> __m256i,
) {
    let pairs = rows.len() / ROWS;
    let starts: [*const i32; ROWS] = std::array::from_fn(|row| rows[row * pairs..].as_ptr());
    let mut queries = panel.as_ptr();
    // SAFETY: `place` is below the pairs of a row, so the panel holds sixteen there and each row one; a chunk has room for
    // the eight numbers of a register; the processor is the caller's word.
    unsafe {
        let mut sums = [[_mm256_setzero_si256(); 2]; ROWS];
        for place in 0..pairs {
            let halves: [__m256i; 2] =
                [_mm256_loadu_si256(queries.cast()), _mm256_loadu_si256(queries.add(8).cast())];
            for (sums, start) in sums.iter_mut().zip(starts) {
                let document = _mm256_set1_epi32(*start.add(place));
                for (sum, half) in sums.iter_mut().zip(halves) {
                    *sum = add(*sum, half, document);
                }
            }
            queries = queries.add(PANEL_WIDTH);
        }
        for (values, sums) in values.as_chunks_mut::<PANEL_WIDTH>().0.iter_mut().zip(sums) {
            for (values, sum) in values.as_chunks_mut::<8>().0.iter_mut().zip(sums) {
                _mm256_storeu_ps(values.as_mut_ptr(), _mm256_cvtepi32_ps(sum));
            }
        }
    }
}

/// Sums of rows of integers for one query, eight rows at a time; says how many rows that were.
///
/// # Safety
/// The processor must have AVX2, and `rows` the query's length for each of the values.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn int8_lone(query: &[i16], rows: &[i8], values: &mut [f32]) -> usize {
    let dim = query.len();
    let (sixteens, rest) = query.as_chunks::<16>();
    let whole = dim - rest.len();
    let (eights, _) = values.as_chunks_mut::<LONE_ROWS>();
    for (rows, values) in rows.chunks_exact(LONE_ROWS * dim).zip(eights.iter_mut()) {
        let mut sums = [_mm256_setzero_si256(); LONE_ROWS];
        for (place, query) in sixteens.iter().enumerate() {
            // SAFETY: sixteen numbers from `place` × 16 on are within each row, and only what is there is read;
            // asking for more is harmless wherever it points.
            unsafe {
                let query = _mm256_loadu_si256(query.as_ptr().cast());
                let ahead = rows.as_ptr().wrapping_add(AHEAD + place * 16 * LONE_ROWS);
                _mm_prefetch::<_MM_HINT_T0>(ahead);
                _mm_prefetch::<_MM_HINT_T0>(ahead.wrapping_add(64));
                for (row, sum) in sums.iter_mut().enumerate() {
                    let numbers: __m128i = _mm_loadu_si128(rows.as_ptr().add(row * dim + place * 16).cast());
                    *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(_mm256_cvtepi8_epi16(numbers), query));
                }
            }
        }
        let mut whole_sums = [0; LONE_ROWS];
        for (values, sums) in whole_sums.as_chunks_mut::<4>().0.iter_mut().zip(sums.as_chunks::<4>().0) {
            let [a, b, c, d] = *sums;
            let four = _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
            let four = _mm_add_epi32(_mm256_castsi256_si128(four), _mm256_extracti128_si256::<1>(four));
            // SAFETY: the chunk has room for four numbers.
            unsafe { _mm_storeu_si128(values.as_mut_ptr().cast(), four) };
        }
        for ((sum, value), row) in whole_sums.into_iter().zip(values).zip(rows.chunks_exact(dim)) {
            // Whole numbers to the end, so that every level rounds the same sum.
            *value = (sum + portable::int8_dot(rest, &row[whole..])) as f32;
        }
    }
    eights.len() * LONE_ROWS
}

/// # Safety
/// The processor must have AVX2.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn widen_bf16(numbers: &[u16], widened: &mut [f32]) {
    let (eights, rest) = numbers.as_chunks::<8>();
    let (wide, wide_rest) = widened.as_chunks_mut::<8>();
    for (eight, wide) in eights.iter().zip(wide) {
        // SAFETY: the chunk has room for eight numbers.
        unsafe { _mm256_storeu_ps(wide.as_mut_ptr(), wide_of(eight)) };
    }
    portable::widen_bf16(rest, wide_rest);
}

/// Inner products of rows in bfloat16 with one query, eight rows at a time; says how many rows that were.
///
/// # Safety
/// The processor must have AVX2 and FMA, and `rows` the query's length for each of the values.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn bf16_lone(query: &[f32], rows: &[u16], values: &mut [f32]) -> usize {
    let dim = query.len();
    let (queries, rest) = query.as_chunks::<8>();
    let whole = dim - rest.len();
    let (eights, _) = values.as_chunks_mut::<LONE_ROWS>();
    for (rows, values) in rows.chunks_exact(LONE_ROWS * dim).zip(eights.iter_mut()) {
        let mut sums = [_mm256_setzero_ps(); LONE_ROWS];
        for (place, query) in queries.iter().enumerate() {
            // SAFETY: eight numbers from `place` × 8 on are within each row; asking for more is harmless.
            unsafe {
                let query = _mm256_loadu_ps(query.as_ptr());
                let ahead = rows.as_ptr().wrapping_add(AHEAD / 2 + place * 8 * LONE_ROWS);
                _mm_prefetch::<_MM_HINT_T0>(ahead.cast());
                _mm_prefetch::<_MM_HINT_T0>(ahead.wrapping_add(32).cast());
                for (row, sum) in sums.iter_mut().enumerate() {
                    let numbers = &*rows.as_ptr().add(row * dim + place * 8).cast::<[u16; 8]>();
                    *sum = _mm256_fmadd_ps(wide_of(numbers), query, *sum);
                }
            }
        }
        for (values, sums) in values.as_chunks_mut::<4>().0.iter_mut().zip(sums.as_chunks::<4>().0) {
            let [a, b, c, d] = *sums;
            let four = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
            let four = _mm_add_ps(_mm256_castps256_ps128(four), _mm256_extractf128_ps::<1>(four));
            // SAFETY: the chunk has room for four numbers.
            unsafe { _mm_storeu_ps(values.as_mut_ptr(), four) };
        }
        if !rest.is_empty() {
            for (row, value) in rows.chunks_exact(dim).zip(values.iter_mut()) {
                *value += portable::bf16_dot(rest, &row[whole..]);
            }
        }
    }
    eights.len() * LONE_ROWS
}

/// Eight bfloat16 as f32.
#[target_feature(enable = "avx2,fma")]
fn wide_of(eight: &[u16; 8]) -> __m256 {
    // SAFETY: the array has the bytes of half a register.
    let bits = unsafe { _mm_loadu_si128(eight.as_ptr().cast()) };
    _mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(bits)))
}
