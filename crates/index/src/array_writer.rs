//! An array file written row by row in constant memory, under a partial name until it is whole.
//!
//! A killed writer leaves `NAME.partial`; [`ArrayWriter::resume`] cuts it back to the rows that are known to be
//! complete and goes on from there.

use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use fs_err::File;

use crate::checksum::FileRecord;
use crate::error::IndexError;
use crate::npy::{Element, HEADER_BYTES, Shape, header_bytes, read_header};
use crate::partial::{partial_path, publish, reopen};

const BUFFER_BYTES: usize = 1 << 20;

/// Writes the rows of a `.npy` file.
#[derive(Debug)]
pub struct ArrayWriter<T: Element> {
    path: PathBuf,
    file: BufWriter<File>,
    shape: Shape,
    rows: u64,
    element: PhantomData<T>,
}

impl<T: Element> ArrayWriter<T> {
    /// Begins the file that [`ArrayWriter::finish`] will put at `path`; a partial file of an earlier attempt is
    /// lost.
    ///
    /// # Errors
    /// The file cannot be created or written; a row of no numbers.
    pub fn create(path: &Path, shape: Shape) -> Result<Self, IndexError> {
        if shape.columns() == 0 {
            return Err(IndexError::ZeroDimension);
        }
        let mut file = BufWriter::with_capacity(BUFFER_BYTES, File::create(partial_path(path))?);
        file.write_all(&header_bytes(T::DESCR, shape, 0))?;
        Ok(Self { path: path.to_path_buf(), file, shape, rows: 0, element: PhantomData })
    }

    /// Goes on with a partial file after its first `rows` rows; what was written behind them is cut off.
    ///
    /// Where there is no partial file but a finished one at `path`, that is taken up again, since a program may be
    /// killed between finishing one file of an index and the next.
    ///
    /// # Errors
    /// There is no such file, it holds another type or shape, or it has fewer than `rows` rows.
    pub fn resume(path: &Path, shape: Shape, rows: u64) -> Result<Self, IndexError> {
        Self::resume_after(path, shape, rows).map(|(writer, _)| writer)
    }

    /// As [`ArrayWriter::resume`], with the last number that stays.
    pub(crate) fn resume_after(
        path: &Path,
        shape: Shape,
        rows: u64,
    ) -> Result<(Self, Option<T>), IndexError> {
        let mut file = reopen(path)?;
        let partial = partial_path(path);
        let header = read_header(&mut file, &partial)?;
        if header.descr != T::DESCR {
            return Err(IndexError::ElementType { path: partial, expected: T::DESCR, found: header.descr });
        }
        if header.rows().is_none_or(|(_, found)| found != shape) || header.data_offset != HEADER_BYTES {
            return Err(IndexError::Shape {
                path: partial,
                expected: shape.to_string(),
                found: header.shape(),
            });
        }
        let expected = HEADER_BYTES + rows * (shape.columns() * size_of::<T>()) as u64;
        let found = file.metadata()?.len();
        if found < expected {
            return Err(IndexError::Size { path: partial, expected, found });
        }
        file.set_len(expected)?;
        let last = if rows > 0 {
            let mut bytes = vec![0; size_of::<T>()];
            file.seek(SeekFrom::End(-(bytes.len() as i64)))?;
            file.read_exact(&mut bytes)?;
            // SAFETY: there are as many bytes as a `T` has, and any bit pattern is one.
            Some(unsafe { bytes.as_ptr().cast::<T>().read_unaligned() })
        } else {
            None
        };
        file.seek(SeekFrom::End(0))?;
        let file = BufWriter::with_capacity(BUFFER_BYTES, file);
        Ok((Self { path: path.to_path_buf(), file, shape, rows, element: PhantomData }, last))
    }

    /// Where the file will stand.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Rows so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// What a row is.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Appends one row or several, laid out one after the other.
    ///
    /// # Errors
    /// `numbers` is not a whole number of rows; the disk is full.
    pub fn push(&mut self, numbers: &[T]) -> Result<(), IndexError> {
        let columns = self.shape.columns();
        if !numbers.len().is_multiple_of(columns) {
            return Err(IndexError::RowLength { columns, received: numbers.len() });
        }
        // SAFETY: an `Element` is a plain number without padding, so its bytes may be read.
        let bytes =
            unsafe { std::slice::from_raw_parts(numbers.as_ptr().cast::<u8>(), size_of_val(numbers)) };
        self.file.write_all(bytes)?;
        self.rows += (numbers.len() / columns) as u64;
        Ok(())
    }

    /// Brings every row so far to the disk, so that [`ArrayWriter::resume`] finds it even after a power cut.
    ///
    /// # Errors
    /// The disk is full or broken.
    pub fn flush(&mut self) -> Result<(), IndexError> {
        self.file.flush()?;
        self.file.get_ref().sync_data()?;
        Ok(())
    }

    /// Puts the number of rows into the header, gives the file its name and returns what a manifest records of it.
    ///
    /// # Errors
    /// The disk is full or broken; the partial file then stays.
    pub fn finish(mut self) -> Result<FileRecord, IndexError> {
        self.file.flush()?;
        let file = self.file.get_mut();
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&header_bytes(T::DESCR, self.shape, self.rows))?;
        file.sync_all()?;
        publish(&self.path)
    }
}
