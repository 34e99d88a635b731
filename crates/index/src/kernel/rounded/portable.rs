//! The estimates in plain Rust: the oracle of the others.

use super::{Lanes, PANEL_WIDTH, pair};
use crate::kernel::MOST_ROWS;
use crate::rounded::bf16::widen;
use crate::rounded::bound::RowBound;

pub(super) fn widen_int8(numbers: &[i8], pairs: &mut [i32]) {
    for (two, pair_of) in numbers.chunks(2).zip(pairs) {
        *pair_of = pair(i16::from(two[0]), two.get(1).map_or(0, |&second| i16::from(second)));
    }
}

pub(super) fn pairs_panel(panel: &[i32], rows: &[i32], values: &mut [f32]) {
    let pairs = panel.len() / PANEL_WIDTH;
    for (row, values) in rows.chunks_exact(pairs).zip(values.chunks_exact_mut(PANEL_WIDTH)) {
        let mut sums = [0_i32; PANEL_WIDTH];
        for (&document, queries) in row.iter().zip(panel.chunks_exact(PANEL_WIDTH)) {
            let [first, second] = halves(document);
            for (sum, &query) in sums.iter_mut().zip(queries) {
                let [a, b] = halves(query);
                *sum += first * a + second * b;
            }
        }
        for (value, sum) in values.iter_mut().zip(sums) {
            *value = sum as f32;
        }
    }
}

fn halves(pair: i32) -> [i32; 2] {
    [i32::from(pair as i16), pair >> 16]
}

pub(super) fn int8_dot(query: &[i16], row: &[i8]) -> i32 {
    query.iter().zip(row).map(|(&query, &number)| i32::from(query) * i32::from(number)).sum()
}

pub(super) fn widen_bf16(numbers: &[u16], widened: &mut [f32]) {
    for (widened, &bits) in widened.iter_mut().zip(numbers) {
        *widened = widen(bits);
    }
}

pub(super) fn bf16_dot(query: &[f32], row: &[u16]) -> f32 {
    let (queries, query_rest) = query.as_chunks::<8>();
    let (rows, row_rest) = row.as_chunks::<8>();
    let mut sums = [0.0_f32; 8];
    for (queries, row) in queries.iter().zip(rows) {
        for ((sum, query), &bits) in sums.iter_mut().zip(queries).zip(row) {
            *sum += query * widen(bits);
        }
    }
    let rest = query_rest.iter().zip(row_rest).map(|(query, &bits)| query * widen(bits));
    sums.into_iter().chain(rest).sum()
}

pub(super) fn sieve(
    values: &[f32],
    bounds: &[[f32; RowBound::COLUMNS]],
    lanes: &Lanes<'_>,
    kept: &mut [u32; MOST_ROWS],
) {
    let width = lanes.units.len();
    for ((&[scale, error, norm], values), kept) in bounds.iter().zip(values.chunks_exact(width)).zip(kept) {
        let mut bits = 0;
        for (lane, value) in values.iter().enumerate() {
            let upper = value * (scale * lanes.units[lane]) + (lanes.shares[lane] * norm + error);
            // What is NaN is not known to be below.
            let below = upper < lanes.floors[lane];
            bits |= u32::from(!below) << lane;
        }
        *kept = bits;
    }
}
