//! The block in training: a forward that keeps what its backward reads, and the load-balance term.

use sbmoe_kernels::{AffineGradient, Ops};

use super::block::Mixture;
use super::combine::{CombineGradient, KeptCombine};
use super::experts::{Expert, KeptExpert};
use super::gate::{GateLayers, KeptGate};
use super::{Block, Draws, Routed, TrainGate};
use crate::parameters::{AffineIds, Span, Tensors, no_gradients};

/// The gradients of the gate's three layers; none without a gate.
type OfGate<'a, B> = Option<[AffineGradient<'a, B>; 3]>;

/// Those of each expert's layers.
type OfExperts<'a, B> = Vec<Vec<AffineGradient<'a, B>>>;

/// What a training forward kept for [`Block::backward`].
#[derive(Debug)]
pub struct KeptBlock<B> {
    /// The scaled input, where it is not `x` itself.
    input: Option<B>,
    gate: Option<KeptGate<B>>,
    experts: Vec<Option<KeptExpert<B>>>,
    combine: KeptCombine<B>,
    /// Which expert each row was routed to.
    pub routed: Routed,
    /// The load-balance term `n · Σ f_i P_i` of this batch (Fedus et al. 2022, eq. 4), 1 when perfectly even; 0 without
    /// a gate.
    pub balance: f64,
}

impl Block {
    /// `y [rows, hidden]` in training, where the residual is always 1, and what backward needs.
    pub fn forward<O: Ops>(
        &self,
        ops: &O,
        parameters: &Tensors<O::Buffer>,
        x: &O::Buffer,
        draws: &Draws,
    ) -> (O::Buffer, KeptBlock<O::Buffer>) {
        let n = self.config.experts;
        let input = self.scaled(ops, x);
        let x = input.as_ref().unwrap_or(x);
        let run_gate = || self.gate().forward(ops, parameters, x, &draws.noise);
        let every = || self.run_every(ops, parameters, x);
        let (gate, (mixture, weights, routed)) = match self.config.train_gate {
            TrainGate::Random => (None, self.run_chosen(ops, parameters, x, &ops.upload(&draws.uniform))),
            TrainGate::Uniform => (None, (every(), self.uniform(ops, x), Vec::new())),
            TrainGate::NoisyTop1 => {
                let gate = run_gate();
                let chosen = self.run_chosen(ops, parameters, x, &gate.probabilities);
                (Some(gate), chosen)
            }
            mode @ (TrainGate::StraightThrough | TrainGate::Soft) => {
                let (gate, mixture) = ops.both(run_gate, every);
                let routed = ops.arg_max(n, &gate.probabilities);
                let weights = if mode == TrainGate::Soft {
                    let mut weights = ops.scratch(ops.len(&gate.probabilities));
                    ops.copy(&gate.probabilities, &mut weights);
                    weights
                } else {
                    one_hot(ops, n, &routed)
                };
                (Some(gate), (mixture, weights, routed))
            }
        };
        let balance =
            gate.as_ref().map_or(0.0, |gate| balance(n, &routed, &ops.download(&gate.probabilities)));
        let Mixture { parts, kept: experts } = mixture;
        let (y, combine) = self.config.combine.forward(ops, self.config.hidden, x, parts, weights);
        (y, KeptBlock { input, gate, experts, combine, routed, balance })
    }

    /// Writes the gradients of all of the block's parameters, and adds that of `x` to `dx` if it is there: a block on
    /// stored vectors is trained without. `balance_weight` multiplies the load-balance term's.
    pub fn backward<O: Ops>(
        &self,
        ops: &O,
        parameters: &Tensors<O::Buffer>,
        x: &O::Buffer,
        kept: &KeptBlock<O::Buffer>,
        d_y: &O::Buffer,
        balance_weight: f64,
        gradients: &mut Tensors<O::Buffer>,
        dx: Option<&mut O::Buffer>,
    ) {
        let x = kept.input.as_ref().unwrap_or(x);
        let d = self.config.combine.backward(ops, self.config.hidden, &kept.combine, d_y);
        // Experts that were chosen row by row filled one part together.
        let shared = (d.n_parts() == 1).then(|| d.part(ops, 0));
        let mut gradients = gradients.span(self.places());
        let (gate_gradients, expert_gradients) = self.split(&mut gradients);
        let wants_input = dx.is_some();
        let gate_work = || {
            let Some((gate, d_probabilities)) = self.gate_gradient(ops, kept, &d, balance_weight) else {
                no_gradients(ops, gate_gradients.into_iter().flatten());
                return None;
            };
            let gradients = gate_gradients?;
            self.gate().backward(ops, parameters, x, gate, &d_probabilities, gradients, wants_input)
        };
        let expert_work = |(number, gradients): (usize, Vec<AffineGradient<'_, O::Buffer>>)| {
            let Some(own) = &kept.experts[number] else {
                no_gradients(ops, gradients);
                return None;
            };
            let made;
            let d_part = if let Some(shared) = &shared {
                shared
            } else {
                made = d.part(ops, number);
                &made
            };
            self.experts[number].backward(ops, parameters, x, own, d_part, gradients, wants_input)
        };
        let experts = expert_gradients.into_iter().enumerate().collect();
        let (from_gate, from_experts) = ops.both(gate_work, || ops.side_by_side(experts, expert_work));
        let Some(dx) = dx else { return };
        let add_to = |dx: &mut O::Buffer| {
            ops.add(d_y, dx);
            for ((expert, own), d_input) in self.experts.iter().zip(&kept.experts).zip(&from_experts) {
                if let (Some(own), Some(d_input)) = (own, d_input) {
                    expert.add_input_gradient(ops, own, d_input, dx);
                }
            }
            if let Some(d_input) = &from_gate {
                ops.add(d_input, dx);
            }
        };
        if kept.input.is_none() {
            return add_to(dx);
        }
        let mut d_scaled = ops.zeros(ops.len(x));
        add_to(&mut d_scaled);
        ops.scale(&mut d_scaled, self.config.input_scale);
        ops.add(&d_scaled, dx);
    }

    /// The gate and the gradient of its `p`: that of the weights, and the load-balance term's; none where neither reaches
    /// a gate.
    fn gate_gradient<'a, O: Ops>(
        &self,
        ops: &O,
        kept: &'a KeptBlock<O::Buffer>,
        d: &CombineGradient<'_, O::Buffer>,
        balance_weight: f64,
    ) -> Option<(&'a KeptGate<O::Buffer>, O::Buffer)> {
        let gate = kept.gate.as_ref()?;
        let (n, rows) = (self.config.experts, kept.routed.len());
        let d_weights = self.gate_learns().then(|| d.weights(ops));
        let mut d_probabilities = match (d_weights, self.config.train_gate) {
            (Some(d_weights), TrainGate::NoisyTop1) => {
                let mut spread = ops.scratch(rows * n);
                ops.take_columns_backward(n, &kept.routed, &d_weights, &mut spread);
                spread
            }
            (Some(d_weights), _) => d_weights,
            (None, _) if balance_weight == 0.0 => return None,
            (None, _) => ops.zeros(rows * n),
        };
        if balance_weight != 0.0 {
            let each = |fraction: &f64| (balance_weight * n as f64 * fraction / rows as f64) as f32;
            let row: Vec<f32> = fractions(n, &kept.routed).iter().map(each).collect();
            ops.add(&ops.upload(&row.repeat(rows)), &mut d_probabilities);
        }
        Some((gate, d_probabilities))
    }

    /// Where the gradients of the gate's layers and of each expert's go.
    fn split<'a, B>(&self, gradients: &'a mut Span<'_, B>) -> (OfGate<'a, B>, OfExperts<'a, B>) {
        let of_gate = self.gate.iter().flat_map(GateLayers::layers);
        let layers: Vec<AffineIds> = of_gate.chain(self.experts.iter().flat_map(Expert::layers)).collect();
        let mut each = gradients.affines(&layers).into_iter();
        let mut next = || each.next().expect("a gradient a layer");
        let gate = self.gate.as_ref().map(|_| [next(), next(), next()]);
        (gate, self.experts.iter().map(|expert| expert.layers().map(|_| next()).collect()).collect())
    }
}

fn one_hot<O: Ops>(ops: &O, n: usize, routed: &[u32]) -> O::Buffer {
    let mut weights = vec![0.0; routed.len() * n];
    for (row, &expert) in routed.iter().enumerate() {
        weights[row * n + expert as usize] = 1.0;
    }
    ops.upload(&weights)
}

/// The share of rows routed to each expert.
fn fractions(n: usize, routed: &[u32]) -> Vec<f64> {
    let mut counts = vec![0.0; n];
    for &expert in routed {
        counts[expert as usize] += 1.0 / routed.len() as f64;
    }
    counts
}

fn balance(n: usize, routed: &[u32], probabilities: &[f32]) -> f64 {
    let mut mean = vec![0.0; n];
    for row in probabilities.chunks_exact(n) {
        for (sum, &p) in mean.iter_mut().zip(row) {
            *sum += f64::from(p) / routed.len() as f64;
        }
    }
    n as f64 * fractions(n, routed).iter().zip(&mean).map(|(f, p)| f * p).sum::<f64>()
}
