//! Softmax of rows.

use std::f32::consts::{LN_2, LOG2_E};

use super::functions::exp2_of_negative;
use super::lanes::{LANES, dot, largest, tree_sum};
use super::level::multiversion;
use super::many::Many;
use super::{Cpu, row_tile};

/// `row = exp(scale · (row − largest))`; returns scale · largest and the sum.
#[inline(always)]
pub(super) fn exponentials<const FMA: bool>(scale: f32, row: &mut [f32]) -> [f32; 2] {
    let (largest, scale) = (largest(row), scale * LOG2_E);
    let (chunks, rest) = row.as_chunks_mut::<LANES>();
    let mut sums = [0.0; LANES];
    for chunk in chunks {
        for lane in 0..LANES {
            // The difference first: it is exact for the largest, and never above 0.
            Many([chunk[lane]]) = exp2_of_negative::<FMA, 1>(Many([(chunk[lane] - largest) * scale]));
            sums[lane] += chunk[lane];
        }
    }
    for (sum, x) in sums.iter_mut().zip(rest) {
        Many([*x]) = exp2_of_negative::<FMA, 1>(Many([(*x - largest) * scale]));
        *sum += *x;
    }
    [largest * scale * LN_2, tree_sum(sums)]
}

multiversion! {
    fn forward_tile(columns: usize, output: &mut [f32]) {
        for row in output.chunks_exact_mut(columns) {
            let [_, sum] = exponentials::<FMA>(1.0, row);
            for x in row {
                *x /= sum;
            }
        }
    }
}

multiversion! {
    fn backward_tile(columns: usize, output: &[f32], d_output: &[f32], d_logits: &mut [f32]) {
        let rows = output.chunks_exact(columns).zip(d_output.chunks_exact(columns));
        for ((output, d_output), d_logits) in rows.zip(d_logits.chunks_exact_mut(columns)) {
            let mean = dot::<FMA>(output, d_output);
            for ((d_logit, output), d_output) in d_logits.iter_mut().zip(output).zip(d_output) {
                *d_logit = output * (d_output - mean);
            }
        }
    }
}

pub(super) fn forward(cpu: &Cpu, columns: usize, logits: &[f32], output: &mut [f32]) {
    let tile = row_tile(columns);
    cpu.each(output.len(), output.chunks_mut(tile).zip(logits.chunks(tile)), |(output, logits)| {
        output.copy_from_slice(logits);
        forward_tile(cpu.level, columns, output);
    });
}

pub(super) fn backward(cpu: &Cpu, columns: usize, output: &[f32], d_output: &[f32], d_logits: &mut [f32]) {
    let tile = row_tile(columns);
    let tiles = output.chunks(tile).zip(d_output.chunks(tile)).zip(d_logits.chunks_mut(tile));
    cpu.each(output.len(), tiles, |((output, d_output), d_logits)| {
        backward_tile(cpu.level, columns, output, d_output, d_logits);
    });
}
