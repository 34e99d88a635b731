//! Estimates of scores from rounded rows, and the sieve that keeps the few that matter.
//!
//! Estimates are no scores: no bits are promised, only that they are as close as
//! [`bound`](crate::rounded::bound) says. In eight bits they are sums of integers and the same at every level.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;
#[cfg(target_arch = "x86_64")]
mod sieve_x86;

use crate::kernel::{MOST_ROWS, MOST_WIDTH};
use crate::level::{SimdKind, SimdLevel};
use crate::rounded::bound::RowBound;
use crate::rounded::int16::{self, pair};

/// Queries of a panel of pairs.
pub(crate) const PANEL_WIDTH: usize = 16;

/// What the sieve knows of the queries of a panel, `[width]` each.
pub(crate) struct Lanes<'a> {
    /// What estimates are multiplied by.
    pub(crate) units: &'a [f32],
    /// The queries' part of the bound.
    pub(crate) shares: &'a [f32],
    /// The part of its norm below which a query is not interested.
    pub(crate) floors: &'a [f32],
}

/// Whether an instruction multiplies pairs of integers and adds the products to sums.
pub(crate) fn has_pairs_of_integers(level: SimdLevel) -> bool {
    match level.kind() {
        #[cfg(target_arch = "x86_64")]
        SimdKind::Avx512 => is_x86_feature_detected!("avx512vnni"),
        #[cfg(target_arch = "x86_64")]
        SimdKind::Avx2 => is_x86_feature_detected!("avxvnni"),
        _ => false,
    }
}

/// Whether [`bf16_panel`] can be asked: whether an instruction multiplies pairs of bfloat16 for sixteen queries.
pub(crate) fn has_pairs_of_bf16(level: SimdLevel) -> bool {
    match level.kind() {
        #[cfg(target_arch = "x86_64")]
        SimdKind::Avx512 => is_x86_feature_detected!("avx512bf16"),
        _ => false,
    }
}

fn is_avx2(level: SimdLevel) -> bool {
    cfg!(target_arch = "x86_64") && level.kind() != SimdKind::Portable
}

/// Makes pairs of sixteen-bit integers of rows of eight-bit ones: `numbers` `[rows, dim]`, `pairs` `[rows, ⌈dim / 2⌉]`.
pub(crate) fn widen_int8(level: SimdLevel, numbers: &[i8], dim: usize, pairs: &mut [i32]) {
    let columns = dim.div_ceil(2);
    assert_eq!(numbers.len() * columns, pairs.len() * dim, "as many rows of pairs as of numbers");
    for (row, pairs) in numbers.chunks_exact(dim).zip(pairs.chunks_exact_mut(columns)) {
        let done = match is_avx2(level) {
            // SAFETY: the processor has the level, and a row of pairs has room for the row's numbers.
            #[cfg(target_arch = "x86_64")]
            true => unsafe { avx2::widen_int8(row, pairs) },
            _ => 0,
        };
        portable::widen_int8(&row[done..], &mut pairs[done / 2..]);
    }
}

/// Rounds a row to pairs ([`int16::round_row`]).
pub(crate) fn round_pairs(level: SimdLevel, row: &[f32], pairs: &mut [i32]) -> RowBound {
    assert_eq!(row.len().div_ceil(2), pairs.len(), "room for every pair");
    match level.kind() {
        // SAFETY: the processor has the level.
        #[cfg(target_arch = "x86_64")]
        SimdKind::Avx512 => unsafe { avx512::round_pairs(row, pairs) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        SimdKind::Avx2 => unsafe { avx2::round_pairs(row, pairs) },
        _ => int16::round_row(row, pairs),
    }
}

/// The sums of integers of some rows for the [`PANEL_WIDTH`] queries of a panel: `rows` `[rows, pairs]`, `panel`
/// `[pairs, PANEL_WIDTH]`, `values` `[rows, PANEL_WIDTH]`.
pub(crate) fn pairs_panel(level: SimdLevel, panel: &[i32], rows: &[i32], values: &mut [f32]) {
    let pairs = panel.len() / PANEL_WIDTH;
    let count = rows.len() / pairs;
    assert!(
        panel.len() == pairs * PANEL_WIDTH
            && rows.len() == count * pairs
            && values.len() == count * PANEL_WIDTH,
        "rows, panel and values have one shape"
    );
    #[cfg(target_arch = "x86_64")]
    macro_rules! by {
        ($instructions:ident::$function:ident) => {
            in_blocks::<_, { $instructions::ROWS }>(
                rows,
                pairs,
                values,
                // SAFETY: the processor has the level, and the feature where one was asked for; `in_blocks` hands over
                // what the shapes were checked for.
                |rows, values| unsafe {
                    $instructions::$function::<{ $instructions::ROWS }>(panel, rows, values)
                },
                // SAFETY: as above.
                |rows, values| unsafe { $instructions::$function::<1>(panel, rows, values) },
            )
        };
    }
    match level.kind() {
        #[cfg(target_arch = "x86_64")]
        SimdKind::Avx512 if has_pairs_of_integers(level) => by!(avx512::pairs_panel),
        #[cfg(target_arch = "x86_64")]
        SimdKind::Avx2 if has_pairs_of_integers(level) => by!(avx2::pairs_panel_vnni),
        #[cfg(target_arch = "x86_64")]
        SimdKind::Avx2 | SimdKind::Avx512 => by!(avx2::pairs_panel),
        _ => portable::pairs_panel(panel, rows, values),
    }
}

/// The sums of some rows of bfloat16, as they lie in the file, for the [`PANEL_WIDTH`] queries of a panel: `rows` `[rows,
/// dim]` with an even `dim`, `panel` `[dim / 2, PANEL_WIDTH]`, `values` `[rows, PANEL_WIDTH]`.
///
/// # Panics
/// The shapes do not fit, or [`has_pairs_of_bf16`] is false.
pub(crate) fn bf16_panel(level: SimdLevel, panel: &[i32], rows: &[u16], values: &mut [f32]) {
    let dim = panel.len() / PANEL_WIDTH * 2;
    assert!(has_pairs_of_bf16(level), "pairs of bfloat16 at level {level}");
    assert_eq!(rows.len() * PANEL_WIDTH, values.len() * dim, "rows, panel and values have one shape");
    #[cfg(target_arch = "x86_64")]
    in_blocks::<_, { avx512::ROWS }>(
        rows,
        dim,
        values,
        // SAFETY: the feature was found; `in_blocks` hands over what the shapes were checked for.
        |rows, values| unsafe { avx512::bf16_panel::<{ avx512::ROWS }>(panel, rows, values) },
        // SAFETY: as above.
        |rows, values| unsafe { avx512::bf16_panel::<1>(panel, rows, values) },
    );
}

/// Hands rows of `columns` numbers, with their values, to `many`, `ROWS` at a time, and what is left to `one`.
#[cfg(target_arch = "x86_64")]
fn in_blocks<T, const ROWS: usize>(
    rows: &[T],
    columns: usize,
    values: &mut [f32],
    many: impl Fn(&[T], &mut [f32]),
    one: impl Fn(&[T], &mut [f32]),
) {
    let count = rows.len() / columns.max(1) / ROWS * ROWS;
    let (blocks, rest) = rows.split_at(count * columns);
    let (block_values, rest_values) = values.split_at_mut(count * PANEL_WIDTH);
    let blocks = blocks.chunks_exact((ROWS * columns).max(1));
    for (rows, values) in blocks.zip(block_values.chunks_exact_mut(ROWS * PANEL_WIDTH)) {
        many(rows, values);
    }
    let rest = rest.chunks_exact(columns.max(1));
    for (row, values) in rest.zip(rest_values.chunks_exact_mut(PANEL_WIDTH)) {
        one(row, values);
    }
}

/// The sums of integers of some rows, as they lie in the file, for one query: `query` `[dim]`, `rows` `[rows, dim]`.
pub(crate) fn int8_lone(level: SimdLevel, query: &[i16], rows: &[i8], values: &mut [f32]) {
    let dim = query.len();
    assert_eq!(rows.len(), values.len() * dim, "a value a row");
    let done = match is_avx2(level) {
        // SAFETY: the processor has the level, and there are as many rows as values.
        #[cfg(target_arch = "x86_64")]
        true => unsafe { avx2::int8_lone(query, rows, values) },
        _ => 0,
    };
    for (row, value) in rows.chunks_exact(dim).zip(values).skip(done) {
        *value = portable::int8_dot(query, row) as f32;
    }
}

/// Makes f32 of bfloat16.
pub(crate) fn widen_bf16(level: SimdLevel, numbers: &[u16], widened: &mut [f32]) {
    assert_eq!(numbers.len(), widened.len(), "a number for each");
    match is_avx2(level) {
        // SAFETY: the processor has the level.
        #[cfg(target_arch = "x86_64")]
        true => unsafe { avx2::widen_bf16(numbers, widened) },
        _ => portable::widen_bf16(numbers, widened),
    }
}

/// The inner products of some rows in bfloat16 for one query: `query` `[dim]`, `rows` `[rows, dim]`.
pub(crate) fn bf16_lone(level: SimdLevel, query: &[f32], rows: &[u16], values: &mut [f32]) {
    let dim = query.len();
    assert_eq!(rows.len(), values.len() * dim, "a value a row");
    let done = match is_avx2(level) {
        // SAFETY: the processor has the level, and there are as many rows as values.
        #[cfg(target_arch = "x86_64")]
        true => unsafe { avx2::bf16_lone(query, rows, values) },
        _ => 0,
    };
    for (row, value) in rows.chunks_exact(dim).zip(values).skip(done) {
        *value = portable::bf16_dot(query, row);
    }
}

/// For each row a bit for every query for which it may not be left out: its estimate and what it may be wrong by are
/// not below the floor. `values` `[rows, width]`, `bounds` `[rows]`.
pub(crate) fn sieve(
    level: SimdLevel,
    values: &[f32],
    bounds: &[[f32; RowBound::COLUMNS]],
    lanes: &Lanes<'_>,
    kept: &mut [u32; MOST_ROWS],
) {
    let width = lanes.units.len();
    assert!(
        values.len() == bounds.len() * width
            && bounds.len() <= MOST_ROWS
            && width <= MOST_WIDTH
            && lanes.shares.len() == width
            && lanes.floors.len() == width,
        "rows and lanes have one shape"
    );
    match level.kind() {
        // SAFETY: the processor has the level, and the shapes were checked above.
        #[cfg(target_arch = "x86_64")]
        SimdKind::Avx512 if width.is_multiple_of(16) => unsafe {
            sieve_x86::avx512(values, bounds, lanes, kept);
        },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        SimdKind::Avx512 | SimdKind::Avx2 if width.is_multiple_of(8) => unsafe {
            sieve_x86::avx2(values, bounds, lanes, kept);
        },
        _ => portable::sieve(values, bounds, lanes, kept),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn integers(count: usize, most: i32) -> Vec<i32> {
        let mut state = 7_u32;
        let mut draw = || {
            state = state.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
            (state >> 7) as i32 % (2 * most + 1) - most
        };
        (0..count).map(|_| draw()).collect()
    }

    fn levels() -> impl Iterator<Item = SimdLevel> {
        SimdLevel::available()
    }

    #[test]
    fn sums_of_integers_are_those_of_whole_numbers_at_every_level() {
        for dim in [1, 2, 15, 16, 17, 48, 131] {
            let rows: Vec<i8> = integers(29 * dim, 127).into_iter().map(|number| number as i8).collect();
            let queries: Vec<i16> =
                integers(PANEL_WIDTH * dim, 16_000).into_iter().map(|number| number as i16).collect();
            let sum = |query: &[i16], row: &[i8]| -> i64 {
                query.iter().zip(row).map(|(&a, &b)| i64::from(a) * i64::from(b)).sum()
            };
            let pairs = dim.div_ceil(2);
            let mut panel = vec![0; pairs * PANEL_WIDTH];
            for (lane, query) in queries.chunks_exact(dim).enumerate() {
                for (place, two) in query.chunks(2).enumerate() {
                    panel[place * PANEL_WIDTH + lane] = pair(two[0], two.get(1).copied().unwrap_or(0));
                }
            }
            for level in levels() {
                let mut widened = vec![0; 29 * pairs];
                widen_int8(level, &rows, dim, &mut widened);
                let mut values = vec![0.0; 29 * PANEL_WIDTH];
                pairs_panel(level, &panel, &widened, &mut values);
                let mut alone = vec![0.0; 29];
                for (lane, query) in queries.chunks_exact(dim).enumerate() {
                    int8_lone(level, query, &rows, &mut alone);
                    for (row, numbers) in rows.chunks_exact(dim).enumerate() {
                        let expected = sum(query, numbers) as f32;
                        let value = values[row * PANEL_WIDTH + lane];
                        assert_eq!(value.to_bits(), expected.to_bits(), "{level}, {dim}, row {row}");
                        assert_eq!(
                            alone[row].to_bits(),
                            expected.to_bits(),
                            "{level}, {dim}, row {row} for one query"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn bfloat16_is_read_alike_at_every_level() {
        for dim in [1, 8, 13, 40] {
            let rows: Vec<u16> =
                integers(9 * dim, 500).into_iter().map(|number| (16_000 + number) as u16).collect();
            let query: Vec<f32> = integers(dim, 9).into_iter().map(|number| number as f32).collect();
            let (mut expected, mut wide) = (vec![0.0; 9], vec![0.0; 9 * dim]);
            bf16_lone(SimdLevel::PORTABLE, &query, &rows, &mut expected);
            for level in levels() {
                let mut widened = vec![0.0; 9 * dim];
                widen_bf16(level, &rows, &mut widened);
                wide.clone_from(&widened);
                assert!(rows.iter().zip(&wide).all(|(&bits, wide)| wide.to_bits() == u32::from(bits) << 16));
                let mut values = vec![0.0; 9];
                bf16_lone(level, &query, &rows, &mut values);
                for (value, expected) in values.iter().zip(&expected) {
                    assert!((value - expected).abs() < 1e-3, "{level}, {dim}: {value} and {expected}");
                }
            }
        }
    }

    #[test]
    fn sums_of_pairs_of_bfloat16_are_near_those_of_f64() {
        let bits = |count: usize, most: i32| -> Vec<u16> {
            integers(count, most).into_iter().map(|number| ((number as f32).to_bits() >> 16) as u16).collect()
        };
        for (level, dim) in levels().flat_map(|level| [2, 16, 34, 130].map(|dim| (level, dim))) {
            if !has_pairs_of_bf16(level) {
                continue;
            }
            let (rows, queries) = (bits(29 * dim, 100), bits(PANEL_WIDTH * dim, 9000));
            let mut panel = vec![0; dim / 2 * PANEL_WIDTH];
            for (lane, query) in queries.chunks_exact(dim).enumerate() {
                for (place, two) in query.as_chunks::<2>().0.iter().enumerate() {
                    panel[place * PANEL_WIDTH + lane] = pair(two[0] as i16, two[1] as i16);
                }
            }
            let mut values = vec![f32::NAN; 29 * PANEL_WIDTH];
            bf16_panel(level, &panel, &rows, &mut values);
            let wide = |bits: &u16| f64::from(f32::from_bits(u32::from(*bits) << 16));
            for (row, values) in rows.chunks_exact(dim).zip(values.chunks_exact(PANEL_WIDTH)) {
                for (query, &value) in queries.chunks_exact(dim).zip(values) {
                    let products = row.iter().zip(query).map(|(a, b)| wide(a) * wide(b));
                    let (sum, size) = products.fold((0.0, 0.0), |(sum, size), x| (sum + x, size + x.abs()));
                    assert!((f64::from(value) - sum).abs() <= size * 1e-5, "{level}, {dim}: {value}, {sum}");
                }
            }
        }
    }

    #[test]
    fn the_sieve_lets_nothing_through_below_the_floor_and_all_that_is_unknown() {
        for (level, width) in levels().flat_map(|level| [1, 8, 16, 32].map(|width| (level, width))) {
            let (units, shares) = (vec![0.5; width], vec![0.25; width]);
            // The estimate is 10 × 2 × 0.5, the bound 1 + 0.25 × 4.
            for (floor, expected) in [(12.5, false), (12.0, true), (f32::NEG_INFINITY, true)] {
                let floors = vec![floor; width];
                let lanes = Lanes { units: &units, shares: &shares, floors: &floors };
                let mut kept = [0; MOST_ROWS];
                let unknown = [0.0, f32::INFINITY, 0.0];
                let bounds = [[2.0, 1.0, 4.0], unknown, [f32::NAN; 3]];
                sieve(level, &vec![10.0; 3 * width], &bounds, &lanes, &mut kept);
                let all = u32::MAX >> (32 - width);
                assert_eq!(
                    kept[..3],
                    [if expected { all } else { 0 }, all, all],
                    "{level}, {width}, {floor}"
                );
            }
        }
    }
}
