//! Rows of unit length.

use super::lanes::{dot, sum_of_squares};
use super::level::multiversion;
use super::{Cpu, row_tile};

multiversion! {
    fn forward_tile(columns: usize, epsilon: f32, x: &[f32], out: &mut [f32], norms: &mut [f32]) {
        for ((x, out), norm) in x.chunks_exact(columns).zip(out.chunks_exact_mut(columns)).zip(norms) {
            *norm = sum_of_squares::<FMA>(x, 0.0).sqrt();
            let divisor = if *norm < epsilon { epsilon } else { *norm };
            for (out, x) in out.iter_mut().zip(x) {
                *out = x / divisor;
            }
        }
    }
}

multiversion! {
    fn backward_tile(columns: usize, epsilon: f32, out: &[f32], norms: &[f32], d_out: &[f32], dx: &mut [f32]) {
        let rows = out.chunks_exact(columns).zip(d_out.chunks_exact(columns)).zip(dx.chunks_exact_mut(columns));
        for (((out, d_out), dx), &norm) in rows.zip(norms) {
            let constant = norm < epsilon;
            let along = if constant { 0.0 } else { dot::<FMA>(out, d_out) };
            let divisor = if constant { epsilon } else { norm };
            for ((dx, out), d_out) in dx.iter_mut().zip(out).zip(d_out) {
                *dx = (d_out - out * along) / divisor;
            }
        }
    }
}

pub(super) fn forward(
    cpu: &Cpu,
    columns: usize,
    epsilon: f64,
    x: &[f32],
    out: &mut [f32],
    norms: &mut [f32],
) {
    let tile = row_tile(columns);
    let tiles = x.chunks(tile).zip(out.chunks_mut(tile)).zip(norms.chunks_mut(tile / columns));
    cpu.each(x.len(), tiles, |((x, out), norms)| {
        forward_tile(cpu.level, columns, epsilon as f32, x, out, norms);
    });
}

pub(super) fn backward(
    cpu: &Cpu,
    columns: usize,
    epsilon: f64,
    [out, norms, d_out]: [&[f32]; 3],
    dx: &mut [f32],
) {
    let tile = row_tile(columns);
    let tiles =
        out.chunks(tile).zip(norms.chunks(tile / columns)).zip(d_out.chunks(tile).zip(dx.chunks_mut(tile)));
    cpu.each(out.len(), tiles, |((out, norms), (d_out, dx))| {
        backward_tile(cpu.level, columns, epsilon as f32, out, norms, d_out, dx);
    });
}
