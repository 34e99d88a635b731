//! Rows of unit length.

use super::float::{Float, dot};

pub(super) fn forward<F: Float>(columns: usize, epsilon: f64, x: &[F], out: &mut [F], norms: &mut [F]) {
    for (row, norm) in norms.iter_mut().enumerate() {
        let x = &x[row * columns..(row + 1) * columns];
        *norm = dot(x, x).map(f64::sqrt);
        let divisor = if norm.wide() < epsilon { F::of(epsilon) } else { *norm };
        for column in 0..columns {
            out[row * columns + column] = x[column] / divisor;
        }
    }
}

/// `dx = (dy − y (y · dy)) / ‖x‖`; below epsilon the divisor is constant.
pub(super) fn backward<F: Float>(
    columns: usize,
    epsilon: f64,
    out: &[F],
    norms: &[F],
    d_out: &[F],
    dx: &mut [F],
) {
    for (row, &norm) in norms.iter().enumerate() {
        let range = row * columns..(row + 1) * columns;
        let constant = norm.wide() < epsilon;
        let along = if constant { F::zero() } else { dot(&out[range.clone()], &d_out[range.clone()]) };
        let divisor = if constant { F::of(epsilon) } else { norm };
        for i in range {
            dx[i] = (d_out[i] - out[i] * along) / divisor;
        }
    }
}
