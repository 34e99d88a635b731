//! Softmax of a row.

use super::Float;
use super::float::dot;
use super::rows::exceeds;

/// log Σ exp(xᵢ), with the largest taken out of the exponent.
pub(super) fn log_sum<F: Float>(row: &[F]) -> F {
    let mut largest = row[0];
    for &x in row {
        if exceeds(x, largest) {
            largest = x;
        }
    }
    let mut sum = F::zero();
    for &x in row {
        sum += (x - largest).map(f64::exp);
    }
    largest + sum.map(f64::ln)
}

pub(super) fn forward<F: Float>(row: &[F], output: &mut [F]) {
    let log_sum = log_sum(row);
    for (output, &x) in output.iter_mut().zip(row) {
        *output = (x - log_sum).map(f64::exp);
    }
}

/// `dxᵢ = yᵢ (dyᵢ − Σ_j yⱼ dyⱼ)`.
pub(super) fn backward<F: Float>(output: &[F], d_output: &[F], dx: &mut [F]) {
    let mean = dot(output, d_output);
    for column in 0..output.len() {
        dx[column] = output[column] * (d_output[column] - mean);
    }
}
