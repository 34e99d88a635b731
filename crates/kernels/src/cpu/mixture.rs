//! The block: gate noise, choosing and mixing experts.

use super::lanes::{dot, mul_add};
use super::level::multiversion;
use super::memory::Buffer;
use super::pooling::exceeds;
use super::{Cpu, row_tile};

/// `ln(1 + eˣ)`, without overflow.
fn softplus(x: f32) -> f32 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// `logits += epsilon ⊙ softplus(raw)`; a gate has few columns, so one thread does it.
pub(super) fn add_noise(epsilon: &[f32], raw: &[f32], logits: &mut [f32]) {
    for ((logit, epsilon), &raw) in logits.iter_mut().zip(epsilon).zip(raw) {
        *logit += epsilon * softplus(raw);
    }
}

/// softplus' is the logistic function.
pub(super) fn add_noise_backward(epsilon: &[f32], raw: &[f32], d_logits: &[f32], d_raw: &mut [f32]) {
    for (((d_raw, epsilon), &raw), d_logit) in d_raw.iter_mut().zip(epsilon).zip(raw).zip(d_logits) {
        *d_raw = d_logit * epsilon / (1.0 + (-raw).exp());
    }
}

/// The first of the largest of each row.
pub(super) fn arg_max(columns: usize, x: &[f32]) -> Vec<u32> {
    let best = |row: &[f32]| {
        (1..columns).fold(0, |best, column| if exceeds(row[column], row[best]) { column } else { best })
    };
    x.chunks_exact(columns).map(|row| best(row) as u32).collect()
}

multiversion! {
    /// `into += factor · from`, or `into = factor · from` when it is the first.
    fn add_scaled(is_first: bool, factor: f32, from: &[f32], into: &mut [f32]) {
        for (into, &from) in into.iter_mut().zip(from) {
            *into = if is_first { factor * from } else { mul_add::<FMA>(factor, from, *into) };
        }
    }
}

multiversion! {
    fn row_dot(a: &[f32], b: &[f32]) -> f32 {
        dot::<FMA>(a, b)
    }
}

/// `out[row] = Σ_i weights[row, i] · parts[i][row]`.
pub(super) fn mix(cpu: &Cpu, columns: usize, weights: &[f32], parts: &[Buffer], out: &mut [f32]) {
    let tile = row_tile(columns);
    cpu.each(out.len() * parts.len(), out.chunks_mut(tile).enumerate(), |(i, out)| {
        for (row, out) in (i * (tile / columns)..).zip(out.chunks_exact_mut(columns)) {
            for (part, values) in parts.iter().enumerate() {
                let weight = weights[row * parts.len() + part];
                add_scaled(cpu.level, part == 0, weight, &values[row * columns..][..columns], out);
            }
        }
    });
}

/// `d_weights[row, i] = d_out[row] · parts[i][row]`.
pub(super) fn mix_backward_weights(
    cpu: &Cpu,
    columns: usize,
    parts: &[Buffer],
    d_out: &[f32],
    d_weights: &mut [f32],
) {
    let rows = d_weights.chunks_exact_mut(parts.len()).zip(d_out.chunks_exact(columns)).enumerate();
    cpu.each(d_out.len() * parts.len(), rows, |(row, (d_weights, d_out))| {
        for (d_weight, part) in d_weights.iter_mut().zip(parts) {
            *d_weight = row_dot(cpu.level, d_out, &part[row * columns..][..columns]);
        }
    });
}

/// `d_part[row] = weights[row, part] · d_out[row]`.
pub(super) fn mix_backward_part(
    cpu: &Cpu,
    columns: usize,
    weights: impl Fn(usize) -> f32 + Sync,
    d_out: &[f32],
    d_part: &mut [f32],
) {
    let tile = row_tile(columns);
    cpu.each(
        d_out.len(),
        d_part.chunks_mut(tile).zip(d_out.chunks(tile)).enumerate(),
        |(i, (d_part, d_out))| {
            let rows = d_part.chunks_exact_mut(columns).zip(d_out.chunks_exact(columns));
            for (row, (d_part, d_out)) in (i * (tile / columns)..).zip(rows) {
                add_scaled(cpu.level, true, weights(row), d_out, d_part);
            }
        },
    );
}

/// `out[row] = x[row, choice[row]]`.
pub(super) fn take_columns(columns: usize, choice: &[u32], x: &[f32], out: &mut [f32]) {
    for ((out, row), &column) in out.iter_mut().zip(x.chunks_exact(columns)).zip(choice) {
        *out = row[column as usize];
    }
}

/// `dx[row, choice[row]] = d_out[row]`, 0 elsewhere.
pub(super) fn take_columns_backward(columns: usize, choice: &[u32], d_out: &[f32], dx: &mut [f32]) {
    dx.fill(0.0);
    for ((dx, &column), &d_out) in dx.chunks_exact_mut(columns).zip(choice).zip(d_out) {
        dx[column as usize] = d_out;
    }
}
