//! AdamW in one pass over parameter, gradient and moments.

use super::level::multiversion;
use super::memory::Buffer;
use super::{Cpu, TILE};
use crate::AdamwStep;

/// The numbers of a step, rounded once.
#[derive(Clone, Copy)]
struct Factors {
    keep: f32,
    toward: f32,
    beta2: f32,
    square: f32,
    inverse_correction: f32,
    epsilon: f32,
    step_size: f32,
    gradient_scale: f32,
}

multiversion! {
    fn tile(factors: Factors, gradient: &[f32], m: &mut [f32], v: &mut [f32], parameter: &mut [f32]) {
        for (((parameter, gradient), m), v) in parameter.iter_mut().zip(gradient).zip(m).zip(v) {
            let gradient = gradient * factors.gradient_scale;
            *m += (gradient - *m) * factors.toward;
            *v = *v * factors.beta2 + gradient * gradient * factors.square;
            let denominator = v.sqrt() * factors.inverse_correction + factors.epsilon;
            *parameter = *parameter * factors.keep - factors.step_size * (*m / denominator);
        }
    }
}

/// Loshchilov & Hutter 2019, in the order of operations of PyTorch's single-tensor version, but for one division, which is
/// a product here.
pub(super) fn adamw(
    cpu: &Cpu,
    step: AdamwStep,
    gradient: &[f32],
    [m, v]: [&mut Buffer; 2],
    parameter: &mut [f32],
) {
    let factors = Factors {
        keep: (1.0 - step.learning_rate * step.weight_decay) as f32,
        toward: (1.0 - step.beta1) as f32,
        beta2: step.beta2 as f32,
        square: (1.0 - step.beta2) as f32,
        inverse_correction: (1.0 / (1.0 - step.beta2.powf(step.step as f64)).sqrt()) as f32,
        epsilon: step.epsilon as f32,
        step_size: (step.learning_rate / (1.0 - step.beta1.powf(step.step as f64))) as f32,
        gradient_scale: step.gradient_scale as f32,
    };
    let size = parameter.len();
    let moments = m.chunks_mut(TILE).zip(v.chunks_mut(TILE));
    let tiles = parameter.chunks_mut(TILE).zip(gradient.chunks(TILE)).zip(moments);
    cpu.each(size, tiles, |((parameter, gradient), (m, v))| {
        tile(cpu.level, factors, gradient, m, v, parameter);
    });
}
