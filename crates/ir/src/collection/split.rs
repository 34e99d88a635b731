//! The parts that a collection's judgments are divided into.

use std::{fmt, str::FromStr};

use serde::Serialize;

/// A set of judgments: for training, for choosing among models, or for the final score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// `qrels/train.tsv`
    Train,
    /// `qrels/dev.tsv`
    Dev,
    /// `qrels/test.tsv`
    Test,
}

/// A name that is none of `train`, `dev` and `test`.
#[derive(Debug, thiserror::Error)]
#[error("there is no split `{name}`: the splits are `train`, `dev` and `test`")]
pub struct UnknownSplit {
    /// The name that was given.
    pub name: String,
}

impl Split {
    /// Every split, in the order in which they are used.
    pub const ALL: [Self; 3] = [Self::Train, Self::Dev, Self::Test];

    /// The name in file names and on command lines.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Dev => "dev",
            Self::Test => "test",
        }
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Split {
    type Err = UnknownSplit;

    fn from_str(name: &str) -> Result<Self, UnknownSplit> {
        Self::ALL
            .into_iter()
            .find(|split| split.name() == name)
            .ok_or_else(|| UnknownSplit { name: name.to_owned() })
    }
}
