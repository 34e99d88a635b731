//! The block: gate, experts and combination.
//!
//! Left out: the block in training, in `training`.

use sbmoe_kernels::Ops;

use super::experts::{Expert, KeptExpert};
use super::gate::GateLayers;
use super::{BlockConfig, Combine, Draws, Gate, Start, TrainGate, initial};
use crate::parameters::{Layout, ParameterId, Tensors};

/// A block: where its parameters are, not what they hold.
#[derive(Debug, Clone)]
pub struct Block {
    pub(super) config: BlockConfig,
    pub(super) experts: Vec<Expert>,
    /// None for a linear map.
    pub(super) gate: Option<GateLayers>,
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
        let experts = (0..config.experts).map(|number| Expert::new(layout, number, &config)).collect();
        let gate = config.has_gate().then(|| GateLayers::new(layout, &config));
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

    /// The noise head's parameters: in no optimiser group when nothing trains them. Empty without a gate.
    pub fn noise_ids(&self) -> Vec<ParameterId> {
        self.gate.iter().flat_map(GateLayers::noise_ids).collect()
    }

    /// The gate's parameters, without the noise head. Empty without a gate.
    pub fn gate_ids(&self) -> Vec<ParameterId> {
        self.gate.iter().flat_map(GateLayers::ids).collect()
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
    pub fn initial_values(&self, layout: &Layout, start: Start, seed: u64) -> Vec<Vec<f32>> {
        let last: Vec<usize> = match start {
            Start::Random => Vec::new(),
            Start::Zero => {
                let layers = self.experts.iter().map(Expert::last_layer);
                layers.flat_map(|layer| [layer.weight.index(), layer.bias.index()]).collect()
            }
        };
        initial::values(layout, self.first, seed, |place| last.contains(&place))
    }

    /// `y [rows, hidden]` in use, and where each row was routed. `draws` serves [`Gate::Random`] and is empty otherwise.
    ///
    /// Every row passes through the block: which texts do is [`BlockConfig::sides`], for the caller to obey.
    pub fn apply<O: Ops>(
        &self,
        ops: &O,
        parameters: &Tensors<O::Buffer>,
        x: &O::Buffer,
        gate: Gate,
        draws: &Draws,
    ) -> (O::Buffer, Routed) {
        let scaled = self.scaled(ops, x);
        let x = scaled.as_ref().unwrap_or(x);
        let probabilities = || self.gate().forward(ops, parameters, x, &[]).probabilities;
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
        let (mut y, _) = self.config.combine.forward(ops, self.config.hidden, x, mixture.parts, weights);
        self.weaken(ops, x, &mut y);
        (y, routed)
    }

    /// The gate of a mixture.
    ///
    /// # Panics
    /// For a linear map, which has none and is used as `uniform`.
    pub(super) fn gate(&self) -> &GateLayers {
        self.gate.as_ref().expect("only experts are weighed by a gate")
    }

    /// `x` times the input scale; none where that is `x`.
    #[expect(clippy::float_cmp, reason = "a scale of exactly 1 changes nothing")]
    pub(super) fn scaled<O: Ops>(&self, ops: &O, x: &O::Buffer) -> Option<O::Buffer> {
        (self.config.input_scale != 1.0).then(|| {
            let mut scaled = ops.scratch(ops.len(x));
            ops.copy(x, &mut scaled);
            ops.scale(&mut scaled, self.config.input_scale);
            scaled
        })
    }

    /// `y = x + r (y − x)` for a residual `r` other than 1.
    #[expect(clippy::float_cmp, reason = "a residual of exactly 1 changes nothing")]
    fn weaken<O: Ops>(&self, ops: &O, x: &O::Buffer, y: &mut O::Buffer) {
        let residual = self.config.residual;
        if residual != 1.0 {
            let mut rest = ops.scratch(ops.len(x));
            ops.copy(x, &mut rest);
            ops.scale(&mut rest, 1.0 - residual);
            ops.scale(y, residual);
            ops.add(&rest, y);
        }
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
