//! Backward of attention: the probabilities of a block of query rows are computed again from the sums that forward kept.

use std::f32::consts::LOG2_E;

use super::Cpu;
use super::attention::{Head, heads, size, split, write_scaled};
use super::block::{Left, multiply};
use super::columns::Columns;
use super::functions::exp2_of_negative;
use super::lanes::{LANES, dot, mul_add};
use super::level::multiversion;
use super::mask;
use super::memory::Buffer;
use super::packing::{Panels, pack, pack_transposed, panels};
use crate::AttentionInputs;

/// What all heads read.
#[derive(Clone, Copy)]
struct Given<'a> {
    query: &'a [f32],
    key: &'a [f32],
    value: &'a [f32],
    output: &'a [f32],
    log_sums: &'a [f32],
    d_output: &'a [f32],
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
        let (scale, len) = (head.scale() * LOG2_E, head.len());
        let dropout_scale = head.dropout.scale() as f32;
        let stride = head.score_stride();
        let (output, d_output) = (head.rows(given.output).from(first), head.rows(given.d_output).from(first));
        let rows = scores.chunks_exact_mut(stride).zip(d_scores.chunks_exact_mut(stride));
        let log_sums = &head.log_sums(given.log_sums)[first..];
        for (row, ((scores, d_scores), &log_sum)) in rows.zip(log_sums).enumerate() {
            let log_sum = log_sum * LOG2_E;
            let delta = dot::<FMA>(output.row(row), d_output.row(row));
            let pairs = scores[..len].iter_mut().zip(d_scores);
            if let Some(&key) = keys.get(row) {
                let threshold = head.dropout.threshold();
                for (column, (score, d_score)) in (0..).zip(pairs) {
                    let stays = mask::stays(key, column, threshold);
                    let p = exp2_of_negative::<FMA>(mul_add::<FMA>(*score, scale, -log_sum));
                    let d = f32::from_bits((*d_score * dropout_scale).to_bits() & stays);
                    *score = f32::from_bits((p * dropout_scale).to_bits() & stays);
                    *d_score = p * (d - delta);
                }
            } else {
                for (score, d_score) in pairs {
                    *score = exp2_of_negative::<FMA>(mul_add::<FMA>(*score, scale, -log_sum));
                    *d_score = *score * (*d_score - delta);
                }
            }
        }
    }
}

fn backward_head(
    cpu: &Cpu,
    head: Head<'_>,
    given: Given<'_>,
    [d_query, d_key, d_value]: [&mut Columns<'_>; 3],
) {
    let (level, len, width) = (cpu.level, head.len(), head.width);
    let (block, padded, stride) = (head.block(), len.next_multiple_of(LANES), panels(width) * LANES);
    let score_stride = head.score_stride();
    let sizes = [
        padded * width,
        padded * width,
        len * stride,
        block * stride,
        block * stride,
        len * stride,
        len * stride,
        block * score_stride,
        block * score_stride,
        block * stride,
    ];
    let mut scratch = cpu.memory.scratch(sizes.iter().sum());
    let mut rest = &mut scratch[..];
    let [
        key_transposed,
        value_transposed,
        key,
        query_block,
        d_output_block,
        d_key_sums,
        d_value_sums,
        scores,
        d_scores,
        d_query_sums,
    ] = sizes.map(|size| {
        let (piece, after) = std::mem::take(&mut rest).split_at_mut(size);
        rest = after;
        piece
    });
    pack_transposed(level, head.rows(given.key), len, key_transposed);
    pack_transposed(level, head.rows(given.value), len, value_transposed);
    pack(level, head.rows(given.key), len, key);
    let keys = head.keys();
    for first in (0..len).step_by(block) {
        let n = block.min(len - first);
        let (query, d_output) = (head.rows(given.query).from(first), head.rows(given.d_output).from(first));
        multiply(level, query.left(), n, Panels::new(key_transposed, width), false, scores, score_stride);
        multiply(
            level,
            d_output.left(),
            n,
            Panels::new(value_transposed, width),
            false,
            d_scores,
            score_stride,
        );
        let (scores, d_scores) = (&mut scores[..n * score_stride], &mut d_scores[..n * score_stride]);
        gradients(level, head, given, first, keys.get(first..).unwrap_or_default(), scores, d_scores);

        let (query_block, d_output_block) =
            (&mut query_block[..n * stride], &mut d_output_block[..n * stride]);
        pack(level, query, n, query_block);
        pack(level, d_output, n, d_output_block);
        let across = Left::columns(scores, score_stride);
        multiply(level, across, len, Panels::new(d_output_block, n), first > 0, d_value_sums, stride);
        let across = Left::columns(d_scores, score_stride);
        multiply(level, across, len, Panels::new(query_block, n), first > 0, d_key_sums, stride);
        let along = Left::rows(d_scores, score_stride);
        multiply(level, along, n, Panels::new(key, len), false, d_query_sums, stride);
        for (row, sums) in d_query_sums.chunks_exact(stride).take(n).enumerate() {
            write_scaled(level, head.scale(), sums, d_query.row(first + row));
        }
    }
    for row in 0..len {
        write_scaled(level, head.scale(), &d_key_sums[row * stride..][..stride], d_key.row(row));
        write_scaled(level, 1.0, &d_value_sums[row * stride..][..stride], d_value.row(row));
    }
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
    let AttentionInputs { query, key, value, .. } = inputs;
    let given = Given { query, key, value, output, log_sums, d_output };
    let gradients = split(&inputs, d_query).zip(split(&inputs, d_key)).zip(split(&inputs, d_value));
    let mut tasks: Vec<_> = heads(&inputs).zip(gradients).collect();
    tasks.sort_by_key(|(head, _)| std::cmp::Reverse(head.len()));
    cpu.each(size(&inputs), tasks.into_iter(), |(head, ((mut d_query, mut d_key), mut d_value))| {
        backward_head(cpu, head, given, [&mut d_query, &mut d_key, &mut d_value]);
    });
}
