//! The sum of three embeddings, and its gradient.

use super::columns::Columns;
use super::level::multiversion;
use super::mask::{Mask, row_keys};
use super::memory::Buffer;
use super::norm::{self, Norm};
use super::rows::{COLUMNS, add_tile};
use super::{Cpu, row_tile, sums};
use crate::{Dropout, EmbeddingGradient, EmbeddingTables, NormOutput, Tokens};

multiversion! {
    fn add_three(word: &[f32], position: &[f32], token_type: &[f32], sum: &mut [f32]) {
        for (((sum, word), position), token_type) in sum.iter_mut().zip(word).zip(position).zip(token_type) {
            *sum = word + position + token_type;
        }
    }
}

/// The row of every token in its text.
fn positions(tokens: &Tokens) -> Vec<u32> {
    (0..tokens.n_texts()).flat_map(|text| 0..tokens.range(text).len() as u32).collect()
}

/// `output = dropout(norm(word + position + type))`.
pub(super) fn forward(
    cpu: &Cpu,
    tables: &EmbeddingTables<'_, Buffer>,
    tokens: &Tokens,
    hidden: usize,
    epsilon: f64,
    mask: Mask<'_>,
    NormOutput { sum, statistics, output }: NormOutput<'_, Buffer>,
) {
    let tile = row_tile(hidden);
    let rows = tile / hidden;
    let size = output.len();
    let positions = positions(tokens);
    let norm = Norm::new(tables.norm, epsilon);
    let tiles = tokens
        .ids()
        .chunks(rows)
        .zip(positions.chunks(rows))
        .zip(sum.chunks_mut(tile))
        .zip(statistics.chunks_mut(rows * 2).zip(output.chunks_mut(tile)))
        .enumerate();
    cpu.each(size, tiles, |(i, (((ids, positions), sum), (statistics, output)))| {
        for ((&id, &position), sum) in ids.iter().zip(positions).zip(sum.chunks_exact_mut(hidden)) {
            let word = &tables.word[id as usize * hidden..][..hidden];
            let position = &tables.position[position as usize * hidden..][..hidden];
            add_three(cpu.level, word, position, &tables.token_type[..hidden], sum);
        }
        norm::normalize_rows(cpu.level, norm, mask.from(i * rows), sum, statistics, output);
    });
}

/// Backward of [`forward`] from what it wrote.
pub(super) fn backward(
    cpu: &Cpu,
    gamma: &[f32],
    tokens: &Tokens,
    hidden: usize,
    dropout: Dropout,
    [sum, statistics]: [&[f32]; 2],
    d_output: &[f32],
    gradient: EmbeddingGradient<'_, Buffer>,
) {
    let keys = row_keys(dropout, tokens);
    let masks = [Mask::new(Dropout::NONE, &[]), Mask::new(dropout, &keys)];
    let mut d_sum = cpu.memory.scratch(sum.len());
    norm::backward(cpu, gamma, masks, sum, statistics, d_output, &mut d_sum, None, gradient.norm);
    add_to_tables(cpu, tokens, hidden, &d_sum, [gradient.word, gradient.position, gradient.token_type]);
}

/// Adds each token's gradient to the rows that it is the sum of; each task owns some columns of the tables.
fn add_to_tables(
    cpu: &Cpu,
    tokens: &Tokens,
    hidden: usize,
    d_sum: &[f32],
    [word, position, token_type]: [&mut [f32]; 3],
) {
    let positions = positions(tokens);
    let starts = (0..hidden).step_by(COLUMNS);
    let tables = Columns::split(word, hidden, COLUMNS).zip(Columns::split(position, hidden, COLUMNS));
    cpu.each(d_sum.len(), tables.zip(starts), |((mut word, mut position), start)| {
        for ((&id, &row), d_sum) in tokens.ids().iter().zip(&positions).zip(d_sum.chunks_exact(hidden)) {
            add_tile(cpu.level, &d_sum[start..], word.row(id as usize));
            add_tile(cpu.level, &d_sum[start..], position.row(row as usize));
        }
    });
    sums::add_columns(cpu, d_sum, &mut token_type[..hidden]);
}
