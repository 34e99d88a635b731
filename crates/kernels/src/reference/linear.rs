//! The linear layer, `x · weightᵀ + bias`.

use super::float::{Float, dot};
use crate::{AffineGradient, LinearSize};

/// One element of the layer before its activation.
pub(super) fn element<F: Float>(
    size: LinearSize,
    x: &[F],
    weight: &[F],
    bias: &[F],
    row: usize,
    output: usize,
) -> F {
    let n = size.inputs;
    dot(&x[row * n..(row + 1) * n], &weight[output * n..(output + 1) * n]) + bias[output]
}

/// `dweight += d_outputᵀ · x`, `dbias += Σ_rows d_output`.
pub(super) fn backward_parameters<F: Float>(
    size: LinearSize,
    x: &[F],
    d_output: &[F],
    AffineGradient { weight: d_weight, bias: d_bias }: AffineGradient<'_, Vec<F>>,
) {
    for row in 0..size.rows {
        for output in 0..size.outputs {
            let d = d_output[row * size.outputs + output];
            d_bias[output] += d;
            for input in 0..size.inputs {
                d_weight[output * size.inputs + input] += d * x[row * size.inputs + input];
            }
        }
    }
}

/// `dx += d_output · weight`.
pub(super) fn backward_input_add<F: Float>(size: LinearSize, weight: &[F], d_output: &[F], dx: &mut [F]) {
    for row in 0..size.rows {
        for output in 0..size.outputs {
            let d = d_output[row * size.outputs + output];
            for input in 0..size.inputs {
                dx[row * size.inputs + input] += d * weight[output * size.inputs + input];
            }
        }
    }
}
