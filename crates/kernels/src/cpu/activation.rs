//! Bias and activation, row by row.

use super::functions::{density, erf_over_sqrt_2, tanh};
use super::lanes::mul_add;
use super::level::multiversion;
use super::{Cpu, TILE};
use crate::Activation;

/// √(2/π) and the cubic coefficient of the tanh approximation.
const GELU_TANH: [f32; 2] = [0.797_884_6, 0.044_715];

#[inline(always)]
fn relu(x: f32) -> f32 {
    if x < 0.0 { 0.0 } else { x }
}

/// `x · Φ(x)`.
#[inline(always)]
fn gelu<const FMA: bool>(x: f32) -> f32 {
    let half = 0.5 * x;
    mul_add::<FMA>(half, erf_over_sqrt_2::<FMA>(x), half)
}

#[inline(always)]
fn gelu_tanh<const FMA: bool>(x: f32) -> f32 {
    0.5 * x * (1.0 + tanh::<FMA>(GELU_TANH[0] * mul_add::<FMA>(GELU_TANH[1] * x, x * x, x)))
}

/// `Φ(x) + x φ(x)`.
#[inline(always)]
fn gelu_slope<const FMA: bool>(x: f32) -> f32 {
    mul_add::<FMA>(x, density::<FMA>(x), mul_add::<FMA>(0.5, erf_over_sqrt_2::<FMA>(x), 0.5))
}

#[inline(always)]
fn gelu_tanh_slope<const FMA: bool>(x: f32) -> f32 {
    let t = tanh::<FMA>(GELU_TANH[0] * mul_add::<FMA>(GELU_TANH[1] * x, x * x, x));
    let slope = GELU_TANH[0] * mul_add::<FMA>(3.0 * GELU_TANH[1] * x, x, 1.0);
    0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * slope
}

/// `output = f(before)`, element by element.
#[inline(always)]
fn each(before: &[f32], output: &mut [f32], f: impl Fn(f32) -> f32) {
    for (output, &before) in output.iter_mut().zip(before) {
        *output = f(before);
    }
}

/// `x = f(x)`, element by element.
#[inline(always)]
fn each_in_place(x: &mut [f32], f: impl Fn(f32) -> f32) {
    for x in x {
        *x = f(*x);
    }
}

/// `x = f(x + bias)`, element by element.
#[inline(always)]
fn each_biased(bias: &[f32], x: &mut [f32], f: impl Fn(f32) -> f32) {
    for (x, bias) in x.iter_mut().zip(bias) {
        *x = f(*x + bias);
    }
}

/// `gradient *= f(before)`.
#[inline(always)]
fn each_slope(before: &[f32], gradient: &mut [f32], f: impl Fn(f32) -> f32) {
    for (gradient, &before) in gradient.iter_mut().zip(before) {
        *gradient *= f(before);
    }
}

multiversion! {
    /// `output = activation(before)`.
    pub(super) fn apply(activation: Activation, before: &[f32], output: &mut [f32]) {
        match activation {
            Activation::Identity => output.copy_from_slice(before),
            Activation::Relu => each(before, output, relu),
            Activation::Gelu => each(before, output, gelu::<FMA>),
            Activation::GeluTanh => each(before, output, gelu_tanh::<FMA>),
        }
    }
}

multiversion! {
    /// `x = activation(x + bias)`.
    pub(super) fn apply_biased(activation: Activation, bias: &[f32], x: &mut [f32]) {
        match activation {
            Activation::Identity => each_biased(bias, x, #[inline(always)] |x| x),
            Activation::Relu => each_biased(bias, x, relu),
            Activation::Gelu => each_biased(bias, x, gelu::<FMA>),
            Activation::GeluTanh => each_biased(bias, x, gelu_tanh::<FMA>),
        }
    }
}

multiversion! {
    /// `x = activation(x)`.
    pub(super) fn apply_in_place(activation: Activation, x: &mut [f32]) {
        match activation {
            Activation::Identity => {}
            Activation::Relu => each_in_place(x, relu),
            Activation::Gelu => each_in_place(x, gelu::<FMA>),
            Activation::GeluTanh => each_in_place(x, gelu_tanh::<FMA>),
        }
    }
}

multiversion! {
    /// `gradient *= activation'(before)`.
    pub(super) fn apply_slope(activation: Activation, before: &[f32], gradient: &mut [f32]) {
        match activation {
            Activation::Identity => {}
            Activation::Relu => {
                each_slope(before, gradient, #[inline(always)] |x| if x <= 0.0 { 0.0 } else { 1.0 });
            }
            Activation::Gelu => each_slope(before, gradient, gelu_slope::<FMA>),
            Activation::GeluTanh => each_slope(before, gradient, gelu_tanh_slope::<FMA>),
        }
    }
}

/// `output = activation(before)`.
pub(super) fn activate(cpu: &Cpu, activation: Activation, before: &[f32], output: &mut [f32]) {
    cpu.each(output.len(), output.chunks_mut(TILE).zip(before.chunks(TILE)), |(output, before)| {
        apply(cpu.level, activation, before, output);
    });
}

/// `gradient *= activation'(before)`.
pub(super) fn backward(cpu: &Cpu, activation: Activation, before: &[f32], gradient: &mut [f32]) {
    cpu.each(gradient.len(), gradient.chunks_mut(TILE).zip(before.chunks(TILE)), |(gradient, before)| {
        apply_slope(cpu.level, activation, before, gradient);
    });
}
