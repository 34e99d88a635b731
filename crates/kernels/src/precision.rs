//! In which numbers the products of an encoder are computed.

use std::fmt;
use std::str::FromStr;

/// The numbers that the operands of a linear layer's products are rounded to; sums are never less than 32 bits wide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// Single precision.
    #[default]
    F32,
    /// The upper sixteen bits of single precision, rounded to nearest, ties to even; forward and backward. Sums,
    /// parameters and everything between products stay in f32.
    Bf16,
    /// Weights in eight-bit integers with one scale for each output, inputs in as many bits (sixteen at most) as keep 32-bit
    /// sums exact, with one scale for each row; both symmetric. For encoding only.
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
