//! Copies of the vectors in fewer bits, which a search reads in the place of most f32 rows.
//!
//! A copy only ever decides which documents need not be looked at: it says of each row how far it is from the f32
//! row, so that a bound on every score follows, and the documents that may be among the best are scored from the
//! f32 rows ([`Rounded`](crate::Rounded)). Rounding loses bits of the copy and never of an answer.
//!
//! Left out: the search itself.

pub(crate) mod bf16;
pub(crate) mod bound;
pub(crate) mod int16;
pub(crate) mod int8;
mod vectors;
mod writer;

use std::fmt;

pub(crate) use self::vectors::Numbers;
pub use self::vectors::RoundedVectors;
pub(crate) use self::writer::write;

/// How a copy's numbers are rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rounding {
    /// Whole numbers from −127 to 127 with one scale a row: a quarter of the bytes.
    Int8,
    /// The upper sixteen bits of an f32, rounded to nearest even: half the bytes.
    Bf16,
}

impl Rounding {
    /// Both, the one that a search prefers first.
    pub const ALL: [Self; 2] = [Self::Int8, Self::Bf16];

    /// The name on the command line and within file names.
    pub fn name(self) -> &'static str {
        match self {
            Self::Int8 => "int8",
            Self::Bf16 => "bf16",
        }
    }

    /// The file of the rounded numbers, `[documents, dim]`, within the index folder.
    pub fn numbers_file(self) -> &'static str {
        match self {
            Self::Int8 => "vectors.int8.npy",
            Self::Bf16 => "vectors.bf16.npy",
        }
    }

    /// The file that says of each row how it was rounded, f32 `[documents, 3]`: the scale, an upper bound of the
    /// distance between the row and its copy, and one of the greater of their lengths.
    pub fn rows_file(self) -> &'static str {
        match self {
            Self::Int8 => "vectors.int8.rows.npy",
            Self::Bf16 => "vectors.bf16.rows.npy",
        }
    }
}

impl fmt::Display for Rounding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
