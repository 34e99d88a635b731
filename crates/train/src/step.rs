//! One step: a batch's gradients, and the move that follows from them.

use sbmoe_kernels::{Key, Ops, Passes};
use sbmoe_model::architecture::Architecture;
use sbmoe_model::parameters::Tensors;

use crate::gradients::{StepResult, gradients};
use crate::{Batch, Groups, Inputs, Optimizer, TrainConfig};

/// Writes the gradients of one batch to `own` and, where its losses are finite, moves the parameters; returns what the batch
/// gave, and the gradient's global norm where they moved. `key` names the run and the step, `multiplier` is the schedule's.
pub fn step<O: Ops>(
    ops: &O,
    architecture: &Architecture,
    (groups, config): (&Groups, &TrainConfig),
    (inputs, batch): (&Inputs, &Batch),
    (key, multiplier): (Key, f64),
    own: &mut Tensors<O::Buffer>,
    optimizer: &mut Optimizer<O::Buffer>,
    parameters: &mut Tensors<O::Buffer>,
) -> (StepResult, Option<f64>) {
    // One stay for the whole step: every other one wakes the threads of the device again.
    ops.within(|| {
        if matches!(inputs, Inputs::Tokens { .. }) {
            // Every part of the batch takes all of the encoder's weights, forward and back.
            architecture.bert.prepare_weights(ops, Passes::ForwardAndBackward, parameters);
        }
        let result = gradients(ops, architecture, parameters, (inputs, batch), config, key, own);
        let move_all = || optimizer.step(ops, architecture, (groups, config), multiplier, own, parameters);
        let gradient_norm = (result.loss + result.distill).is_finite().then(move_all);
        (result, gradient_norm)
    })
}
