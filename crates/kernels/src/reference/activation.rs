//! The functions after a linear layer and their derivatives.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

use super::{Float, erf};
use crate::Activation;

/// `activation(x)`.
pub(super) fn activate<F: Float>(activation: Activation, x: F) -> F {
    x.map(|x| match activation {
        Activation::Relu if x < 0.0 => 0.0,
        Activation::Identity | Activation::Relu => x,
        Activation::Gelu => 0.5 * x * (1.0 + erf(x * FRAC_1_SQRT_2)),
        Activation::GeluTanh => 0.5 * x * (1.0 + gelu_tanh_argument(x).tanh()),
    })
}

/// `activation'(x)`; that of ReLU is 0 at 0.
pub(super) fn derivative<F: Float>(activation: Activation, x: F) -> F {
    x.map(|x| match activation {
        Activation::Relu if x <= 0.0 => 0.0,
        Activation::Identity | Activation::Relu => 1.0,
        Activation::Gelu => {
            let density = (-0.5 * x * x).exp() / (2.0 * PI).sqrt();
            0.5 * (1.0 + erf(x * FRAC_1_SQRT_2)) + x * density
        }
        Activation::GeluTanh => {
            let tanh = gelu_tanh_argument(x).tanh();
            let slope = (2.0 / PI).sqrt() * (1.0 + 3.0 * 0.044_715 * x * x);
            0.5 * (1.0 + tanh) + 0.5 * x * (1.0 - tanh * tanh) * slope
        }
    })
}

fn gelu_tanh_argument(x: f64) -> f64 {
    (2.0 / PI).sqrt() * (x + 0.044_715 * x * x * x)
}
