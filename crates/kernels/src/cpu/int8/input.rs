//! Inputs of layers in eight-bit integers.

use super::grid::round_input;
use crate::cpu::Cpu;
use crate::cpu::form::Form;
use crate::cpu::level::Level;
use crate::cpu::memory::Buffer;
use crate::cpu::packing::Rows;
use crate::cpu::tiles::ROWS;

/// A left operand `[m, k]`, each row rounded by its own scale.
pub(in crate::cpu) struct Input {
    /// `[m, words]`.
    words: Buffer,
    /// The step of each row, and by how much its integers are too large, `[m]`.
    rows: Vec<(f32, i32)>,
}

impl Input {
    /// Rounds `x`.
    pub(in crate::cpu) fn new(cpu: &Cpu, x: &[f32], m: usize, k: usize) -> Self {
        assert!(x.len() >= m * k, "{m} rows of {k} in a buffer that is too short");
        let depth = Form::of_integers(cpu.level).words(k);
        let (mut words, mut rows) = (cpu.memory.scratch(m * depth), vec![(0.0, 0); m]);
        let tiles = x[..m * k]
            .chunks((ROWS * k).max(1))
            .zip(words.chunks_mut((ROWS * depth).max(1)))
            .zip(rows.chunks_mut(ROWS));
        cpu.each(m * k, tiles, |((x, words), rows)| {
            round_rows(cpu.level, Rows { values: x, stride: k, columns: k }, words, rows);
        });
        Self { words, rows }
    }

    /// Rounds `m` rows on this thread, for a task's own use.
    pub(in crate::cpu) fn near(cpu: &Cpu, x: Rows<'_>, m: usize) -> Self {
        let depth = Form::of_integers(cpu.level).words(x.columns);
        let (mut words, mut rows) = (cpu.memory.near(m * depth), vec![(0.0, 0); m]);
        round_rows(cpu.level, x, &mut words, &mut rows);
        Self { words, rows }
    }

    /// As the left operand of products.
    pub(in crate::cpu) fn words(&self) -> &[f32] {
        &self.words
    }

    /// The step of a row, and by how much its integers are too large.
    pub(in crate::cpu) fn row(&self, row: usize) -> (f32, i32) {
        self.rows[row]
    }
}

/// Rounds as many rows of `x` as `rows` says, to words one after another.
fn round_rows(level: Level, x: Rows<'_>, words: &mut [f32], rows: &mut [(f32, i32)]) {
    let form = Form::of_integers(level);
    let words = words.chunks_exact_mut(form.words(x.columns).max(1));
    for (number, (words, row)) in words.zip(rows).enumerate() {
        *row = round_input(level, form, x.row(number), words);
    }
}
