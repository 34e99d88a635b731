//! Token vectors of a text to one vector; a text is one task.

use super::Cpu;
use super::level::multiversion;
use super::sums::add_rows;
use crate::{Pooling, Tokens};

multiversion! {
    fn scaled(from: &[f32], factor: f32, to: &mut [f32]) {
        for (to, from) in to.iter_mut().zip(from) {
            *to = from * factor;
        }
    }
}

multiversion! {
    /// The largest of each column; a NaN is larger than every number.
    fn largest_rows(x: &[f32], output: &mut [f32]) {
        let hidden = output.len();
        output.copy_from_slice(&x[..hidden]);
        for row in x.chunks_exact(hidden) {
            for (best, &x) in output.iter_mut().zip(row) {
                *best = if exceeds(x, *best) { x } else { *best };
            }
        }
    }
}

/// Whether `x` replaces `best` as the largest so far.
#[inline(always)]
pub(super) fn exceeds(x: f32, best: f32) -> bool {
    x > best || (x.is_nan() && !best.is_nan())
}

pub(super) fn forward(
    cpu: &Cpu,
    pooling: Pooling,
    tokens: &Tokens,
    hidden: usize,
    x: &[f32],
    output: &mut [f32],
) {
    cpu.each(x.len(), output.chunks_exact_mut(hidden).enumerate(), |(text, output)| {
        let range = tokens.range(text);
        let x = &x[range.start * hidden..range.end * hidden];
        match pooling {
            Pooling::Cls => output.copy_from_slice(&x[..hidden]),
            Pooling::Max => largest_rows(cpu.level, x, output),
            Pooling::Mean => {
                output.fill(0.0);
                add_rows(cpu.level, x, output);
                for output in output {
                    *output /= range.len() as f32;
                }
            }
        }
    });
}

pub(super) fn backward(
    cpu: &Cpu,
    pooling: Pooling,
    tokens: &Tokens,
    hidden: usize,
    x: &[f32],
    d_output: &[f32],
    dx: &mut [f32],
) {
    let mut rest = dx;
    let texts = d_output.chunks_exact(hidden).enumerate().map(|(text, d_output)| {
        let (dx, after) = std::mem::take(&mut rest).split_at_mut(tokens.range(text).len() * hidden);
        rest = after;
        (text, d_output, dx)
    });
    cpu.each(x.len(), texts, |(text, d_output, dx)| {
        let range = tokens.range(text);
        let x = &x[range.start * hidden..range.end * hidden];
        match pooling {
            Pooling::Mean => {
                for dx in dx.chunks_exact_mut(hidden) {
                    scaled(cpu.level, d_output, 1.0 / range.len() as f32, dx);
                }
            }
            Pooling::Cls => {
                dx.fill(0.0);
                dx[..hidden].copy_from_slice(d_output);
            }
            Pooling::Max => {
                dx.fill(0.0);
                for column in 0..hidden {
                    let at = |row: usize| x[row * hidden + column];
                    let best = (1..range.len())
                        .fold(0, |best, row| if exceeds(at(row), at(best)) { row } else { best });
                    dx[best * hidden + column] = d_output[column];
                }
            }
        }
    });
}
