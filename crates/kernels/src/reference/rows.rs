//! Whole buffers and whole rows: sums, checks, gathering and scattering.

use super::Float;

pub(super) fn add<F: Float>(from: &[F], into: &mut [F]) {
    for (into, &from) in into.iter_mut().zip(from) {
        *into += from;
    }
}

pub(super) fn sum_of_squares<F: Float>(buffer: &[F]) -> f64 {
    buffer.iter().map(|x| x.wide() * x.wide()).sum()
}

pub(super) fn gather<F: Float>(columns: usize, rows: &[u32], from: &[F], out: &mut [F]) {
    for (i, &row) in rows.iter().enumerate() {
        let start = row as usize * columns;
        out[i * columns..(i + 1) * columns].copy_from_slice(&from[start..start + columns]);
    }
}

pub(super) fn scatter_add<F: Float>(columns: usize, rows: &[u32], from: &[F], into: &mut [F]) {
    for (i, &row) in rows.iter().enumerate() {
        let start = row as usize * columns;
        add(&from[i * columns..(i + 1) * columns], &mut into[start..start + columns]);
    }
}

/// The first of the largest; a NaN is larger than every number, so that it is not passed over.
pub(super) fn arg_max<F: Float>(row: &[F]) -> usize {
    let mut best = 0;
    for column in 1..row.len() {
        if exceeds(row[column], row[best]) {
            best = column;
        }
    }
    best
}

/// Whether `x` replaces `best` as the largest so far.
pub(super) fn exceeds<F: Float>(x: F, best: F) -> bool {
    x > best || (x.wide().is_nan() && !best.wide().is_nan())
}
