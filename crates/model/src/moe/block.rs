//! The block: gate, experts and combination.
//!
//! Left out: the block in training, in `training`.

use sbmoe_kernels::Ops;

use super::experts::{Expert, KeptExpert};
use super::gate::GateLayers;
use super::{BlockConfig, Combine, Draws, Gate, TrainGate, initial};
use crate::parameters::{Layout, ParameterId, Tensors};

/// A block: where its parameters are, not what they hold.
#[derive(Debug, Clone)]
pub struct Block {
    pub(super) config: BlockConfig,
    pub(super) experts: Vec<Expert>,
    pub(super) gate: GateLayers,
    first: usize,
    end: usize,
}

/// Which expert each row was routed to: the one computed, or the one with the largest weight; empty for
/// `uniform`, which prefers none.
pub type Routed = Vec<u32>;

/// What the experts computed: the parts of a mixture, and what each kept; an expert that saw no row kept nothing.
pub(super) struct Mixture<B> {
    /// One for each expert; or one that all of them filled, row by row.
    pub(super) parts: Vec<B>,
    pub(super) kept: Vec<Option<KeptExpert<B>>>,
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
        let probabilities = || self.gate.forward(ops, parameters, x, &[]).probabilities;
        let every = || self.run_every(ops, parameters, x);
        let (mixture, weights, routed) = match gate {
            Gate::Uniform => (every(), self.uniform(ops, x), Vec::new()),
            Gate::Random => self.run_chosen(ops, parameters, x, &ops.upload(&draws.uniform)),
            Gate::Top1 => self.run_chosen(ops, parameters, x, &probabilities()),
            Gate::All => {
                let (probabilities, mixture) = ops.both(probabilities, every);
                let routed = ops.arg_max(self.config.experts, &probabilities);
                (mixture, probabilities, routed)
            }
        };
        let (y, _) = self.config.combine.forward(ops, self.config.hidden, x, mixture.parts, weights);
        (y, routed)
    }

    /// Every expert on every row.
    pub(super) fn run_every<O: Ops>(
        &self,
        ops: &O,
        parameters: &Tensors<O::Buffer>,
        x: &O::Buffer,
    ) -> Mixture<O::Buffer> {
        let experts = self.experts.iter().collect();
        let every = ops.side_by_side(experts, |expert: &Expert| expert.forward(ops, parameters, x));
        let (parts, kept) = every.into_iter().map(|(part, kept)| (part, Some(kept))).unzip();
        Mixture { parts, kept }
    }

    /// On each row the expert that the row's `probabilities` choose; also their weights and the choice.
    pub(super) fn run_chosen<O: Ops>(
        &self,
        ops: &O,
        parameters: &Tensors<O::Buffer>,
        x: &O::Buffer,
        probabilities: &O::Buffer,
    ) -> (Mixture<O::Buffer>, O::Buffer, Routed) {
        let n = self.config.experts;
        let routed = ops.arg_max(n, probabilities);
        let mut weights = ops.scratch(routed.len());
        ops.take_columns(n, &routed, probabilities, &mut weights);
        let mut part = ops.zeros(ops.len(x));
        let kept = (0..).zip(&self.experts).map(|(number, expert)| {
            let rows: Vec<u32> =
                (0..).zip(&routed).filter(|(_, to)| **to == number).map(|(row, _)| row).collect();
            (!rows.is_empty()).then(|| expert.forward_rows(ops, parameters, x, rows, &mut part))
        });
        let kept = kept.collect();
        (Mixture { parts: vec![part], kept }, weights, routed)
    }

    /// The weights of a mixture of equals.
    pub(super) fn uniform<O: Ops>(&self, ops: &O, x: &O::Buffer) -> O::Buffer {
        let n = self.config.experts;
        let mut weights = ops.scratch(ops.len(x) / self.config.hidden * n);
        ops.fill(&mut weights, 1.0);
        // Divided on the device, whose numbers may be wider than f32.
        ops.scale(&mut weights, 1.0 / n as f64);
        weights
    }
}
