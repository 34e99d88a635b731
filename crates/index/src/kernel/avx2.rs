//! The kernels for AVX2 with FMA: a panel is one or two registers of eight queries wide, or is a single query.

use std::arch::x86_64::{
    __m256, _CMP_EQ_OQ, _CMP_NLT_UQ, _MM_HINT_NTA, _MM_HINT_T0, _MM_HINT_T1, _mm_loadu_ps, _mm_prefetch,
    _mm256_broadcast_ss, _mm256_castpd_ps, _mm256_castps_pd, _mm256_cmp_ps, _mm256_fmadd_ps, _mm256_loadu_ps,
    _mm256_movemask_ps, _mm256_or_ps, _mm256_set_m128, _mm256_set1_ps, _mm256_setr_ps, _mm256_setzero_ps,
    _mm256_storeu_ps, _mm256_unpackhi_pd, _mm256_unpackhi_ps, _mm256_unpacklo_pd, _mm256_unpacklo_ps,
};

use super::{Block, Scores};

const LANES: usize = 8;

/// Scores `ROWS` documents for `VECTORS` × 8 queries.
///
/// # Safety
/// The processor must have AVX2 and FMA. `block.panel` must hold `dim` × `VECTORS` × 8 numbers, `block.rows`
/// `ROWS` × `dim`, `block.floors` `VECTORS` × 8.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn block<const VECTORS: usize, const ROWS: usize>(block: Block<'_>, scores: &mut Scores) {
    let width = VECTORS * LANES;
    let mut sums = [[_mm256_setzero_ps(); VECTORS]; ROWS];
    let mut panel = block.panel.as_ptr();
    let rows: [*const f32; ROWS] = std::array::from_fn(|row| block.rows[row * block.dim..].as_ptr());
    for position in 0..block.dim {
        if position % 16 == 0 {
            prefetch_next::<_MM_HINT_T1>(block.rows, position, block.dim);
        }
        // SAFETY: `position` is below `dim`, so the panel holds `width` numbers here and each row one.
        unsafe {
            let queries: [_; VECTORS] =
                std::array::from_fn(|vector| _mm256_loadu_ps(panel.add(vector * LANES)));
            for (sums, row) in sums.iter_mut().zip(rows) {
                let number = _mm256_broadcast_ss(&*row.add(position));
                for (sum, queries) in sums.iter_mut().zip(queries) {
                    *sum = _mm256_fmadd_ps(queries, number, *sum);
                }
            }
            panel = panel.add(width);
        }
    }
    for (row, sums) in sums.iter().enumerate() {
        let mut bits = 0;
        for (vector, &sum) in sums.iter().enumerate() {
            // SAFETY: floors hold `width` numbers and `values` has room for `MOST_ROWS` rows of the widest panel.
            unsafe {
                _mm256_storeu_ps(scores.values[row * width + vector * LANES..].as_mut_ptr(), sum);
                let floors = _mm256_loadu_ps(block.floors.as_ptr().add(vector * LANES));
                bits |= candidates(sum, floors) << (vector * LANES);
            }
        }
        scores.candidates[row] = bits;
    }
}

/// Numbers of eight documents up to which they, the next eight and the query fit a first cache of 32 KiB.
const NEAR: usize = 3968;

/// Scores eight documents for one query: they share a register, for which four positions of each at a time are
/// transposed.
///
/// One query waits for memory, and the arithmetic of eight documents is behind it by far. They are asked for into the
/// first cache, since a query alone reads them once; more of them at once, or by way of the second cache, arrive more slowly.
///
/// # Safety
/// The processor must have AVX2 and FMA. `block.panel` must hold `dim` numbers, `block.rows` 8 × `dim`,
/// `block.floors` one.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn lone(block: Block<'_>, scores: &mut Scores) {
    let (dim, rows) = (block.dim, &block.rows[..LANES * block.dim]);
    let mut sum = _mm256_setzero_ps();
    let whole = dim / 4 * 4;
    for position in (0..whole).step_by(4) {
        if position % 16 == 0 {
            if rows.len() <= NEAR {
                prefetch_next::<_MM_HINT_NTA>(rows, position, dim);
            } else {
                prefetch_next::<_MM_HINT_T0>(rows, position, dim);
            }
        }
        // SAFETY: four positions from `position` on are within each of the eight rows.
        let pairs: [__m256; 4] = std::array::from_fn(|row| unsafe {
            let low = rows.as_ptr().add(row * dim + position);
            _mm256_set_m128(_mm_loadu_ps(low.add(4 * dim)), _mm_loadu_ps(low))
        });
        for (query, numbers) in block.panel[position..].iter().zip(transpose(pairs)) {
            sum = _mm256_fmadd_ps(_mm256_set1_ps(*query), numbers, sum);
        }
    }
    for position in whole..dim {
        let query = _mm256_set1_ps(block.panel[position]);
        let [a, b, c, d, e, f, g, h] = std::array::from_fn(|row| rows[row * dim + position]);
        sum = _mm256_fmadd_ps(query, _mm256_setr_ps(a, b, c, d, e, f, g, h), sum);
    }
    // SAFETY: the slice holds eight numbers.
    unsafe { _mm256_storeu_ps(scores.values[..LANES].as_mut_ptr(), sum) };
    let bits = candidates(sum, _mm256_set1_ps(block.floors[0]));
    for (row, candidates) in scores.candidates[..LANES].iter_mut().enumerate() {
        *candidates = (bits >> row) & 1;
    }
}

/// Four rows of four numbers in each half become four columns: `rows[i]` holds positions 0 to 3 of documents `i`
/// and `i + 4`, the result's `j` position `j` of documents 0 to 7.
#[target_feature(enable = "avx2,fma")]
fn transpose([a, b, c, d]: [__m256; 4]) -> [__m256; 4] {
    let (ab_low, ab_high) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
    let (cd_low, cd_high) = (_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
    let [ab_low, ab_high, cd_low, cd_high] =
        [ab_low, ab_high, cd_low, cd_high].map(|pair| _mm256_castps_pd(pair));
    [
        _mm256_castpd_ps(_mm256_unpacklo_pd(ab_low, cd_low)),
        _mm256_castpd_ps(_mm256_unpackhi_pd(ab_low, cd_low)),
        _mm256_castpd_ps(_mm256_unpacklo_pd(ab_high, cd_high)),
        _mm256_castpd_ps(_mm256_unpackhi_pd(ab_high, cd_high)),
    ]
}

/// Asks for the next share of the rows that follow, in the order in which they lie: a share every sixteen positions
/// makes all of them.
#[target_feature(enable = "avx2,fma")]
fn prefetch_next<const HINT: i32>(rows: &[f32], position: usize, dim: usize) {
    let count = rows.len() / dim;
    let next = rows.as_ptr().wrapping_add(rows.len() + position * count);
    for line in 0..count {
        _mm_prefetch::<HINT>(next.wrapping_add(16 * line).cast());
    }
}

/// A bit for every score that is not below its floor, or is not finite.
#[target_feature(enable = "avx2,fma")]
fn candidates(scores: __m256, floors: __m256) -> u32 {
    // "Not less than" is true for NaN, too.
    let not_below = _mm256_cmp_ps::<_CMP_NLT_UQ>(scores, floors);
    let lowest = _mm256_cmp_ps::<_CMP_EQ_OQ>(scores, _mm256_set1_ps(f32::NEG_INFINITY));
    _mm256_movemask_ps(_mm256_or_ps(not_below, lowest)) as u32
}
