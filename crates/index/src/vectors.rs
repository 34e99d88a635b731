//! The file of vectors: one row of f32 a document, in the order of the collection.

use std::path::Path;

use crate::array::Array;
use crate::array_writer::ArrayWriter;
use crate::checksum::FileRecord;
use crate::error::IndexError;
use crate::npy::Shape;

/// The most rows, since ordinals are u32.
const MOST_ROWS: u64 = u32::MAX as u64;

/// Vectors opened for reading: `[documents, dim]`, memory-mapped.
#[derive(Debug)]
pub struct Vectors {
    array: Array<f32>,
    dim: usize,
}

impl Vectors {
    /// Opens a `.npy` file of f32, little endian, in C order, of shape `[documents, dim]`.
    ///
    /// Only the header and the size are checked; a number that is not finite shows when its score is computed.
    ///
    /// # Errors
    /// The file is missing, is no such array, has another size than its header says, or has too many rows.
    pub fn open(path: &Path) -> Result<Self, IndexError> {
        let array = Array::<f32>::open(path)?;
        let Shape::Matrix(dim) = array.shape() else {
            return Err(IndexError::Shape {
                path: path.to_path_buf(),
                expected: "(documents, dim)".to_owned(),
                found: array.shape().to_string(),
            });
        };
        if dim == 0 {
            return Err(IndexError::ZeroDimension);
        }
        let rows = array.rows() as u64;
        if rows > MOST_ROWS {
            return Err(IndexError::TooManyRows { path: path.to_path_buf(), rows, limit: MOST_ROWS });
        }
        Ok(Self { array, dim })
    }

    /// Numbers a vector.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Number of vectors.
    pub fn len(&self) -> usize {
        self.array.rows()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All vectors, `[documents, dim]`.
    pub fn as_slice(&self) -> &[f32] {
        self.array.as_slice()
    }

    /// The vector of one document, or nothing beyond the last.
    pub fn row(&self, row: usize) -> Option<&[f32]> {
        self.array.row(row)
    }
}

/// Writes a file of vectors; see [`ArrayWriter`] for partial files and resuming.
#[derive(Debug)]
pub struct VectorWriter {
    array: ArrayWriter<f32>,
    dim: usize,
}

impl VectorWriter {
    /// Begins the file that [`VectorWriter::finish`] will put at `path`.
    ///
    /// # Errors
    /// The file cannot be created; `dim` is 0.
    pub fn create(path: &Path, dim: usize) -> Result<Self, IndexError> {
        Ok(Self { array: ArrayWriter::create(path, Shape::Matrix(dim))?, dim })
    }

    /// Goes on with a partial file after its first `rows` vectors.
    ///
    /// # Errors
    /// As [`ArrayWriter::resume`].
    pub fn resume(path: &Path, dim: usize, rows: u64) -> Result<Self, IndexError> {
        Ok(Self { array: ArrayWriter::resume(path, Shape::Matrix(dim), rows)?, dim })
    }

    /// Vectors so far.
    pub fn rows(&self) -> u64 {
        self.array.rows()
    }

    /// Appends vectors, `[n, dim]`.
    ///
    /// # Errors
    /// A number is not finite (nothing of `vectors` is then written), the slice is not a whole number of vectors,
    /// there would be more than 2³² − 1 of them, or the disk is full.
    pub fn push(&mut self, vectors: &[f32]) -> Result<(), IndexError> {
        if let Some(at) = vectors.iter().position(|value| !value.is_finite()) {
            return Err(IndexError::VectorNotFinite {
                row: self.rows() + (at / self.dim) as u64,
                column: at % self.dim,
                value: vectors[at],
            });
        }
        let rows = self.rows() + (vectors.len() / self.dim) as u64;
        if rows > MOST_ROWS {
            return Err(IndexError::TooManyRows {
                path: self.array.path().to_path_buf(),
                rows,
                limit: MOST_ROWS,
            });
        }
        self.array.push(vectors)
    }

    /// Brings every vector so far to the disk.
    ///
    /// # Errors
    /// The disk is full or broken.
    pub fn flush(&mut self) -> Result<(), IndexError> {
        self.array.flush()
    }

    /// Completes the file, gives it its name and returns what a manifest records of it.
    ///
    /// # Errors
    /// The disk is full or broken; the partial file then stays.
    pub fn finish(self) -> Result<FileRecord, IndexError> {
        self.array.finish()
    }
}
