//! AdamW (Loshchilov & Hutter 2019) over the groups, dense, with optional clipping by the global norm.

use sbmoe_kernels::{AdamwStep, Ops};
use sbmoe_model::architecture::Architecture;
use sbmoe_model::parameters::{ParameterId, Tensors};

use crate::{Groups, StepError, TrainConfig};

/// The largest norm of gradients that AdamW can square in f32: its second moments would be infinite from then on.
const LARGEST_NORM: f64 = 1.8e19;

/// The moments of every trained parameter and the number of steps taken.
#[derive(Debug)]
pub struct Optimizer<B> {
    /// First moments; empty where nothing is trained.
    pub first: Tensors<B>,
    /// Second moments; empty where nothing is trained.
    pub second: Tensors<B>,
    /// Steps taken.
    pub steps: u64,
}

impl<B: Send + Sync> Optimizer<B> {
    /// Zero moments.
    pub fn new<O: Ops<Buffer = B>>(ops: &O, architecture: &Architecture, groups: &Groups) -> Self {
        let zeros = || Tensors::zeros_where(ops, &architecture.layout, |id| groups.trains(id));
        Self { first: zeros(), second: zeros(), steps: 0 }
    }

    /// Moves every trained parameter; `multiplier` is the schedule's. Returns the gradient's global norm before clipping.
    ///
    /// # Errors
    /// The gradient is not finite, or after clipping too large to be squared; nothing is moved then.
    pub fn step<O: Ops<Buffer = B>>(
        &mut self,
        ops: &O,
        architecture: &Architecture,
        (groups, config): (&Groups, &TrainConfig),
        multiplier: f64,
        gradients: &Tensors<B>,
        parameters: &mut Tensors<B>,
    ) -> Result<f64, StepError> {
        let trained: Vec<ParameterId> = architecture.layout.ids().filter(|id| groups.trains(*id)).collect();
        let squares = ops.side_by_side(trained, |id| ops.sum_of_squares(gradients.get(id)));
        let norm = squares.iter().sum::<f64>().sqrt();
        // PyTorch's clip_grad_norm_ divides by norm + 1e-6.
        let gradient_scale = if config.clip > 0.0 { (config.clip / (norm + 1e-6)).min(1.0) } else { 1.0 };
        let scaled = norm * gradient_scale;
        if scaled.is_nan() || scaled > LARGEST_NORM {
            return Err(StepError::Gradient { norm });
        }
        self.steps += 1;
        let moments = self.first.buffers_mut().zip(self.second.buffers_mut());
        let trained = (architecture.layout.ids().zip(moments).zip(parameters.buffers_mut()))
            .filter(|((id, _), _)| groups.trains(*id));
        ops.side_by_side(trained.collect(), |((id, (first, second)), parameter)| {
            let step = AdamwStep {
                learning_rate: groups.rate(groups.of(id)) * multiplier,
                beta1: config.beta1,
                beta2: config.beta2,
                epsilon: config.epsilon,
                weight_decay: config.weight_decay,
                step: self.steps,
                gradient_scale,
            };
            ops.adamw(step, gradients.get(id), [first, second], parameter);
        });
        Ok(norm)
    }
}
