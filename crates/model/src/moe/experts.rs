//! The experts: `E_i(x) = U_i · relu(D_i x + b_i) + c_i`.

use sbmoe_kernels::{Activation, AffineGradient, LinearSize, Ops, Precision};

use crate::parameters::{AffineIds, Layout, Tensors};

/// One expert's layers.
#[derive(Debug, Clone)]
pub(super) struct Expert {
    down: AffineIds,
    up: AffineIds,
    hidden: usize,
    width: usize,
}

/// What an expert's backward reads: which rows it saw (all when `None`) and its inner activations.
#[derive(Debug)]
pub(super) struct KeptExpert<B> {
    rows: Option<Vec<u32>>,
    inner: B,
}

impl Expert {
    pub(super) fn new(layout: &mut Layout, number: usize, hidden: usize, width: usize) -> Self {
        Self {
            down: layout.add_linear(&format!("experts.{number}.down"), hidden, width),
            up: layout.add_linear(&format!("experts.{number}.up"), width, hidden),
            hidden,
            width,
        }
    }

    /// Applies the expert to every row of `x`.
    pub(super) fn forward<O: Ops>(
        &self,
        ops: &O,
        parameters: &Tensors<O::Buffer>,
        x: &O::Buffer,
    ) -> (O::Buffer, KeptExpert<O::Buffer>) {
        let rows = ops.len(x) / self.hidden;
        let (mut inner, mut output) = (ops.scratch(rows * self.width), ops.scratch(rows * self.hidden));
        ops.linear(self.down(rows), x, parameters.affine(self.down), Activation::Relu, None, &mut inner);
        ops.linear(
            self.up(rows),
            &inner,
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
    pub(super) fn layers(&self) -> [AffineIds; 2] {
        [self.down, self.up]
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
        gradients: [AffineGradient<'_, O::Buffer>; 2],
        wants_input: bool,
    ) -> Option<O::Buffer> {
        let Some(rows) = &kept.rows else {
            return self.backward_dense(ops, parameters, x, &kept.inner, d_output, gradients, wants_input);
        };
        let (x, d_output) = (self.gather(ops, rows, x), self.gather(ops, rows, d_output));
        self.backward_dense(ops, parameters, &x, &kept.inner, &d_output, gradients, wants_input)
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
        x: &O::Buffer,
        inner: &O::Buffer,
        d_output: &O::Buffer,
        [d_down, d_up]: [AffineGradient<'_, O::Buffer>; 2],
        wants_input: bool,
    ) -> Option<O::Buffer> {
        let rows = ops.len(x) / self.hidden;
        ops.linear_backward_parameters_set(self.up(rows), inner, d_output, d_up);
        let mut d_inner = ops.scratch(rows * self.width);
        ops.linear_backward_input(self.up(rows), parameters.get(self.up.weight), d_output, &mut d_inner);
        // relu' is 1 exactly where its output is positive, so the output stands in for its input.
        ops.activate_backward(Activation::Relu, inner, &mut d_inner);
        ops.linear_backward_parameters_set(self.down(rows), x, &d_inner, d_down);
        wants_input.then(|| {
            let mut dx = ops.scratch(rows * self.hidden);
            ops.linear_backward_input(self.down(rows), parameters.get(self.down.weight), &d_inner, &mut dx);
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
