//! What a block is: its size, how it is trained, how it is used, how its experts are combined.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

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

/// The block's size and modes; what a saved model's `2_SBMoE/config.json` holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BlockConfig {
    /// `h`, the encoder's hidden size.
    pub hidden: usize,
    /// `n`, the number of experts, at least 1.
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
}

impl BlockConfig {
    /// The gate's inner width, `⌊h/2⌋`.
    pub fn gate_width(&self) -> usize {
        self.hidden / 2
    }
}

/// Names as they are typed and stored, once for all three enums.
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
