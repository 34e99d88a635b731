//! What a block is: its size, how it is trained, how it is used, how its experts are combined.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Sides;
use crate::folder::MOST_ELEMENTS;

/// What stands behind the encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BlockKind {
    /// Experts and a gate, as in the paper.
    #[default]
    Experts,
    /// The control without either: a residual linear map, `y = x + W x + b`, of full or of low rank.
    Linear,
}

/// Where training starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// At the encoder: the last layer of every expert, or of the linear map, is zero, so that `y = x`.
    Zero,
    /// Every layer as PyTorch's `nn.Linear`.
    Random,
}

/// How experts are weighed in training. `p = softmax(z + S · ε ⊙ softplus(s))`, `S` the noise scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrainGate {
    /// The paper's: `g = p` at its arg max, 0 elsewhere; only that expert is computed.
    /// With [`Combine::NormalizeMixture`] the gate's gradient is zero, since `p` cancels in the norm.
    NoisyTop1,
    /// `g = onehot(arg max p) + p − stop(p)`: used as TOP-1, with the gradient of the soft mixture.
    StraightThrough,
    /// `g = p`.
    Soft,
    /// `r ~ U(0,1)ⁿ`, `g = r` at its arg max, 0 elsewhere: the paper's ablation.
    Random,
    /// `g = 1/n`: no gate.
    Uniform,
}

/// How experts are weighed in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gate {
    /// `g = p` at its arg max, 0 elsewhere; one expert is computed per text.
    Top1,
    /// `g = p = softmax(z)`.
    All,
    /// As [`TrainGate::Random`], keyed by the model's seed and the text.
    Random,
    /// `g = 1/n`.
    Uniform,
}

/// How the weighed experts join `x`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Combine {
    /// The paper's: `y = x + m / max(‖m‖, 1e-6)`, `m = Σ g_i E_i(x)`.
    NormalizeMixture,
    /// `y = x + Σ g_i E_i(x) / max(‖E_i(x)‖, 1e-6)`: a single expert's weight still counts.
    NormalizeExperts,
    /// `y = x + m`.
    Sum,
}

/// The block's size and modes; what the `config.json` of a saved model's `SBMoE` module holds. Keys that have their default
/// are not written, so that folders of earlier builds and of this one have the same bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlockConfig {
    /// Experts, or a linear map: then `experts` is 1, and gate and combination say nothing.
    #[serde(default, skip_serializing_if = "is_default")]
    pub kind: BlockKind,
    /// `h`, the encoder's hidden size.
    pub hidden: usize,
    /// `n`, the number of experts, from 1 to [`BlockConfig::MOST_EXPERTS`].
    pub experts: usize,
    /// Width of each expert's inner layer; the paper's is `⌊h/2⌋`.
    pub expert_width: usize,
    /// How the block is used unless a command says otherwise.
    pub gate: Gate,
    /// How it was trained.
    pub train_gate: TrainGate,
    /// How the experts join `x`.
    pub combine: Combine,
    /// The scale of the training noise, 0 for none.
    #[serde(default)]
    pub gate_noise: f64,
    /// The seed of the random gate.
    #[serde(default)]
    pub seed: u64,
    /// The rank of a linear map; full when absent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub rank: Option<usize>,
    /// Which texts pass through the block; the others keep their vectors.
    #[serde(default, skip_serializing_if = "is_default")]
    pub sides: Sides,
    /// What `x` is multiplied by first: the length of the input where `x` has length 1.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub input_scale: f64,
    /// What the combination's term is multiplied by in use: 0 gives `x`, 1 what was trained.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub residual: f64,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn one() -> f64 {
    1.0
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    clippy::float_cmp,
    reason = "serde hands over a reference; 1 is exact"
)]
fn is_one(value: &f64) -> bool {
    *value == 1.0
}

impl BlockConfig {
    /// The most experts of a block: an index keeps each document's in two bytes.
    pub const MOST_EXPERTS: usize = u16::MAX as usize;

    /// `experts` experts of the paper's width `⌊h/2⌋`, trained as `soft`, used as `all`, combined by `normalize-mixture`,
    /// for both sides.
    pub fn new(hidden: usize, experts: usize) -> Self {
        Self {
            kind: BlockKind::Experts,
            hidden,
            experts,
            expert_width: (hidden / 2).max(1),
            gate: Gate::All,
            train_gate: TrainGate::Soft,
            combine: Combine::NormalizeMixture,
            gate_noise: 0.0,
            seed: 0,
            rank: None,
            sides: Sides::Both,
            input_scale: 1.0,
            residual: 1.0,
        }
    }

    /// A residual linear map; of low rank where `rank` is given.
    pub fn linear(hidden: usize, rank: Option<usize>) -> Self {
        Self {
            kind: BlockKind::Linear,
            expert_width: rank.unwrap_or(hidden),
            gate: Gate::Uniform,
            train_gate: TrainGate::Uniform,
            combine: Combine::Sum,
            rank,
            ..Self::new(hidden, 1)
        }
    }

    /// Whether experts are weighed by a gate.
    pub fn has_gate(&self) -> bool {
        self.kind == BlockKind::Experts
    }

    /// What is wrong with the numbers, if anything.
    ///
    /// # Errors
    /// The first number that no block can have, with its key.
    pub fn check(&self) -> Result<(), String> {
        if self.experts == 0 || self.expert_width == 0 {
            return Err("a block needs at least one expert of at least one unit".to_owned());
        }
        let rank = self.rank.unwrap_or_default();
        for (key, size) in [("expert_width", self.expert_width), ("hidden", self.hidden), ("rank", rank)] {
            let elements = size.checked_mul(self.hidden.max(1));
            if elements.is_none_or(|elements| elements > MOST_ELEMENTS) {
                let hidden = self.hidden;
                return Err(format!(
                    "`{key}` {size} with `hidden` {hidden} makes a weight of more than {MOST_ELEMENTS} numbers"
                ));
            }
        }
        if self.experts > Self::MOST_EXPERTS {
            return Err(format!(
                "`experts` is {}; there may be at most {}",
                self.experts,
                Self::MOST_EXPERTS
            ));
        }
        if !(self.input_scale > 0.0 && self.input_scale.is_finite()) {
            return Err(format!("`input_scale` is {}, not a number above 0", self.input_scale));
        }
        if !(self.residual >= 0.0 && self.residual.is_finite()) {
            return Err(format!("`residual` is {}, not a number of at least 0", self.residual));
        }
        let linear = Self::linear(self.hidden, self.rank);
        match self.kind {
            BlockKind::Experts if self.rank.is_some() => {
                Err("`rank` belongs to a block of the kind `linear`".to_owned())
            }
            BlockKind::Linear
                if (self.experts, self.expert_width, self.combine, self.gate)
                    != (1, linear.expert_width, linear.combine, linear.gate) =>
            {
                Err("a block of the kind `linear` has one map, the gate `uniform` and the combination `sum`"
                    .to_owned())
            }
            BlockKind::Experts | BlockKind::Linear => Ok(()),
        }
    }

    /// The gate's inner width, `⌊h/2⌋`.
    pub fn gate_width(&self) -> usize {
        self.hidden / 2
    }
}

/// Names as they are typed and stored, once for all enums.
macro_rules! named {
    ($type:ident, $what:literal, $($variant:ident = $name:literal),+) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $name),+ })
            }
        }
        impl FromStr for $type {
            type Err = String;
            fn from_str(name: &str) -> Result<Self, String> {
                match name {
                    $($name => Ok(Self::$variant),)+
                    _ => Err(format!(concat!($what, " `{}` is unknown; choose one of ", $("`", $name, "` ",)+), name)),
                }
            }
        }
    };
}

named!(BlockKind, "block", Experts = "experts", Linear = "linear");
named!(Start, "start", Zero = "zero", Random = "random");
named!(
    TrainGate,
    "training gate",
    NoisyTop1 = "noisy-top1",
    StraightThrough = "straight-through",
    Soft = "soft",
    Random = "random",
    Uniform = "uniform"
);
named!(Gate, "gate", Top1 = "top1", All = "all", Random = "random", Uniform = "uniform");
named!(
    Combine,
    "combination",
    NormalizeMixture = "normalize-mixture",
    NormalizeExperts = "normalize-experts",
    Sum = "sum"
);

pub(super) use named;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_experts_than_two_bytes_name_are_refused_by_key() {
        assert_eq!(BlockConfig::new(4, BlockConfig::MOST_EXPERTS).check(), Ok(()));
        let message = BlockConfig::new(4, BlockConfig::MOST_EXPERTS + 1).check().unwrap_err();
        assert_eq!(message, "`experts` is 65536; there may be at most 65535");
    }
}
