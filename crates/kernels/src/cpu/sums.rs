//! Sums over rows: each tile of rows has a numbered slot, and the slots are added in order.

use super::level::multiversion;
use super::{Cpu, row_tile};

multiversion! {
    /// `into += row` for every row.
    pub(super) fn add_rows(rows: &[f32], into: &mut [f32]) {
        for row in rows.chunks_exact(into.len().max(1)) {
            for (into, x) in into.iter_mut().zip(row) {
                *into += x;
            }
        }
    }
}

/// `into[column] += Σ_rows x[row, column]`.
pub(super) fn add_columns(cpu: &Cpu, x: &[f32], into: &mut [f32]) {
    let tile = row_tile(into.len());
    let mut slots = cpu.memory.zeros(x.len().div_ceil(tile) * into.len());
    cpu.each(x.len(), x.chunks(tile).zip(slots.chunks_exact_mut(into.len().max(1))), |(x, slot)| {
        add_rows(cpu.level, x, slot);
    });
    add_rows(cpu.level, &slots, into);
}
