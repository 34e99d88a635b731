//! Bias and activation in one pass over what a product wrote.

use super::functions::{erf, exp, tanh};
use super::lanes::mul_add;
use super::level::multiversion;
use super::{Cpu, TILE, row_tile};
use crate::Activation;

const FRAC_1_SQRT_2: f32 = std::f32::consts::FRAC_1_SQRT_2;
/// 1/√2π.
const FRAC_1_SQRT_TAU: f32 = 0.398_942_3;
/// √(2/π) and the cubic coefficient of the tanh approximation.
const GELU_TANH: [f32; 2] = [0.797_884_6, 0.044_715];

/// `x · Φ(x)`.
#[inline(always)]
fn gelu<const FMA: bool>(x: f32) -> f32 {
    let half = 0.5 * x;
    mul_add::<FMA>(half, erf::<FMA>(x * FRAC_1_SQRT_2), half)
}

#[inline(always)]
fn gelu_tanh<const FMA: bool>(x: f32) -> f32 {
    0.5 * x * (1.0 + tanh::<FMA>(GELU_TANH[0] * mul_add::<FMA>(GELU_TANH[1] * x, x * x, x)))
}

/// `Φ(x) + x φ(x)`.
#[inline(always)]
fn gelu_slope<const FMA: bool>(x: f32) -> f32 {
    let density = FRAC_1_SQRT_TAU * exp::<FMA>(-0.5 * x * x);
    mul_add::<FMA>(x, density, mul_add::<FMA>(0.5, erf::<FMA>(x * FRAC_1_SQRT_2), 0.5))
}

#[inline(always)]
fn gelu_tanh_slope<const FMA: bool>(x: f32) -> f32 {
    let t = tanh::<FMA>(GELU_TANH[0] * mul_add::<FMA>(GELU_TANH[1] * x, x * x, x));
    let slope = GELU_TANH[0] * mul_add::<FMA>(3.0 * GELU_TANH[1] * x, x, 1.0);
    0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * slope
}

/// `output = f(output)`, element by element.
#[inline(always)]
fn apply(values: &mut [f32], f: impl Fn(f32) -> f32) {
    for value in values {
        *value = f(*value);
    }
}

/// `gradient *= f(before)`.
#[inline(always)]
fn apply_slope(before: &[f32], gradient: &mut [f32], f: impl Fn(f32) -> f32) {
    for (gradient, &before) in gradient.iter_mut().zip(before) {
        *gradient *= f(before);
    }
}

multiversion! {
    fn activate_tile(activation: Activation, values: &mut [f32]) {
        match activation {
            Activation::Identity => {}
            Activation::Relu => apply(values, #[inline(always)] |x| if x < 0.0 { 0.0 } else { x }),
            Activation::Gelu => apply(values, gelu::<FMA>),
            Activation::GeluTanh => apply(values, gelu_tanh::<FMA>),
        }
    }
}

multiversion! {
    fn backward_tile(activation: Activation, before: &[f32], gradient: &mut [f32]) {
        match activation {
            Activation::Identity => {}
            Activation::Relu => {
                apply_slope(before, gradient, #[inline(always)] |x| if x <= 0.0 { 0.0 } else { 1.0 });
            }
            Activation::Gelu => apply_slope(before, gradient, gelu_slope::<FMA>),
            Activation::GeluTanh => apply_slope(before, gradient, gelu_tanh_slope::<FMA>),
        }
    }
}

multiversion! {
    fn add_bias(bias: &[f32], rows: &mut [f32]) {
        for row in rows.chunks_exact_mut(bias.len()) {
            for (x, bias) in row.iter_mut().zip(bias) {
                *x += bias;
            }
        }
    }
}

/// `output = activation(output + bias)`, with `output + bias` kept in `before` when asked for.
pub(super) fn add_bias_and_activate(
    cpu: &Cpu,
    bias: &[f32],
    activation: Activation,
    before: Option<&mut [f32]>,
    output: &mut [f32],
) {
    let (size, tile, level) = (output.len(), row_tile(bias.len()), cpu.level);
    match before {
        None => cpu.each(size, output.chunks_mut(tile), |output| {
            // A row at a time, the sum is still in the first cache when the activation reads it.
            for output in output.chunks_exact_mut(bias.len()) {
                add_bias(level, bias, output);
                activate_tile(level, activation, output);
            }
        }),
        Some(before) => {
            cpu.each(size, output.chunks_mut(tile).zip(before.chunks_mut(tile)), |(output, before)| {
                for (output, before) in
                    output.chunks_exact_mut(bias.len()).zip(before.chunks_exact_mut(bias.len()))
                {
                    add_bias(level, bias, output);
                    before.copy_from_slice(output);
                    activate_tile(level, activation, output);
                }
            });
        }
    }
}

/// `output = activation(before)`.
pub(super) fn activate(cpu: &Cpu, activation: Activation, before: &[f32], output: &mut [f32]) {
    cpu.each(output.len(), output.chunks_mut(TILE).zip(before.chunks(TILE)), |(output, before)| {
        output.copy_from_slice(before);
        activate_tile(cpu.level, activation, output);
    });
}

/// `gradient *= activation'(before)`.
pub(super) fn backward(cpu: &Cpu, activation: Activation, before: &[f32], gradient: &mut [f32]) {
    cpu.each(gradient.len(), gradient.chunks_mut(TILE).zip(before.chunks(TILE)), |(gradient, before)| {
        backward_tile(cpu.level, activation, before, gradient);
    });
}
