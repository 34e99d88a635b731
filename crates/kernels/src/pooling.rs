//! How the token vectors of a text become one vector.

use std::fmt;
use std::str::FromStr;

/// Pooling of `[tokens, hidden]` into `[texts, hidden]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pooling {
    /// The mean over the tokens of a text (default).
    #[default]
    Mean,
    /// The first token, `[CLS]`.
    Cls,
    /// The largest value of each dimension over the tokens; the first of equals receives the gradient.
    Max,
}

impl fmt::Display for Pooling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mean => "mean",
            Self::Cls => "cls",
            Self::Max => "max",
        })
    }
}

impl FromStr for Pooling {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "mean" => Ok(Self::Mean),
            "cls" => Ok(Self::Cls),
            "max" => Ok(Self::Max),
            _ => Err(format!("pooling `{name}` is unknown; choose `mean`, `cls` or `max`")),
        }
    }
}
