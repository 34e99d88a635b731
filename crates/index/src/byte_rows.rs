//! Rows of bytes of any length, one a document, found without reading the rows before.
//!
//! There are two files: the bytes, row after row, and beside them an array of u64 that says where each row ends.
//! What the bytes mean is the application's affair.

use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use fs_err::File;
use memmap2::Mmap;

use crate::array::Array;
use crate::array_writer::ArrayWriter;
use crate::checksum::FileRecord;
use crate::error::IndexError;
use crate::npy::Shape;
use crate::partial::{partial_path, publish, reopen};

const BUFFER_BYTES: usize = 1 << 20;

/// Rows opened for reading: both files are memory-mapped.
#[derive(Debug)]
pub struct ByteRows {
    bytes: Mmap,
    ends: Array<u64>,
}

impl ByteRows {
    /// Where the rows of the file at `path` end: its name with the extension `ends.npy`.
    pub fn ends_path(path: &Path) -> PathBuf {
        path.with_extension("ends.npy")
    }

    /// Opens the rows in `path` and their ends beside it.
    ///
    /// # Errors
    /// One of the files is missing, or the bytes are not as many as the ends say.
    pub fn open(path: &Path) -> Result<Self, IndexError> {
        let ends = Array::<u64>::open_as(&Self::ends_path(path), Shape::Column)?;
        let expected = ends.as_slice().last().copied().unwrap_or(0);
        let file = File::open(path)?;
        let found = file.metadata()?.len();
        if found != expected {
            return Err(IndexError::Size { path: path.to_path_buf(), expected, found });
        }
        // SAFETY: as for arrays, files are renamed into place and not changed afterwards.
        let bytes = unsafe { Mmap::map(file.file())? };
        Ok(Self { bytes, ends })
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.ends.rows()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One row, or nothing beyond the last or where the ends are out of order.
    pub fn row(&self, row: usize) -> Option<&[u8]> {
        let ends = self.ends.as_slice();
        let end = *ends.get(row)?;
        let start = if row == 0 { 0 } else { ends[row - 1] };
        self.bytes.get(start as usize..end as usize)
    }
}

/// Writes rows of bytes; see [`ArrayWriter`] for partial files and resuming.
#[derive(Debug)]
pub struct ByteRowsWriter {
    path: PathBuf,
    bytes: BufWriter<File>,
    ends: ArrayWriter<u64>,
    end: u64,
}

impl ByteRowsWriter {
    /// Begins the files that [`ByteRowsWriter::finish`] will put at `path` and at [`ByteRows::ends_path`].
    ///
    /// # Errors
    /// A file cannot be created.
    pub fn create(path: &Path) -> Result<Self, IndexError> {
        let ends = ArrayWriter::create(&ByteRows::ends_path(path), Shape::Column)?;
        let bytes = BufWriter::with_capacity(BUFFER_BYTES, File::create(partial_path(path))?);
        Ok(Self { path: path.to_path_buf(), bytes, ends, end: 0 })
    }

    /// Goes on with partial files after their first `rows` rows; what was written behind them is cut off.
    ///
    /// # Errors
    /// A file is missing, or has fewer rows.
    pub fn resume(path: &Path, rows: u64) -> Result<Self, IndexError> {
        let (ends, last) = ArrayWriter::resume_after(&ByteRows::ends_path(path), Shape::Column, rows)?;
        let end = last.unwrap_or(0);
        let mut file = reopen(path)?;
        let found = file.metadata()?.len();
        if found < end {
            return Err(IndexError::Size { path: partial_path(path), expected: end, found });
        }
        file.set_len(end)?;
        file.seek(SeekFrom::End(0))?;
        let bytes = BufWriter::with_capacity(BUFFER_BYTES, file);
        Ok(Self { path: path.to_path_buf(), bytes, ends, end })
    }

    /// Rows so far.
    pub fn rows(&self) -> u64 {
        self.ends.rows()
    }

    /// Appends one row.
    ///
    /// # Errors
    /// The disk is full.
    pub fn push(&mut self, row: &[u8]) -> Result<(), IndexError> {
        self.bytes.write_all(row)?;
        self.end += row.len() as u64;
        self.ends.push(&[self.end])
    }

    /// Brings every row so far to the disk.
    ///
    /// # Errors
    /// The disk is full or broken.
    pub fn flush(&mut self) -> Result<(), IndexError> {
        self.bytes.flush()?;
        self.bytes.get_ref().sync_data()?;
        self.ends.flush()
    }

    /// Completes both files and gives them their names; returns what a manifest records of the bytes and of the
    /// ends.
    ///
    /// # Errors
    /// The disk is full or broken; the partial files then stay.
    pub fn finish(mut self) -> Result<[FileRecord; 2], IndexError> {
        self.bytes.flush()?;
        self.bytes.get_ref().sync_all()?;
        let bytes = publish(&self.path)?;
        Ok([bytes, self.ends.finish()?])
    }
}
