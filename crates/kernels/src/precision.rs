//! In which numbers the products of an encoder are computed.

use std::fmt;
use std::str::FromStr;

/// The numbers that the operands of an encoder's products are rounded to; sums are never less than 32 bits wide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// Single precision.
    #[default]
    F32,
    /// The upper sixteen bits of single precision, rounded to nearest, ties to even; attention's products too, forward and
    /// backward. Sums, parameters and everything between products stay in f32.
    Bf16,
    /// Weights in 127 steps on either side of zero with one scale for each output, inputs in 255 steps from a row's lowest to
    /// its highest number; attention's products are those of [`Precision::Bf16`] where the level has an
    /// instruction for them, else f32. For encoding only.
    Int8,
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::Int8 => "int8",
        })
    }
}

impl FromStr for Precision {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "f32" => Ok(Self::F32),
            "bf16" => Ok(Self::Bf16),
            "int8" => Ok(Self::Int8),
            _ => Err(format!("`{name}` is no precision; choose `f32`, `bf16` or `int8`")),
        }
    }
}
