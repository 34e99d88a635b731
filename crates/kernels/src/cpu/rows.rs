//! Whole buffers and whole rows: sums, gathering and scattering.

use super::columns::Columns;
use super::level::{Level, multiversion};
use super::{Cpu, TILE, row_tile};

/// Columns of a matrix that one thread adds to; a multiple of a cache line.
pub(super) const COLUMNS: usize = 64;

multiversion! {
    /// `into += from`.
    pub(super) fn add_tile(from: &[f32], into: &mut [f32]) {
        for (into, from) in into.iter_mut().zip(from) {
            *into += from;
        }
    }
}

multiversion! {
    fn scale_tile(factor: f32, values: &mut [f32]) {
        for value in values {
            *value *= factor;
        }
    }
}

/// Multiplies the first rows of some columns, each by its factor.
pub(super) fn scale_rows(level: Level, factors: impl Iterator<Item = f32>, rows: &mut Columns<'_>) {
    for (row, factor) in factors.enumerate() {
        scale_tile(level, factor, rows.row(row));
    }
}

multiversion! {
    fn sum_of_squares_tile(values: &[f32]) -> f64 {
        let (chunks, rest) = values.as_chunks::<16>();
        let mut lanes = [0.0_f64; 16];
        for chunk in chunks {
            for lane in 0..16 {
                let x = f64::from(chunk[lane]);
                lanes[lane] += x * x;
            }
        }
        for (lane, &x) in lanes.iter_mut().zip(rest) {
            *lane += f64::from(x) * f64::from(x);
        }
        lanes.iter().sum()
    }
}

/// `into = from`.
pub(super) fn copy(cpu: &Cpu, from: &[f32], into: &mut [f32]) {
    assert_eq!(from.len(), into.len(), "a copy is as long as what is copied");
    cpu.each(into.len(), into.chunks_mut(TILE).zip(from.chunks(TILE)), |(into, from)| {
        into.copy_from_slice(from);
    });
}

/// `into += from`.
pub(super) fn add(cpu: &Cpu, from: &[f32], into: &mut [f32]) {
    cpu.each(into.len(), into.chunks_mut(TILE).zip(from.chunks(TILE)), |(into, from)| {
        add_tile(cpu.level, from, into);
    });
}

/// `values *= factor`.
pub(super) fn scale(cpu: &Cpu, values: &mut [f32], factor: f64) {
    cpu.each(values.len(), values.chunks_mut(TILE), |values| scale_tile(cpu.level, factor as f32, values));
}

/// Σ xᵢ² in f64, tile by tile.
pub(super) fn sum_of_squares(cpu: &Cpu, values: &[f32]) -> f64 {
    cpu.map(values.len(), values.chunks(TILE), |values| sum_of_squares_tile(cpu.level, values)).iter().sum()
}

/// `out[i] = from[rows[i]]`.
pub(super) fn gather(cpu: &Cpu, columns: usize, rows: &[u32], from: &[f32], out: &mut [f32]) {
    let tile = row_tile(columns);
    cpu.each(out.len(), out.chunks_mut(tile).zip(rows.chunks(tile / columns)), |(out, rows)| {
        for (out, &row) in out.chunks_exact_mut(columns).zip(rows) {
            out.copy_from_slice(&from[row as usize * columns..][..columns]);
        }
    });
}

/// `into[rows[i]] += from[i]` in the order of `i`; each task owns some columns of all rows.
pub(super) fn scatter_add(cpu: &Cpu, columns: usize, rows: &[u32], from: &[f32], into: &mut [f32]) {
    let starts = (0..columns).step_by(COLUMNS);
    cpu.each(from.len(), Columns::split(into, columns, COLUMNS).zip(starts), |(mut into, start)| {
        for (from, &row) in from.chunks_exact(columns).zip(rows) {
            add_tile(cpu.level, &from[start..], into.row(row as usize));
        }
    });
}
