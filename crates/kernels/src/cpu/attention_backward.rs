//! Backward of attention: the probabilities of a block of query rows are computed again from the sums that forward kept.

use std::f32::consts::LOG2_E;
use std::iter::repeat_n;

use super::arithmetic::Arithmetic;
use super::attention::{apart, cut};
use super::block::multiply;
use super::columns::Columns;
use super::functions::exp2_of_negative;
use super::heads::{Head, heads, size, split};
use super::lanes::{LANES, dot, mul_add};
use super::level::multiversion;
use super::many::Many;
use super::mask;
use super::memory::Buffer;
use super::packing::{Rows, pack, pack_transposed, panels};
use super::projection::Apart;
use super::rows::scale_rows;
use super::{Cpu, row_tile};
use crate::AttentionInputs;

/// What all heads read.
#[derive(Clone, Copy)]
struct Given<'a> {
    query: &'a [f32],
    key: &'a [f32],
    value: &'a [f32],
    log_sums: &'a [f32],
    d_output: &'a [f32],
    /// Σ o do of each head of each token, `[tokens, heads]`.
    deltas: &'a [f32],
}

multiversion! {
    /// Σ o do of each head, row by row: a head alone would wait for two cache lines of each row, far apart.
    fn deltas_of_rows(width: usize, output: &[f32], d_output: &[f32], deltas: &mut [f32]) {
        let pairs = output.chunks_exact(width).zip(d_output.chunks_exact(width));
        for (delta, (output, d_output)) in deltas.iter_mut().zip(pairs) {
            *delta = dot::<FMA>(output, d_output);
        }
    }
}

fn deltas(cpu: &Cpu, inputs: &AttentionInputs<'_, Buffer>, output: &[f32], d_output: &[f32]) -> Buffer {
    let (width, tile) = (inputs.hidden / inputs.heads, row_tile(inputs.hidden));
    let mut deltas = cpu.memory.scratch(inputs.tokens.n_tokens() * inputs.heads);
    let tiles = output.chunks(tile).zip(d_output.chunks(tile)).zip(deltas.chunks_mut(tile / width));
    cpu.each(output.len(), tiles, |((output, d_output), deltas)| {
        deltas_of_rows(cpu.level, width, output, d_output, deltas);
    });
    deltas
}

multiversion! {
    /// Turns scores into dropped probabilities, and gradients of those into gradients of the scaled scores:
    /// `p = exp(s/√d − log_sum)`, `ds = p (mask ∘ dp − Σ o do)`.
    fn gradients(
        head: Head<'_>,
        given: Given<'_>,
        first: usize,
        keys: &[[u32; 2]],
        scores: &mut [f32],
        d_scores: &mut [f32],
    ) {
        // Whole registers: nobody reads what is computed behind the text.
        let (scale, len) = (head.scale() * LOG2_E, head.len().next_multiple_of(LANES));
        let dropout_scale = head.dropout.scale() as f32;
        let stride = head.score_stride();
        let heads = head.hidden / head.width;
        let deltas = given.deltas[(head.start() + first) * heads + head.index..].iter().step_by(heads);
        let rows = scores.chunks_exact_mut(stride).zip(d_scores.chunks_exact_mut(stride));
        let log_sums = &head.log_sums(given.log_sums)[first..];
        for (row, (((scores, d_scores), &log_sum), &delta)) in rows.zip(log_sums).zip(deltas).enumerate() {
            let log_sum = log_sum * LOG2_E;
            let pairs = scores[..len].iter_mut().zip(d_scores);
            if let Some(&key) = keys.get(row) {
                let threshold = head.dropout.threshold();
                for (column, (score, d_score)) in (0..).zip(pairs) {
                    let stays = mask::stays(key, column, threshold);
                    let Many([p]) = exp2_of_negative::<FMA, 1>(Many([mul_add::<FMA>(*score, scale, -log_sum)]));
                    let d = f32::from_bits((*d_score * dropout_scale).to_bits() & stays);
                    *score = f32::from_bits((p * dropout_scale).to_bits() & stays);
                    *d_score = p * (d - delta);
                }
            } else {
                for (score, d_score) in pairs {
                    Many([*score]) = exp2_of_negative::<FMA, 1>(Many([mul_add::<FMA>(*score, scale, -log_sum)]));
                    *d_score = *score * (*d_score - delta);
                }
            }
        }
    }
}

fn backward_head(
    cpu: &Cpu,
    arithmetic: Arithmetic,
    head: Head<'_>,
    given: Given<'_>,
    [d_query, mut d_key, mut d_value]: [Columns<'_>; 3],
) {
    let (level, len, width) = (cpu.level, head.len(), head.width);
    let (block, padded, stride) = (head.block(), len.next_multiple_of(LANES), panels(width) * LANES);
    let score_stride = head.score_stride();
    // Words along a head's width, along the text, and along a block of it.
    let [wide, long, high] = [width, len, block].map(|numbers| arithmetic.words(numbers));
    // Columns of a head that ends with a whole word.
    let whole = wide * arithmetic.form().numbers();
    let sizes = [
        padded * wide,
        padded * wide,
        long * stride,
        high * stride,
        high * stride,
        block * score_stride,
        block * score_stride,
        arithmetic.room((len * wide).max(long * whole).max(high * len).max(block * long)),
    ];
    let mut scratch = cpu.memory.near(sizes.iter().sum());
    let [key_transposed, value_transposed, packed_key, query_block, d_output_block, scores, d_scores, room] =
        cut(&mut scratch, sizes);
    let [query, key, value] =
        [given.query, given.key, given.value].map(|values| head.kept_rows(arithmetic.form(), values));
    pack_transposed(level, arithmetic.along_kept(key, len, room), len, key_transposed);
    pack_transposed(level, arithmetic.along_kept(value, len, room), len, value_transposed);
    let key = Rows { columns: width, ..arithmetic.across_kept(key, len, room) };
    pack(level, key, long, &mut Columns::whole(packed_key, long * LANES));
    let keys_of_rows = head.keys();
    for (first, mut d_query) in (0..len).step_by(block).zip(d_query.blocks(block)) {
        let n = block.min(len - first);
        let (query, d_output) = (query.from(first), head.rows(given.d_output).from(first));
        let (left, right) =
            (arithmetic.along_kept(query, n, room).left(), arithmetic.panels(key_transposed, wide));
        multiply(level, left, n, right, false, &mut Columns::whole(scores, score_stride));
        let (left, right) =
            (arithmetic.along(d_output, n, room).left(), arithmetic.panels(value_transposed, wide));
        multiply(level, left, n, right, false, &mut Columns::whole(d_scores, score_stride));
        let (scores, d_scores) = (&mut scores[..n * score_stride], &mut d_scores[..n * score_stride]);
        let keys_of_rows = keys_of_rows.get(first..).unwrap_or_default();
        gradients(level, head, given, first, keys_of_rows, scores, d_scores);

        let (scores, d_scores, high) =
            (head.score_rows(scores), head.score_rows(d_scores), arithmetic.words(n));
        let (d_output_block, query_block) =
            (&mut d_output_block[..high * stride], &mut query_block[..high * stride]);
        let d_output = arithmetic.across(d_output, n, room);
        pack(level, d_output, high, &mut Columns::whole(d_output_block, high * LANES));
        let query = Rows { columns: width, ..arithmetic.across_kept(query, n, room) };
        pack(level, query, high, &mut Columns::whole(query_block, high * LANES));
        for (scores, right, sums) in
            [(scores, &*d_output_block, &mut d_value), (d_scores, &*query_block, &mut d_key)]
        {
            let (left, right) =
                (arithmetic.across(scores, n, room).transposed(), arithmetic.panels(right, high));
            multiply(level, left, len, right, first > 0, sums);
        }
        let (left, right) = (arithmetic.along(d_scores, n, room).left(), arithmetic.panels(packed_key, long));
        multiply(level, left, n, right, false, &mut d_query);
        scale_rows(level, repeat_n(head.scale(), n), &mut d_query);
    }
    scale_rows(level, repeat_n(head.scale(), len), &mut d_key);
}

/// The gradients of query, key and value.
pub(super) fn backward(
    cpu: &Cpu,
    inputs: AttentionInputs<'_, Buffer>,
    output: &[f32],
    log_sums: &[f32],
    d_output: &[f32],
    [d_query, d_key, d_value]: [&mut Buffer; 3],
) {
    let arithmetic = Arithmetic::new(cpu.level, inputs.precision);
    let kept = apart(cpu, arithmetic, &inputs);
    let [query, key, value] = kept.each_ref().map(Apart::rows);
    let deltas = deltas(cpu, &inputs, output, d_output);
    let given = Given { query, key, value, log_sums, d_output, deltas: &deltas };
    let gradients = split(&inputs, d_query).zip(split(&inputs, d_key)).zip(split(&inputs, d_value));
    let mut tasks: Vec<_> = heads(&inputs).zip(gradients).collect();
    tasks.sort_by_key(|(head, _)| std::cmp::Reverse(head.len()));
    cpu.each(size(&inputs), tasks.into_iter(), |(head, ((d_query, d_key), d_value))| {
        backward_head(cpu, arithmetic, head, given, [d_query, d_key, d_value]);
    });
}
