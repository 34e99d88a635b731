//! The experts, `E_i(x) = U_i · relu(D_i x + b_i) + c_i`, and the linear map that may stand in their place, which is one
//! without `relu`, of low rank or of a single layer.

use sbmoe_kernels::{Activation, AffineGradient, LinearSize, Ops, Precision};

use super::{BlockConfig, BlockKind};
use crate::parameters::{AffineIds, Layout, Tensors};

/// One expert's layers.
#[derive(Debug, Clone)]
pub(super) struct Expert {
    /// None where a single layer maps `x` to the output.
    down: Option<AffineIds>,
    up: AffineIds,
    activation: Activation,
    hidden: usize,
    /// Inputs of `up`.
    width: usize,
}

/// What an expert's backward reads: which rows it saw (all when `None`) and its inner activations, where it has an inner
/// layer.
#[derive(Debug)]
pub(super) struct KeptExpert<B> {
    rows: Option<Vec<u32>>,
    inner: Option<B>,
}

impl Expert {
    /// Declares the layers of expert `number`, or of the linear map.
    pub(super) fn new(layout: &mut Layout, number: usize, config: &BlockConfig) -> Self {
        let BlockConfig { hidden, expert_width: width, .. } = *config;
        let (name, has_inner_layer, activation) = match config.kind {
            BlockKind::Experts => (format!("experts.{number}."), true, Activation::Relu),
            BlockKind::Linear if config.rank.is_some() => ("linear.".to_owned(), true, Activation::Identity),
            BlockKind::Linear => ("linear".to_owned(), false, Activation::Identity),
        };
        let down = has_inner_layer.then(|| layout.add_linear(&format!("{name}down"), hidden, width));
        let up = if has_inner_layer { format!("{name}up") } else { name };
        Self { down, up: layout.add_linear(&up, width, hidden), activation, hidden, width }
    }

    /// The layer that is zero where training starts at the encoder.
    pub(super) fn last_layer(&self) -> AffineIds {
        self.up
    }

    /// Applies the expert to every row of `x`.
    pub(super) fn forward<O: Ops>(
        &self,
        ops: &O,
        parameters: &Tensors<O::Buffer>,
        x: &O::Buffer,
    ) -> (O::Buffer, KeptExpert<O::Buffer>) {
        let rows = ops.len(x) / self.hidden;
        let inner = self.down.map(|down| {
            let mut inner = ops.scratch(rows * self.width);
            ops.linear(self.down(rows), x, parameters.affine(down), self.activation, None, &mut inner);
            inner
        });
        let mut output = ops.scratch(rows * self.hidden);
        ops.linear(
            self.up(rows),
            inner.as_ref().unwrap_or(x),
            parameters.affine(self.up),
            Activation::Identity,
            None,
            &mut output,
        );
        (output, KeptExpert { rows: None, inner })
    }

    /// Applies the expert to some rows of `x` and puts the results at those rows of `output`, which held zeros.
    pub(super) fn forward_rows<O: Ops>(
        &self,
        ops: &O,
        parameters: &Tensors<O::Buffer>,
        x: &O::Buffer,
        rows: Vec<u32>,
        output: &mut O::Buffer,
    ) -> KeptExpert<O::Buffer> {
        let (own, mut kept) = self.forward(ops, parameters, &self.gather(ops, &rows, x));
        ops.scatter_add_rows(self.hidden, &rows, &own, output);
        kept.rows = Some(rows);
        kept
    }

    /// The layers whose gradients [`Expert::backward`] writes, in its order.
    pub(super) fn layers(&self) -> impl Iterator<Item = AffineIds> + use<> {
        self.down.into_iter().chain([self.up])
    }

    /// Writes the parameters' gradients; returns that of the rows that the expert saw, for [`Expert::add_input_gradient`],
    /// where somebody `wants_input`.
    pub(super) fn backward<O: Ops>(
        &self,
        ops: &O,
        parameters: &Tensors<O::Buffer>,
        x: &O::Buffer,
        kept: &KeptExpert<O::Buffer>,
        d_output: &O::Buffer,
        gradients: Vec<AffineGradient<'_, O::Buffer>>,
        wants_input: bool,
    ) -> Option<O::Buffer> {
        let inner = kept.inner.as_ref();
        let Some(rows) = &kept.rows else {
            return self.backward_dense(ops, parameters, (x, inner), d_output, gradients, wants_input);
        };
        let (x, d_output) = (self.gather(ops, rows, x), self.gather(ops, rows, d_output));
        self.backward_dense(ops, parameters, (&x, inner), &d_output, gradients, wants_input)
    }

    /// Adds what [`Expert::backward`] returned to the gradient of all rows.
    pub(super) fn add_input_gradient<O: Ops>(
        &self,
        ops: &O,
        kept: &KeptExpert<O::Buffer>,
        own: &O::Buffer,
        dx: &mut O::Buffer,
    ) {
        match &kept.rows {
            Some(rows) => ops.scatter_add_rows(self.hidden, rows, own, dx),
            None => ops.add(own, dx),
        }
    }

    fn backward_dense<O: Ops>(
        &self,
        ops: &O,
        parameters: &Tensors<O::Buffer>,
        (x, inner): (&O::Buffer, Option<&O::Buffer>),
        d_output: &O::Buffer,
        mut gradients: Vec<AffineGradient<'_, O::Buffer>>,
        wants_input: bool,
    ) -> Option<O::Buffer> {
        let rows = ops.len(x) / self.hidden;
        let d_up = gradients.pop().expect("a gradient for the last layer");
        ops.linear_backward_parameters_set(self.up(rows), inner.unwrap_or(x), d_output, d_up);
        let Some(((inner, d_down), down)) = inner.zip(gradients.pop()).zip(self.down) else {
            return wants_input.then(|| {
                let mut dx = ops.scratch(rows * self.hidden);
                ops.linear_backward_input(self.up(rows), parameters.get(self.up.weight), d_output, &mut dx);
                dx
            });
        };
        let mut d_inner = ops.scratch(rows * self.width);
        ops.linear_backward_input(self.up(rows), parameters.get(self.up.weight), d_output, &mut d_inner);
        // relu' is 1 exactly where its output is positive, so the output stands in for its input.
        ops.activate_backward(self.activation, inner, &mut d_inner);
        ops.linear_backward_parameters_set(self.down(rows), x, &d_inner, d_down);
        wants_input.then(|| {
            let mut dx = ops.scratch(rows * self.hidden);
            ops.linear_backward_input(self.down(rows), parameters.get(down.weight), &d_inner, &mut dx);
            dx
        })
    }

    fn gather<O: Ops>(&self, ops: &O, rows: &[u32], x: &O::Buffer) -> O::Buffer {
        let mut own = ops.scratch(rows.len() * self.hidden);
        ops.gather_rows(self.hidden, rows, x, &mut own);
        own
    }

    fn down(&self, rows: usize) -> LinearSize {
        LinearSize { rows, inputs: self.hidden, outputs: self.width, precision: Precision::F32 }
    }

    fn up(&self, rows: usize) -> LinearSize {
        LinearSize { rows, inputs: self.width, outputs: self.hidden, precision: Precision::F32 }
    }
}
