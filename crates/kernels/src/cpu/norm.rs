//! Layer norm with what stands before it (dropout and residual) or after it (dropout), a row at a time.

use super::lanes::{LANES, dot, mul_add, sum, sum_of_squares, tree_sum};
use super::level::multiversion;
use super::mask::{self, Mask};
use super::memory::Buffer;
use super::{Cpu, row_tile, sums};
use crate::{Affine, AffineGradient, NormOutput};

/// γ and β of a norm, and its ε.
#[derive(Clone, Copy)]
pub(super) struct Norm<'a> {
    gamma: &'a [f32],
    beta: &'a [f32],
    epsilon: f32,
}

impl<'a> Norm<'a> {
    pub(super) fn new(norm: Affine<'a, Buffer>, epsilon: f64) -> Self {
        Self { gamma: norm.weight, beta: norm.bias, epsilon: epsilon as f32 }
    }
}

/// The mean and 1/√(variance + ε).
#[inline(always)]
fn statistics_of<const FMA: bool>(norm: Norm<'_>, x: &[f32]) -> [f32; 2] {
    let n = x.len() as f32;
    let mean = sum(x) / n;
    [mean, 1.0 / (sum_of_squares::<FMA>(x, mean) / n + norm.epsilon).sqrt()]
}

/// `output = γ (x − mean)/√(variance + ε) + β`; returns the mean and 1/√(variance + ε).
#[inline(always)]
fn normalize_row<const FMA: bool>(norm: Norm<'_>, x: &[f32], output: &mut [f32]) -> [f32; 2] {
    let statistics = statistics_of::<FMA>(norm, x);
    scale_row::<FMA>([norm.gamma, norm.beta], x, statistics, output);
    statistics
}

/// `γ (x − mean) · inverse + β`.
#[inline(always)]
fn scaled<const FMA: bool>(x: f32, [mean, inverse]: [f32; 2], gamma: f32, beta: f32) -> f32 {
    mul_add::<FMA>((x - mean) * inverse, gamma, beta)
}

/// [`scaled`] for a row.
#[inline(always)]
fn scale_row<const FMA: bool>(
    [gamma, beta]: [&[f32]; 2],
    x: &[f32],
    statistics: [f32; 2],
    output: &mut [f32],
) {
    for (((output, &x), &gamma), &beta) in output.iter_mut().zip(x).zip(gamma).zip(beta) {
        *output = scaled::<FMA>(x, statistics, gamma, beta);
    }
}

multiversion! {
    /// The output of a norm for each row, from the statistics that forward wrote.
    pub(super) fn output_tile(parameters: [&[f32]; 2], sum: &[f32], statistics: &[f32], output: &mut [f32]) {
        let hidden = parameters[0].len();
        let rows = sum.chunks_exact(hidden).zip(output.chunks_exact_mut(hidden));
        for ((sum, output), &statistics) in rows.zip(statistics.as_chunks::<2>().0) {
            scale_row::<FMA>(parameters, sum, statistics, output);
        }
    }
}

multiversion! {
    /// `output = dropout(norm(sum))` for each row.
    pub(super) fn normalize_rows(
        norm: Norm<'_>,
        mask: Mask<'_>,
        sum: &[f32],
        statistics: &mut [f32],
        output: &mut [f32],
    ) {
        let hidden = norm.gamma.len();
        let rows = sum.chunks_exact(hidden).zip(output.chunks_exact_mut(hidden));
        for (row, ((sum, output), statistics)) in rows.zip(statistics.as_chunks_mut::<2>().0).enumerate() {
            *statistics = normalize_row::<FMA>(norm, sum, output);
            if let Some(&key) = mask.keys.get(row) {
                mask::apply(key, mask.threshold, mask.scale, output);
            }
        }
    }
}

multiversion! {
    /// `sum = dropout(sum) + residual`, `output = norm(sum)` for each row.
    fn residual_tile(
        norm: Norm<'_>,
        mask: Mask<'_>,
        residual: &[f32],
        sum: &mut [f32],
        statistics: &mut [f32],
        output: &mut [f32],
    ) {
        let hidden = norm.gamma.len();
        let rows = sum.chunks_exact_mut(hidden).zip(residual.chunks_exact(hidden)).zip(output.chunks_exact_mut(hidden));
        for (row, (((sum, residual), output), statistics)) in
            rows.zip(statistics.as_chunks_mut::<2>().0).enumerate()
        {
            if let Some(&key) = mask.keys.get(row) {
                mask::apply(key, mask.threshold, mask.scale, sum);
            }
            for (sum, residual) in sum.iter_mut().zip(residual) {
                *sum += residual;
            }
            *statistics = normalize_row::<FMA>(norm, sum, output);
        }
    }
}

multiversion! {
    /// `x = norm(x + residual)` for each row.
    fn residual_tile_in_place(norm: Norm<'_>, residual: &[f32], x: &mut [f32]) {
        let hidden = norm.gamma.len();
        for (x, residual) in x.chunks_exact_mut(hidden).zip(residual.chunks_exact(hidden)) {
            for (x, residual) in x.iter_mut().zip(residual) {
                *x += residual;
            }
            let statistics = statistics_of::<FMA>(norm, x);
            for ((x, &gamma), &beta) in x.iter_mut().zip(norm.gamma).zip(norm.beta) {
                *x = scaled::<FMA>(*x, statistics, gamma, beta);
            }
        }
    }
}

multiversion! {
    /// The gradient of `sum` for each row, in `d_sum`, which comes in as the gradient of the norm's output;
    /// `slot` holds the gradients of γ and then of β.
    fn backward_tile(gamma: &[f32], sum: &[f32], statistics: &[f32], d_sum: &mut [f32], slot: &mut [f32]) {
        let hidden = gamma.len();
        let n = hidden as f32;
        let (d_gamma, d_beta) = slot.split_at_mut(hidden);
        let rows = sum.chunks_exact(hidden).zip(d_sum.chunks_exact_mut(hidden));
        for ((x, d), &[mean, inverse]) in rows.zip(statistics.as_chunks::<2>().0) {
            let parameters = d_gamma.iter_mut().zip(d_beta.iter_mut());
            for ((d_gamma, d_beta), (&x, &d)) in parameters.zip(x.iter().zip(&*d)) {
                *d_gamma = mul_add::<FMA>(d, (x - mean) * inverse, *d_gamma);
                *d_beta += d;
            }
            let mean_d = dot::<FMA>(d, gamma) / n;
            let mean_d_hat = dot_centred::<FMA>(d, gamma, x, mean) * inverse / n;
            for ((d, &x), &gamma) in d.iter_mut().zip(x).zip(gamma) {
                let hat = (x - mean) * inverse;
                *d = inverse * (mul_add::<FMA>(*d, gamma, -mean_d) - hat * mean_d_hat);
            }
        }
    }
}

/// Σ aᵢ bᵢ (xᵢ − center).
#[inline(always)]
fn dot_centred<const FMA: bool>(a: &[f32], b: &[f32], x: &[f32], center: f32) -> f32 {
    let (a_chunks, a_rest) = a.as_chunks::<LANES>();
    let (b_chunks, b_rest) = b.as_chunks::<LANES>();
    let (x_chunks, x_rest) = x.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for ((a, b), x) in a_chunks.iter().zip(b_chunks).zip(x_chunks) {
        for lane in 0..LANES {
            lanes[lane] = mul_add::<FMA>(a[lane] * b[lane], x[lane] - center, lanes[lane]);
        }
    }
    for (lane, ((a, b), x)) in lanes.iter_mut().zip(a_rest.iter().zip(b_rest).zip(x_rest)) {
        *lane = mul_add::<FMA>(a * b, x - center, *lane);
    }
    tree_sum(lanes)
}

multiversion! {
    /// `to = dropout(from)` for each row.
    fn dropout_tile(mask: Mask<'_>, columns: usize, from: &[f32], to: &mut [f32]) {
        to.copy_from_slice(from);
        for (row, &key) in to.chunks_exact_mut(columns).zip(mask.keys) {
            mask::apply(key, mask.threshold, mask.scale, row);
        }
    }
}

/// `sum = dropout(sum) + residual`, `output = norm(sum)`.
pub(super) fn residual(
    cpu: &Cpu,
    norm: Norm<'_>,
    mask: Mask<'_>,
    residual: &[f32],
    NormOutput { sum, statistics, output }: NormOutput<'_, Buffer>,
) {
    let hidden = norm.gamma.len();
    let tile = row_tile(hidden);
    let size = output.len();
    let tiles = residual
        .chunks(tile)
        .zip(sum.chunks_mut(tile))
        .zip(statistics.chunks_mut(tile / hidden * 2).zip(output.chunks_mut(tile)))
        .enumerate();
    cpu.each(size, tiles, |(i, ((residual, sum), (statistics, output)))| {
        residual_tile(cpu.level, norm, mask.from(i * (tile / hidden)), residual, sum, statistics, output);
    });
}

/// `x = norm(x + residual)`.
pub(super) fn residual_in_place(cpu: &Cpu, norm: Norm<'_>, residual: &[f32], x: &mut [f32]) {
    let tile = row_tile(norm.gamma.len());
    cpu.each(x.len(), residual.chunks(tile).zip(x.chunks_mut(tile)), |(residual, x)| {
        residual_tile_in_place(cpu.level, norm, residual, x);
    });
}

/// The output of a norm once more.
pub(super) fn output(
    cpu: &Cpu,
    norm: Affine<'_, Buffer>,
    sum: &[f32],
    statistics: &[f32],
    output: &mut [f32],
) {
    let hidden = norm.weight.len();
    let tile = row_tile(hidden);
    let tiles = sum.chunks(tile).zip(statistics.chunks(tile / hidden * 2)).zip(output.chunks_mut(tile));
    cpu.each(sum.len(), tiles, |((sum, statistics), output)| {
        output_tile(cpu.level, [norm.weight, norm.bias], sum, statistics, output);
    });
}

/// Backward of a norm whose output was dropped with `after` and whose input with `before`: `d_sum` receives the gradient
/// of what the norm was taken of and `d_layer`, when asked for, that of what was dropped before it.
pub(super) fn backward(
    cpu: &Cpu,
    gamma: &[f32],
    [before, after]: [Mask<'_>; 2],
    sum: &[f32],
    statistics: &[f32],
    d_output: &[f32],
    d_sum: &mut [f32],
    d_layer: Option<&mut [f32]>,
    AffineGradient { weight: d_gamma, bias: d_beta }: AffineGradient<'_, Buffer>,
) {
    let hidden = gamma.len();
    let tile = row_tile(hidden);
    let size = sum.len();
    let mut slots = cpu.memory.zeros(size.div_ceil(tile) * 2 * hidden);
    let mut d_layer = d_layer.map(|d_layer| d_layer.chunks_mut(tile));
    let tiles = sum
        .chunks(tile)
        .zip(statistics.chunks(tile / hidden * 2))
        .zip(d_output.chunks(tile).zip(d_sum.chunks_mut(tile)))
        .zip(slots.chunks_exact_mut(2 * hidden))
        .map(|tile| (tile, d_layer.as_mut().and_then(Iterator::next)))
        .enumerate();
    cpu.each(size, tiles, |(i, ((((sum, statistics), (d_output, d_sum)), slot), d_layer))| {
        let row = i * (tile / hidden);
        dropout_tile(cpu.level, after.from(row), hidden, d_output, d_sum);
        backward_tile(cpu.level, gamma, sum, statistics, d_sum, slot);
        if let Some(d_layer) = d_layer {
            dropout_tile(cpu.level, before.from(row), hidden, d_sum, d_layer);
        }
    });
    for slot in slots.chunks_exact(2 * hidden) {
        sums::add_rows(cpu.level, &slot[..hidden], d_gamma);
        sums::add_rows(cpu.level, &slot[hidden..], d_beta);
    }
}
