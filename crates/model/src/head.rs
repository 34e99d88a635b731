//! What stands between a pooled vector and the vector that is compared: for a model that is compared by cosine
//! `x̂ = x / ‖x‖`, the block where it serves the text's side, and once more `z = y / ‖y‖`.

use std::ops::Range;

use sbmoe_kernels::Ops;

use crate::architecture::Architecture;
use crate::moe::{Block, Draws, Gate, KeptBlock, Routed, Side, Sides};
use crate::parameters::Tensors;

/// The floor of a norm, as in PyTorch's `normalize`, which sentence-transformers' module calls.
const EPSILON: f64 = 1e-12;

/// What a training forward kept for [`Architecture::backward_compared`].
#[derive(Debug)]
pub struct KeptHead<B> {
    /// `x̂` and ‖x‖, where the model is compared by cosine.
    unit_input: Option<(B, B)>,
    /// The block's own, and the rows that passed through it.
    pub block: Option<KeptBlock<B>>,
    rows: Range<usize>,
    /// ‖y‖; `z` itself is the caller's.
    norms: Option<B>,
}

impl Architecture {
    /// The compared vectors of texts of one `side` in use, and where each was routed: empty where the block does not serve
    /// them or prefers no expert. `draws` serves [`Gate::Random`].
    pub fn compared<O: Ops>(
        &self,
        ops: &O,
        parameters: &Tensors<O::Buffer>,
        x: &O::Buffer,
        (side, gate): (Side, Gate),
        draws: &Draws,
    ) -> (O::Buffer, Routed) {
        let unit = self.normalize.then(|| self.normalized(ops, x).0);
        let serves = |block: &&Block| block.config().sides.include(side);
        let Some(block) = self.block.as_ref().filter(serves) else {
            return (unit.unwrap_or_else(|| copied(ops, x)), Routed::new());
        };
        let (y, routed) = block.apply(ops, parameters, unit.as_ref().unwrap_or(x), gate, draws);
        let compared = if self.normalize { self.normalized(ops, &y).0 } else { y };
        (compared, routed)
    }

    /// The compared vectors `z [rows, hidden]` in training, and what backward needs. The first `n_queries` rows are
    /// queries, the others documents. `draws` are the block's, for the rows of [`Architecture::block_rows`].
    pub fn forward_compared<O: Ops>(
        &self,
        ops: &O,
        parameters: &Tensors<O::Buffer>,
        x: &O::Buffer,
        n_queries: usize,
        draws: &Draws,
    ) -> (O::Buffer, KeptHead<O::Buffer>) {
        let n_rows = ops.len(x) / self.hidden();
        let rows = self.block_rows(n_queries, n_rows);
        let unit_input = self.normalize.then(|| self.normalized(ops, x));
        let input = unit_input.as_ref().map_or(x, |(unit, _)| unit);
        let (y, block) = match &self.block {
            None => (copied(ops, input), None),
            Some(block) if rows == (0..n_rows) => {
                let (y, kept) = block.forward(ops, parameters, input, draws);
                (y, Some(kept))
            }
            Some(block) => {
                let (own, kept) = block.forward(ops, parameters, &self.take(ops, &rows, input), draws);
                let mut y = copied(ops, input);
                self.put(ops, &rows, &own, &mut y);
                (y, Some(kept))
            }
        };
        if !self.normalize {
            return (y, KeptHead { unit_input, block, rows, norms: None });
        }
        let (z, norms) = self.normalized(ops, &y);
        (z, KeptHead { unit_input, block, rows, norms: Some(norms) })
    }

    /// Writes the gradients of the block's parameters, and adds that of `x` to `dx` if it is there, given that of `z`.
    pub fn backward_compared<O: Ops>(
        &self,
        ops: &O,
        parameters: &Tensors<O::Buffer>,
        (x, z): (&O::Buffer, &O::Buffer),
        kept: &KeptHead<O::Buffer>,
        d_z: &O::Buffer,
        balance_weight: f64,
        gradients: &mut Tensors<O::Buffer>,
        dx: Option<&mut O::Buffer>,
    ) {
        let made = kept.norms.as_ref().map(|norms| self.normalized_backward(ops, (z, norms), d_z));
        let d_y = made.as_ref().unwrap_or(d_z);
        let input = kept.unit_input.as_ref().map_or(x, |(unit, _)| unit);
        let Some((unit, norms)) = &kept.unit_input else {
            return self.backward_block(ops, parameters, input, kept, d_y, balance_weight, gradients, dx);
        };
        let mut d_input = dx.is_some().then(|| ops.zeros(ops.len(x)));
        self.backward_block(ops, parameters, input, kept, d_y, balance_weight, gradients, d_input.as_mut());
        if let (Some(dx), Some(d_input)) = (dx, d_input) {
            ops.add(&self.normalized_backward(ops, (unit, norms), &d_input), dx);
        }
    }

    /// The rows of a batch that pass through the block; empty without one.
    pub fn block_rows(&self, n_queries: usize, n_rows: usize) -> Range<usize> {
        match self.block.as_ref().map(|block| block.config().sides) {
            None => 0..0,
            Some(Sides::Both) => 0..n_rows,
            Some(Sides::Query) => 0..n_queries,
            Some(Sides::Document) => n_queries..n_rows,
        }
    }

    fn backward_block<O: Ops>(
        &self,
        ops: &O,
        parameters: &Tensors<O::Buffer>,
        x: &O::Buffer,
        kept: &KeptHead<O::Buffer>,
        d_y: &O::Buffer,
        balance_weight: f64,
        gradients: &mut Tensors<O::Buffer>,
        dx: Option<&mut O::Buffer>,
    ) {
        let (Some(block), Some(own)) = (&self.block, &kept.block) else {
            if let Some(dx) = dx {
                ops.add(d_y, dx);
            }
            return;
        };
        if kept.rows == (0..ops.len(x) / self.hidden()) {
            return block.backward(ops, parameters, x, own, d_y, balance_weight, gradients, dx);
        }
        let (own_x, own_d_y) = (self.take(ops, &kept.rows, x), self.take(ops, &kept.rows, d_y));
        let mut own_dx = dx.is_some().then(|| ops.zeros(ops.len(&own_x)));
        block.backward(ops, parameters, &own_x, own, &own_d_y, balance_weight, gradients, own_dx.as_mut());
        if let (Some(dx), Some(own_dx)) = (dx, own_dx) {
            // The other side's rows pass their gradient through unchanged.
            let mut d_x = copied(ops, d_y);
            self.put(ops, &kept.rows, &own_dx, &mut d_x);
            ops.add(&d_x, dx);
        }
    }

    fn normalized<O: Ops>(&self, ops: &O, x: &O::Buffer) -> (O::Buffer, O::Buffer) {
        let (mut unit, mut norms) = (ops.scratch(ops.len(x)), ops.scratch(ops.len(x) / self.hidden()));
        ops.normalize(self.hidden(), EPSILON, x, &mut unit, &mut norms);
        (unit, norms)
    }

    fn normalized_backward<O: Ops>(
        &self,
        ops: &O,
        (unit, norms): (&O::Buffer, &O::Buffer),
        d_unit: &O::Buffer,
    ) -> O::Buffer {
        let mut d_x = ops.scratch(ops.len(d_unit));
        ops.normalize_backward(self.hidden(), EPSILON, unit, norms, d_unit, &mut d_x);
        d_x
    }

    /// Some rows, one after another.
    fn take<O: Ops>(&self, ops: &O, rows: &Range<usize>, from: &O::Buffer) -> O::Buffer {
        let mut own = ops.scratch(rows.len() * self.hidden());
        ops.gather_rows(self.hidden(), &ordinals(rows), from, &mut own);
        own
    }

    /// Replaces some rows of `into`.
    fn put<O: Ops>(&self, ops: &O, rows: &Range<usize>, own: &O::Buffer, into: &mut O::Buffer) {
        let n_rows = ops.len(into) / self.hidden();
        let others: Vec<u32> =
            ordinals(&(0..rows.start)).into_iter().chain(ordinals(&(rows.end..n_rows))).collect();
        let mut kept = ops.scratch(others.len() * self.hidden());
        ops.gather_rows(self.hidden(), &others, into, &mut kept);
        ops.fill(into, 0.0);
        ops.scatter_add_rows(self.hidden(), &others, &kept, into);
        ops.scatter_add_rows(self.hidden(), &ordinals(rows), own, into);
    }
}

fn ordinals(rows: &Range<usize>) -> Vec<u32> {
    (rows.start as u32..rows.end as u32).collect()
}

fn copied<O: Ops>(ops: &O, x: &O::Buffer) -> O::Buffer {
    let mut copy = ops.scratch(ops.len(x));
    ops.copy(x, &mut copy);
    copy
}
