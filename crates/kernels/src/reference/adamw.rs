//! AdamW with decoupled weight decay.

use super::Float;
use crate::AdamwStep;

/// Loshchilov & Hutter 2019, in the order of operations of PyTorch's single-tensor version.
pub(super) fn adamw<F: Float>(
    step: AdamwStep,
    gradient: &[F],
    [m, v]: [&mut Vec<F>; 2],
    parameter: &mut [F],
) {
    let correction1 = 1.0 - step.beta1.powf(step.step as f64);
    let correction2 = 1.0 - step.beta2.powf(step.step as f64);
    let step_size = F::of(step.learning_rate / correction1);
    for i in 0..parameter.len() {
        let gradient = gradient[i] * F::of(step.gradient_scale);
        parameter[i] = parameter[i] * F::of(1.0 - step.learning_rate * step.weight_decay);
        m[i] = m[i] + (gradient - m[i]) * F::of(1.0 - step.beta1);
        v[i] = v[i] * F::of(step.beta2) + gradient * gradient * F::of(1.0 - step.beta2);
        let denominator = v[i].map(f64::sqrt) / F::of(correction2.sqrt()) + F::of(step.epsilon);
        parameter[i] = parameter[i] - step_size * (m[i] / denominator);
    }
}
