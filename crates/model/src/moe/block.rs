//! The block: gate, experts and combination, for training and for use.

use sbmoe_kernels::Ops;

use super::combine::KeptCombine;
use super::experts::{Expert, KeptExpert};
use super::gate::{GateLayers, KeptGate};
use super::{BlockConfig, Combine, Draws, Gate, TrainGate, initial};
use crate::parameters::{AffineIds, Layout, ParameterId, Tensors};

/// A block: where its parameters are, not what they hold.
#[derive(Debug, Clone)]
pub struct Block {
    config: BlockConfig,
    experts: Vec<Expert>,
    gate: GateLayers,
    first: usize,
    end: usize,
}

/// Which expert each row was routed to: the one computed, or the one with the largest weight; empty for
/// `uniform`, which prefers none.
pub type Routed = Vec<u32>;

/// What a training forward kept for [`Block::backward`].
#[derive(Debug)]
pub struct KeptBlock<B> {
    gate: Option<KeptGate<B>>,
    experts: Vec<Option<KeptExpert<B>>>,
    combine: KeptCombine<B>,
    /// Which expert each row was routed to.
    pub routed: Routed,
    /// The load-balance term `n · Σ f_i P_i` of this batch (Fedus et al. 2022, eq. 4), 1 when perfectly even; 0 without
    /// a gate.
    pub balance: f64,
}

/// How the experts' outputs are weighed: by every expert, or by the one chosen for each row.
enum Weights<B> {
    Every(B),
    Chosen(B),
}

impl Block {
    /// Declares the block's parameters.
    pub fn new(config: BlockConfig, layout: &mut Layout) -> Self {
        let first = layout.parameters().len();
        let expert = |number| Expert::new(layout, number, config.hidden, config.expert_width);
        let experts = (0..config.experts).map(expert).collect();
        let gate = GateLayers::new(layout, &config);
        Self { experts, gate, first, end: layout.parameters().len(), config }
    }

    /// Size and modes.
    pub fn config(&self) -> &BlockConfig {
        &self.config
    }

    /// Changes how the block is trained from here on.
    pub fn config_mut(&mut self) -> &mut BlockConfig {
        &mut self.config
    }

    /// The places of the block's parameters in the layout.
    pub fn places(&self) -> std::ops::Range<usize> {
        self.first..self.end
    }

    /// The noise head's parameters: in no optimiser group when nothing trains them.
    pub fn noise_ids(&self) -> [ParameterId; 2] {
        self.gate.noise_ids()
    }

    /// The gate's parameters, without the noise head.
    pub fn gate_ids(&self) -> [ParameterId; 4] {
        self.gate.ids()
    }

    /// Whether the ranking loss reaches the gate in training. It does not where no gate is used, and in the paper's
    /// mode: `p · E / ‖p · E‖ = E / ‖E‖`.
    pub fn gate_learns(&self) -> bool {
        match self.config.train_gate {
            TrainGate::StraightThrough | TrainGate::Soft => self.config.experts > 1,
            TrainGate::NoisyTop1 => {
                self.config.experts > 1 && self.config.combine != Combine::NormalizeMixture
            }
            TrainGate::Random | TrainGate::Uniform => false,
        }
    }

    /// Initial values of the block's parameters, in the layout's order.
    pub fn initial_values(&self, layout: &Layout, seed: u64) -> Vec<Vec<f32>> {
        initial::values(layout, self.first, seed)
    }

    /// `y [rows, hidden]` in use, and where each row was routed. `draws` serves [`Gate::Random`] and is empty otherwise.
    pub fn apply<O: Ops>(
        &self,
        ops: &O,
        parameters: &Tensors<O::Buffer>,
        x: &O::Buffer,
        gate: Gate,
        draws: &Draws,
    ) -> (O::Buffer, Routed) {
        let (weights, routed) = match gate {
            Gate::Uniform => (self.uniform(ops, x), Vec::new()),
            Gate::Random => self.chosen(ops, &ops.upload(&draws.uniform)),
            Gate::Top1 => self.chosen(ops, &self.gate.forward(ops, parameters, x, &[]).probabilities),
            Gate::All => {
                let probabilities = self.gate.forward(ops, parameters, x, &[]).probabilities;
                let routed = ops.arg_max(self.config.experts, &probabilities);
                (Weights::Every(probabilities), routed)
            }
        };
        let (y, _, _) = self.weigh(ops, parameters, x, weights, &routed);
        (y, routed)
    }

    /// `y [rows, hidden]` in training, and what backward needs.
    pub fn forward<O: Ops>(
        &self,
        ops: &O,
        parameters: &Tensors<O::Buffer>,
        x: &O::Buffer,
        draws: &Draws,
    ) -> (O::Buffer, KeptBlock<O::Buffer>) {
        let n = self.config.experts;
        let has_gate = !matches!(self.config.train_gate, TrainGate::Random | TrainGate::Uniform);
        let gate = has_gate.then(|| self.gate.forward(ops, parameters, x, &draws.noise));
        let (weights, routed) = match (self.config.train_gate, &gate) {
            (TrainGate::Random, _) => self.chosen(ops, &ops.upload(&draws.uniform)),
            (TrainGate::Uniform, _) | (_, None) => (self.uniform(ops, x), Vec::new()),
            (TrainGate::NoisyTop1, Some(gate)) => {
                let routed = ops.arg_max(n, &gate.probabilities);
                (self.take(ops, &routed, &gate.probabilities), routed)
            }
            (TrainGate::StraightThrough, Some(gate)) => {
                let routed = ops.arg_max(n, &gate.probabilities);
                (Weights::Every(one_hot(ops, n, &routed)), routed)
            }
            (TrainGate::Soft, Some(gate)) => {
                let mut weights = ops.zeros(ops.len(&gate.probabilities));
                ops.add(&gate.probabilities, &mut weights);
                (Weights::Every(weights), ops.arg_max(n, &gate.probabilities))
            }
        };
        let balance =
            gate.as_ref().map_or(0.0, |gate| balance(n, &routed, &ops.download(&gate.probabilities)));
        let (y, experts, combine) = self.weigh(ops, parameters, x, weights, &routed);
        (y, KeptBlock { gate, experts, combine, routed, balance })
    }

    /// Adds the parameters' gradients, and that of `x` to `dx` if it is there: a block on stored vectors is trained
    /// without. `balance_weight` multiplies the load-balance term's.
    pub fn backward<O: Ops>(
        &self,
        ops: &O,
        parameters: &Tensors<O::Buffer>,
        x: &O::Buffer,
        kept: &KeptBlock<O::Buffer>,
        d_y: &O::Buffer,
        balance_weight: f64,
        gradients: &mut Tensors<O::Buffer>,
        mut dx: Option<&mut O::Buffer>,
    ) {
        let columns = self.config.hidden;
        let d = self.config.combine.backward(ops, columns, &kept.combine, d_y, self.gate_learns());
        let layers: Vec<AffineIds> = self.experts.iter().flat_map(Expert::layers).collect();
        let mut layers = gradients.affines_mut(&layers).into_iter();
        let wants_input = dx.is_some();
        let work =
            self.experts.iter().zip(&kept.experts).enumerate().filter_map(|(number, (expert, own))| {
                let gradients = [layers.next()?, layers.next()?];
                // A sparse mixture has one part that all experts share, row by row.
                let d_part = d.parts.get(number).unwrap_or(&d.parts[0]);
                own.as_ref().map(|own| (expert, own, d_part, gradients))
            });
        let inputs = ops.side_by_side(work.collect(), |(expert, own, d_part, gradients)| {
            (expert, own, expert.backward(ops, parameters, x, own, d_part, gradients, wants_input))
        });
        if let Some(dx) = dx.as_deref_mut() {
            ops.add(d_y, dx);
            for (expert, own, d_input) in &inputs {
                if let Some(d_input) = d_input {
                    expert.add_input_gradient(ops, own, d_input, dx);
                }
            }
        }
        let Some(gate) = &kept.gate else { return };
        if d.weights.is_none() && balance_weight == 0.0 {
            return;
        }
        let d_probabilities = self.gate_gradient(ops, kept, d.weights, balance_weight);
        self.gate.backward(ops, parameters, x, gate, &d_probabilities, dx, gradients);
    }

    /// The gradient of `p`: that of the weights, and the load-balance term's.
    fn gate_gradient<O: Ops>(
        &self,
        ops: &O,
        kept: &KeptBlock<O::Buffer>,
        d_weights: Option<O::Buffer>,
        balance_weight: f64,
    ) -> O::Buffer {
        let (n, rows) = (self.config.experts, kept.routed.len());
        let mut d_probabilities = match (d_weights, self.config.train_gate) {
            (Some(d_weights), TrainGate::NoisyTop1) => {
                let mut spread = ops.scratch(rows * n);
                ops.take_columns_backward(n, &kept.routed, &d_weights, &mut spread);
                spread
            }
            (Some(d_weights), _) => d_weights,
            (None, _) => ops.zeros(rows * n),
        };
        if balance_weight != 0.0 {
            let each = |fraction: &f64| (balance_weight * n as f64 * fraction / rows as f64) as f32;
            let row: Vec<f32> = fractions(n, &kept.routed).iter().map(each).collect();
            ops.add(&ops.upload(&row.repeat(rows)), &mut d_probabilities);
        }
        d_probabilities
    }

    /// Computes the experts that have weight, and combines them with `x`.
    #[expect(clippy::type_complexity, reason = "the three results are taken apart at once by both callers")]
    fn weigh<O: Ops>(
        &self,
        ops: &O,
        parameters: &Tensors<O::Buffer>,
        x: &O::Buffer,
        weights: Weights<O::Buffer>,
        routed: &[u32],
    ) -> (O::Buffer, Vec<Option<KeptExpert<O::Buffer>>>, KeptCombine<O::Buffer>) {
        let (parts, kept, weights) = match weights {
            Weights::Every(weights) => {
                let experts = self.experts.iter().collect();
                let every = ops.side_by_side(experts, |expert: &Expert| expert.forward(ops, parameters, x));
                let (parts, kept) = every.into_iter().map(|(part, kept)| (part, Some(kept))).unzip();
                (parts, kept, weights)
            }
            Weights::Chosen(weights) => {
                let mut part = ops.zeros(ops.len(x));
                let kept = (0..).zip(&self.experts).map(|(number, expert)| {
                    let rows: Vec<u32> =
                        (0..).zip(routed).filter(|(_, to)| **to == number).map(|(r, _)| r).collect();
                    (!rows.is_empty()).then(|| expert.forward_rows(ops, parameters, x, rows, &mut part))
                });
                let kept = kept.collect();
                (vec![part], kept, weights)
            }
        };
        let (y, combine) = self.config.combine.forward(ops, self.config.hidden, x, parts, weights);
        (y, kept, combine)
    }

    fn chosen<O: Ops>(&self, ops: &O, probabilities: &O::Buffer) -> (Weights<O::Buffer>, Routed) {
        let routed = ops.arg_max(self.config.experts, probabilities);
        (self.take(ops, &routed, probabilities), routed)
    }

    fn take<O: Ops>(&self, ops: &O, routed: &[u32], probabilities: &O::Buffer) -> Weights<O::Buffer> {
        let mut weights = ops.scratch(routed.len());
        ops.take_columns(self.config.experts, routed, probabilities, &mut weights);
        Weights::Chosen(weights)
    }

    fn uniform<O: Ops>(&self, ops: &O, x: &O::Buffer) -> Weights<O::Buffer> {
        let n = self.config.experts;
        let mut weights = ops.scratch(ops.len(x) / self.config.hidden * n);
        ops.fill(&mut weights, 1.0);
        // Divided on the device, whose numbers may be wider than f32.
        ops.scale(&mut weights, 1.0 / n as f64);
        Weights::Every(weights)
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
