//! One step: a batch's gradients, and the move that follows from them.

use sbmoe_kernels::{Key, Ops, Passes};
use sbmoe_model::architecture::Architecture;
use sbmoe_model::parameters::Tensors;

use crate::gradients::{StepResult, gradients};
use crate::{Batch, Groups, Inputs, Optimizer, TrainConfig};

/// Why a step was not taken: parameters and moments are what they were.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum StepError {
    /// The loss is not a number.
    #[error("the loss is {loss}")]
    Loss {
        /// The loss, distillation's included.
        loss: f64,
    },
    /// The gradient is not a number, or too large for the optimiser's.
    #[error("the gradient's norm is {norm:e}")]
    Gradient {
        /// The global norm of all trained parameters' gradients, before clipping.
        norm: f64,
    },
}

/// Writes the gradients of one batch to `own` and, where its losses and they are finite, moves the parameters; returns what
/// the batch gave, and the gradient's global norm before clipping. `key` names the run and the step, `multiplier` is the
/// schedule's.
pub fn step<O: Ops>(
    ops: &O,
    architecture: &Architecture,
    (groups, config): (&Groups, &TrainConfig),
    (inputs, batch): (&Inputs, &Batch),
    (key, multiplier): (Key, f64),
    own: &mut Tensors<O::Buffer>,
    optimizer: &mut Optimizer<O::Buffer>,
    parameters: &mut Tensors<O::Buffer>,
) -> (StepResult, Result<f64, StepError>) {
    // One stay for the whole step: every other one wakes the threads of the device again.
    ops.within(|| {
        if matches!(inputs, Inputs::Tokens { .. }) {
            // Every part of the batch takes all of the encoder's weights, forward and back.
            architecture.bert.prepare_weights(ops, Passes::ForwardAndBackward, parameters);
        }
        let result = gradients(ops, architecture, parameters, (inputs, batch), config, key, own);
        let loss = result.loss + result.distill;
        let gradient_norm = if loss.is_finite() {
            optimizer.step(ops, architecture, (groups, config), multiplier, own, parameters)
        } else {
            Err(StepError::Loss { loss })
        };
        (result, gradient_norm)
    })
}
