//! Bias and activation, row by row.

mod functions;

use functions::{Function, Gelu, GeluSlope, GeluTanh, GeluTanhSlope, Identity, Relu, ReluSlope};

use super::level::multiversion;
use super::many::Many;
use super::{Cpu, TILE};
use crate::Activation;

/// Numbers that a function is computed of side by side: eight registers of AVX-512, sixteen of AVX2.
const TOGETHER: usize = 128;

/// `x = result(x, f(argument(x, other)))`, element by element.
#[inline(always)]
fn update<const FMA: bool, F: Function>(
    x: &mut [f32],
    other: &[f32],
    argument: impl Fn(f32, f32) -> f32,
    result: impl Fn(f32, f32) -> f32,
) {
    let other = &other[..x.len()];
    let ((groups, rest), (others, other_rest)) = (x.as_chunks_mut(), other.as_chunks());
    for (x, other) in groups.iter_mut().zip(others) {
        let (before, other) = (Many(*x), Many(*other));
        Many(*x) = before.with(F::of::<FMA, TOGETHER>(before.with(other, &argument)), &result);
    }
    for (x, other) in rest.iter_mut().zip(other_rest) {
        let Many([y]) = F::of::<FMA, 1>(Many([argument(*x, *other)]));
        *x = result(*x, y);
    }
}

/// `output = f(before)`, element by element.
#[inline(always)]
fn each<const FMA: bool, F: Function>(before: &[f32], output: &mut [f32]) {
    update::<FMA, F>(
        output,
        before,
        #[inline(always)]
        |_, before| before,
        #[inline(always)]
        |_, y| y,
    );
}

/// `x = f(x)`, element by element.
#[inline(always)]
fn each_in_place<const FMA: bool, F: Function>(x: &mut [f32]) {
    let (groups, rest) = x.as_chunks_mut();
    for x in groups {
        Many(*x) = F::of::<FMA, TOGETHER>(Many(*x));
    }
    for x in rest {
        Many([*x]) = F::of::<FMA, 1>(Many([*x]));
    }
}

/// `x = f(x + bias)`, element by element.
#[inline(always)]
fn each_biased<const FMA: bool, F: Function>(bias: &[f32], x: &mut [f32]) {
    update::<FMA, F>(
        x,
        bias,
        #[inline(always)]
        |x, bias| x + bias,
        #[inline(always)]
        |_, y| y,
    );
}

/// `gradient *= f(before)`.
#[inline(always)]
fn each_slope<const FMA: bool, F: Function>(before: &[f32], gradient: &mut [f32]) {
    update::<FMA, F>(
        gradient,
        before,
        #[inline(always)]
        |_, before| before,
        #[inline(always)]
        |x, y| x * y,
    );
}

multiversion! {
    /// `output = activation(before)`.
    pub(super) fn apply(activation: Activation, before: &[f32], output: &mut [f32]) {
        match activation {
            Activation::Identity => output.copy_from_slice(before),
            Activation::Relu => each::<FMA, Relu>(before, output),
            Activation::Gelu => each::<FMA, Gelu>(before, output),
            Activation::GeluTanh => each::<FMA, GeluTanh>(before, output),
        }
    }
}

multiversion! {
    /// `x = activation(x + bias)`.
    pub(super) fn apply_biased(activation: Activation, bias: &[f32], x: &mut [f32]) {
        match activation {
            Activation::Identity => each_biased::<FMA, Identity>(bias, x),
            Activation::Relu => each_biased::<FMA, Relu>(bias, x),
            Activation::Gelu => each_biased::<FMA, Gelu>(bias, x),
            Activation::GeluTanh => each_biased::<FMA, GeluTanh>(bias, x),
        }
    }
}

multiversion! {
    /// `x = activation(x)`.
    pub(super) fn apply_in_place(activation: Activation, x: &mut [f32]) {
        match activation {
            Activation::Identity => {}
            Activation::Relu => each_in_place::<FMA, Relu>(x),
            Activation::Gelu => each_in_place::<FMA, Gelu>(x),
            Activation::GeluTanh => each_in_place::<FMA, GeluTanh>(x),
        }
    }
}

multiversion! {
    /// `gradient *= activation'(before)`.
    pub(super) fn apply_slope(activation: Activation, before: &[f32], gradient: &mut [f32]) {
        match activation {
            Activation::Identity => {}
            Activation::Relu => each_slope::<FMA, ReluSlope>(before, gradient),
            Activation::Gelu => each_slope::<FMA, GeluSlope>(before, gradient),
            Activation::GeluTanh => each_slope::<FMA, GeluTanhSlope>(before, gradient),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Key, Level};

    fn bits(x: &[f32]) -> Vec<u32> {
        x.iter().map(|x| x.to_bits()).collect()
    }

    /// The passes over `x` with `other`, which may be longer.
    fn passes(level: Level, activation: Activation, x: &[f32], other: &[f32]) -> [Vec<u32>; 4] {
        let [mut written, mut biased, mut in_place, mut gradient] = [(); 4].map(|()| x.to_vec());
        apply(level, activation, &other[..x.len()], &mut written);
        apply_biased(level, activation, other, &mut biased);
        apply_in_place(level, activation, &mut in_place);
        apply_slope(level, activation, other, &mut gradient);
        [written, biased, in_place, gradient].map(|result| bits(&result))
    }

    #[test]
    fn a_number_becomes_the_same_wherever_it_stands() {
        let activations = [Activation::Identity, Activation::Relu, Activation::Gelu, Activation::GeluTanh];
        let mut other: Vec<f32> = (0..500).map(|i| 3.0 * Key::new(1).with(i).normal() as f32).collect();
        // Where the formulas are cut off, in a group of their own and behind the last.
        for (i, far) in [0.0, 30.0, 1e30].into_iter().enumerate() {
            other[20 + i] = far;
            other[TOGETHER + 20 + i] = -far;
        }
        for level in Level::available() {
            for activation in activations {
                for n in [1, 64, TOGETHER, TOGETHER + 37, 3 * TOGETHER] {
                    let x: Vec<f32> = (0..n).map(|i| Key::new(2).with(i as u64).normal() as f32).collect();
                    let together = passes(level, activation, &x, &other);
                    for i in 0..n {
                        let alone = passes(level, activation, &x[i..=i], &other[i..=i]);
                        let place = together.each_ref().map(|pass| vec![pass[i]]);
                        assert_eq!(place, alone, "{level} {activation:?}, {i} of {n}");
                    }
                }
            }
        }
    }
}
