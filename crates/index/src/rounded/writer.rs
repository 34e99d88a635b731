//! Rounding every row of a collection: into files in constant memory, or to whoever takes the rows.

use std::path::Path;

use crate::array_writer::ArrayWriter;
use crate::checksum::FileRecord;
use crate::error::IndexError;
use crate::npy::{Element, Shape};

use super::bound::RowBound;
use super::{Rounding, bf16, int8};

/// A number of a copy.
pub(super) trait RoundedNumber: Element + Default {
    /// Rounds a row of finite numbers.
    fn round_row(row: &[f32], copy: &mut [Self]) -> RowBound;
}

impl RoundedNumber for i8 {
    fn round_row(row: &[f32], copy: &mut [Self]) -> RowBound {
        int8::round_row(row, copy)
    }
}

impl RoundedNumber for u16 {
    fn round_row(row: &[f32], copy: &mut [Self]) -> RowBound {
        bf16::round_row(row, copy)
    }
}

/// Hands every row of `vectors`, `[documents, dim]`, to `take`, rounded.
///
/// # Errors
/// A number is not finite, `dim` is 0, `vectors` is not a whole number of rows, or `take` fails.
pub(super) fn round_rows<T: RoundedNumber>(
    vectors: &[f32],
    dim: usize,
    mut take: impl FnMut(&[T], RowBound) -> Result<(), IndexError>,
) -> Result<(), IndexError> {
    if dim == 0 {
        return Err(IndexError::ZeroDimension);
    }
    if !vectors.len().is_multiple_of(dim) {
        return Err(IndexError::RowLength { columns: dim, received: vectors.len() });
    }
    let mut copy = vec![T::default(); dim];
    for (document, row) in (0..).zip(vectors.chunks_exact(dim)) {
        if let Some(column) = row.iter().position(|number| !number.is_finite()) {
            return Err(IndexError::VectorNotFinite { row: document, column, value: row[column] });
        }
        let bound = T::round_row(row, &mut copy);
        take(&copy, bound)?;
    }
    Ok(())
}

/// Writes the copy of `vectors`, `[documents, dim]`, into `folder`: its files' names and what a manifest records of
/// them. `progress` is called with the f32 bytes of every row.
///
/// # Errors
/// As [`round_rows`], or the disk is full; files of an earlier copy then stay as they were.
pub(crate) fn write(
    folder: &Path,
    rounding: Rounding,
    vectors: &[f32],
    dim: usize,
    progress: &mut dyn FnMut(u64),
) -> Result<[(&'static str, FileRecord); 2], IndexError> {
    let records = match rounding {
        Rounding::Int8 => write_as::<i8>(folder, rounding, vectors, dim, progress)?,
        Rounding::Bf16 => write_as::<u16>(folder, rounding, vectors, dim, progress)?,
    };
    let [numbers, rows] = records;
    Ok([(rounding.numbers_file(), numbers), (rounding.rows_file(), rows)])
}

fn write_as<T: RoundedNumber>(
    folder: &Path,
    rounding: Rounding,
    vectors: &[f32],
    dim: usize,
    progress: &mut dyn FnMut(u64),
) -> Result<[FileRecord; 2], IndexError> {
    let mut numbers = ArrayWriter::<T>::create(&folder.join(rounding.numbers_file()), Shape::Matrix(dim))?;
    let mut rows =
        ArrayWriter::<f32>::create(&folder.join(rounding.rows_file()), Shape::Matrix(RowBound::COLUMNS))?;
    round_rows(vectors, dim, |copy: &[T], bound| {
        numbers.push(copy)?;
        rows.push(&bound.to_row())?;
        progress((dim * size_of::<f32>()) as u64);
        Ok(())
    })?;
    Ok([numbers.finish()?, rows.finish()?])
}
