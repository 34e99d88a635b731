//! A rounded copy opened for reading, or made in memory.

use std::path::Path;

use crate::array::Array;
use crate::error::IndexError;
use crate::npy::{Element, Shape};

use super::Rounding;
use super::bound::RowBound;
use super::writer::{RoundedNumber, round_rows};

/// Rows of a file or of memory.
#[derive(Debug)]
enum Rows<T: Element> {
    Mapped(Array<T>),
    Owned(Vec<T>),
}

impl<T: Element> Rows<T> {
    fn open(path: &Path, columns: usize, documents: usize) -> Result<Self, IndexError> {
        let array = Array::open_as(path, Shape::Matrix(columns))?;
        if array.rows() == documents {
            return Ok(Self::Mapped(array));
        }
        let (expected, found) = (documents as u64, array.rows() as u64);
        Err(IndexError::Disagreement { path: path.to_path_buf(), what: "vectors", expected, found })
    }

    fn as_slice(&self) -> &[T] {
        match self {
            Self::Mapped(array) => array.as_slice(),
            Self::Owned(numbers) => numbers,
        }
    }
}

#[derive(Debug)]
enum Stored {
    Int8(Rows<i8>),
    Bf16(Rows<u16>),
}

/// The numbers of a copy, `[documents, dim]`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Numbers<'a> {
    /// Whole numbers.
    Int8(&'a [i8]),
    /// The bits of bfloat16.
    Bf16(&'a [u16]),
}

/// A rounded copy of vectors.
#[derive(Debug)]
pub struct RoundedVectors {
    stored: Stored,
    bounds: Rows<f32>,
    dim: usize,
}

impl RoundedVectors {
    /// Opens the copy in an index folder of `documents` vectors of `dim` numbers.
    ///
    /// Headers and sizes are checked. That the numbers are the copy of the vectors beside them is a matter of
    /// checksums ([`IndexFolder::verify`](crate::IndexFolder::verify)).
    ///
    /// # Errors
    /// A file is missing, has another size than its header says, or is of another type or shape.
    pub fn open(folder: &Path, rounding: Rounding, dim: usize, documents: usize) -> Result<Self, IndexError> {
        let numbers = folder.join(rounding.numbers_file());
        let stored = match rounding {
            Rounding::Int8 => Stored::Int8(Rows::open(&numbers, dim, documents)?),
            Rounding::Bf16 => Stored::Bf16(Rows::open(&numbers, dim, documents)?),
        };
        let bounds = Rows::open(&folder.join(rounding.rows_file()), RowBound::COLUMNS, documents)?;
        Ok(Self { stored, bounds, dim })
    }

    /// Rounds `vectors`, `[documents, dim]`, in memory.
    ///
    /// # Errors
    /// A number is not finite, `dim` is 0, or `vectors` is not a whole number of rows.
    pub fn of(vectors: &[f32], dim: usize, rounding: Rounding) -> Result<Self, IndexError> {
        let (stored, bounds) = match rounding {
            Rounding::Int8 => {
                let (numbers, bounds) = rounded(vectors, dim)?;
                (Stored::Int8(numbers), bounds)
            }
            Rounding::Bf16 => {
                let (numbers, bounds) = rounded(vectors, dim)?;
                (Stored::Bf16(numbers), bounds)
            }
        };
        Ok(Self { stored, bounds, dim })
    }

    /// How the numbers are rounded.
    pub fn rounding(&self) -> Rounding {
        match self.stored {
            Stored::Int8(_) => Rounding::Int8,
            Stored::Bf16(_) => Rounding::Bf16,
        }
    }

    /// Numbers a vector.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Number of vectors.
    pub fn len(&self) -> usize {
        self.bounds().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn numbers(&self) -> Numbers<'_> {
        match &self.stored {
            Stored::Int8(rows) => Numbers::Int8(rows.as_slice()),
            Stored::Bf16(rows) => Numbers::Bf16(rows.as_slice()),
        }
    }

    /// Scale, error and norm of each row ([`RowBound::to_row`]).
    pub(crate) fn bounds(&self) -> &[[f32; RowBound::COLUMNS]] {
        self.bounds.as_slice().as_chunks().0
    }
}

/// The copy of `vectors` in memory, and its rows' bounds.
fn rounded<T: RoundedNumber>(vectors: &[f32], dim: usize) -> Result<(Rows<T>, Rows<f32>), IndexError> {
    let (mut numbers, mut bounds) = (Vec::with_capacity(vectors.len()), Vec::new());
    round_rows(vectors, dim, |row, bound| {
        numbers.extend_from_slice(row);
        bounds.extend(bound.to_row());
        Ok(())
    })?;
    Ok((Rows::Owned(numbers), Rows::Owned(bounds)))
}
