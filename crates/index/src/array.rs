//! An array file opened for reading: memory-mapped, so that opening is instant and rows come from the page cache.

use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use memmap2::Mmap;

use crate::error::IndexError;
use crate::npy::{Element, Shape, read_header};

/// The rows of a `.npy` file.
///
/// The file must not be changed while it is mapped; writers of this crate write another file and rename it.
#[derive(Debug)]
pub struct Array<T: Element> {
    path: PathBuf,
    map: Mmap,
    data_offset: usize,
    rows: usize,
    shape: Shape,
    element: PhantomData<T>,
}

impl<T: Element> Array<T> {
    /// Opens a file of one or two dimensions.
    ///
    /// # Errors
    /// The file is missing, is no such array of `T`, or has another size than its header says.
    pub fn open(path: &Path) -> Result<Self, IndexError> {
        let mut file = fs_err::File::open(path)?;
        let header = read_header(&mut file, path)?;
        if header.descr != T::DESCR {
            return Err(IndexError::ElementType {
                path: path.to_path_buf(),
                expected: T::DESCR,
                found: header.descr,
            });
        }
        let (rows, shape) = header.rows().ok_or_else(|| IndexError::Shape {
            path: path.to_path_buf(),
            expected: "(rows,) or (rows, columns)".to_owned(),
            found: header.shape(),
        })?;
        let expected = (size_of::<T>() as u64)
            .checked_mul(shape.columns() as u64)
            .and_then(|row| row.checked_mul(rows))
            .and_then(|data| data.checked_add(header.data_offset));
        let found = file.metadata()?.len();
        if expected != Some(found) {
            let expected = expected.unwrap_or(u64::MAX);
            return Err(IndexError::Size { path: path.to_path_buf(), expected, found });
        }
        if header.data_offset % align_of::<T>() as u64 != 0 {
            let reason = "its numbers are not aligned: save it again with `numpy.save`".to_owned();
            return Err(IndexError::NotNpy { path: path.to_path_buf(), reason });
        }
        // SAFETY: a map is unsound only where the file changes under it, which the type's documentation rules out:
        // files are written under another name and renamed when they are complete.
        let map = unsafe { Mmap::map(file.file())? };
        Ok(Self {
            path: path.to_path_buf(),
            map,
            data_offset: header.data_offset as usize,
            rows: rows as usize,
            shape,
            element: PhantomData,
        })
    }

    /// Opens a file whose rows must have the given shape.
    ///
    /// # Errors
    /// As [`Array::open`]; or the shape is another.
    pub fn open_as(path: &Path, shape: Shape) -> Result<Self, IndexError> {
        let array = Self::open(path)?;
        if array.shape == shape {
            Ok(array)
        } else {
            Err(IndexError::Shape {
                path: path.to_path_buf(),
                expected: shape.to_string(),
                found: array.shape.to_string(),
            })
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// What a row is.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// All numbers, row after row.
    pub fn as_slice(&self) -> &[T] {
        let bytes = &self.map[self.data_offset..];
        // SAFETY: `open` has checked that the bytes are as many as the rows take and that they begin aligned (maps
        // begin at a page); every bit pattern is a value of an `Element`.
        unsafe { std::slice::from_raw_parts(bytes.as_ptr().cast::<T>(), self.rows * self.shape.columns()) }
    }

    /// One row, or nothing beyond the last.
    pub fn row(&self, row: usize) -> Option<&[T]> {
        let columns = self.shape.columns();
        self.as_slice().get(row.checked_mul(columns)?..row.checked_add(1)?.checked_mul(columns)?)
    }
}
