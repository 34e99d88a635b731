//! Where a tensor's numbers lie in a file, and how they become `f32`.

use std::ops::Range;

use ::safetensors::Dtype;
use half::{bf16, f16};

use super::mapped::MappedFile;
use super::{CheckpointError, NotFinite, Tensor, Values};

/// The most elements that a tensor may have when it repeats elements of a smaller storage (an expanded view): a
/// few bytes could otherwise ask for any amount of memory.
pub(super) const MOST_REPEATED_ELEMENTS: usize = 1 << 22;

/// One tensor: a strided view of a storage, which is a range of a file's bytes.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// The index of the file among the checkpoint's.
    pub(super) file: usize,
    pub(super) dtype: Dtype,
    pub(super) shape: Vec<usize>,
    /// Elements from one index to the next, per dimension.
    stride: Vec<usize>,
    /// The storage's bytes.
    storage: Range<usize>,
    /// The first element's index in the storage.
    offset: usize,
}

impl Entry {
    /// A tensor that fills its storage in row-major order.
    pub(super) fn contiguous(dtype: Dtype, shape: Vec<usize>, storage: Range<usize>) -> Self {
        let stride = row_major(&shape);
        Self { file: 0, dtype, shape, stride, storage, offset: 0 }
    }

    /// A view of a storage; refuses one that reaches beyond it.
    pub(super) fn strided(
        dtype: Dtype,
        shape: Vec<usize>,
        stride: Vec<usize>,
        storage: Range<usize>,
        offset: usize,
    ) -> Result<Self, String> {
        let size = element_size(dtype)
            .ok_or_else(|| format!("elements of {dtype} have no whole number of bytes"))?;
        if shape.len() != stride.len() {
            return Err(format!("it has {} dimensions but {} strides", shape.len(), stride.len()));
        }
        let elements = element_count(&shape).ok_or_else(|| format!("its shape {shape:?} overflows"))?;
        let stored = storage.len() / size;
        if elements > stored && elements > MOST_REPEATED_ELEMENTS {
            return Err(format!("its shape {shape:?} repeats a storage of {stored} elements too often"));
        }
        if elements > 0 {
            let last = shape
                .iter()
                .zip(&stride)
                .try_fold(offset, |last, (extent, step)| last.checked_add((extent - 1).checked_mul(*step)?));
            if last.is_none_or(|last| last >= stored) {
                return Err(format!(
                    "shape {shape:?} with strides {stride:?} from element {offset} reaches beyond its storage of \
                     {stored} elements"
                ));
            }
        }
        Ok(Self { file: 0, dtype, shape, stride, storage, offset })
    }

    /// The tensor as `f32`, row-major.
    pub(super) fn read(&self, name: &str, file: &MappedFile) -> Result<Tensor, CheckpointError> {
        let storage = &file.bytes()[self.storage.clone()];
        let values = match self.dtype {
            Dtype::F32 => {
                self.mapped(file).unwrap_or_else(|| Values::Own(self.gather(storage, f32::from_le_bytes)))
            }
            Dtype::F16 => Values::Own(self.gather(storage, |bytes| f16::from_le_bytes(bytes).to_f32())),
            Dtype::BF16 => Values::Own(self.gather(storage, |bytes| bf16::from_le_bytes(bytes).to_f32())),
            Dtype::F64 => Values::Own(self.gather(storage, |bytes| f64::from_le_bytes(bytes) as f32)),
            other => {
                return Err(CheckpointError::NotFloat {
                    path: file.path().to_owned(),
                    name: name.to_owned(),
                    dtype: other.to_string(),
                });
            }
        };
        if let Some((index, value)) = NotFinite::find(&values) {
            let (path, name) = (file.path().to_owned(), name.to_owned());
            return Err(CheckpointError::NotFinite { path, name, value, index });
        }
        Ok(Tensor { shape: self.shape.clone(), values })
    }

    /// The file's own memory, where it holds the tensor's `f32` side by side.
    fn mapped(&self, file: &MappedFile) -> Option<Values> {
        if self.stride != row_major(&self.shape) {
            return None;
        }
        let size = size_of::<f32>();
        let (start, count) = (self.storage.start + self.offset * size, element_count(&self.shape)?);
        file.values(start..start + count * size)
    }

    fn gather<const SIZE: usize>(&self, storage: &[u8], convert: impl Fn([u8; SIZE]) -> f32) -> Vec<f32> {
        let (elements, _) = storage.as_chunks::<SIZE>();
        let count = element_count(&self.shape).expect("the shape was checked when the file was opened");
        if count == 0 {
            return Vec::new();
        }
        if self.stride == row_major(&self.shape) {
            return elements[self.offset..self.offset + count].iter().map(|bytes| convert(*bytes)).collect();
        }
        let mut values = Vec::with_capacity(count);
        let mut index = vec![0; self.shape.len()];
        let mut place = self.offset;
        loop {
            values.push(convert(elements[place]));
            // The index counts up like an odometer, the last dimension fastest.
            let mut dimension = self.shape.len();
            loop {
                if dimension == 0 {
                    return values;
                }
                dimension -= 1;
                index[dimension] += 1;
                // A dimension of extent 1 may carry any stride; the wrapped steps cancel out.
                place = place.wrapping_add(self.stride[dimension]);
                if index[dimension] < self.shape[dimension] {
                    break;
                }
                place = place.wrapping_sub(self.stride[dimension].wrapping_mul(self.shape[dimension]));
                index[dimension] = 0;
            }
        }
    }
}

/// The bytes of an element; `None` for types smaller than a byte.
pub(super) fn element_size(dtype: Dtype) -> Option<usize> {
    let bits = dtype.bitsize();
    bits.is_multiple_of(8).then_some(bits / 8)
}

/// The product of the extents; `None` where it overflows.
pub(super) fn element_count(shape: &[usize]) -> Option<usize> {
    if shape.contains(&0) {
        return Some(0);
    }
    shape.iter().try_fold(1_usize, |count, extent| count.checked_mul(*extent))
}

/// The strides of a dense tensor, the last dimension fastest.
fn row_major(shape: &[usize]) -> Vec<usize> {
    let mut stride = vec![1_usize; shape.len()];
    for dimension in (1..shape.len()).rev() {
        // Only an empty tensor can overflow here, and its strides are never used.
        stride[dimension - 1] = stride[dimension].saturating_mul(shape[dimension]);
    }
    stride
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(shape: &[usize], stride: &[usize], bytes: usize, offset: usize) -> Result<Entry, String> {
        Entry::strided(Dtype::F32, shape.to_vec(), stride.to_vec(), 0..bytes, offset)
    }

    #[test]
    fn a_view_that_leaves_its_storage_is_refused() {
        assert!(view(&[2, 3], &[3, 1], 24, 0).is_ok());
        assert!(view(&[2, 3], &[3, 1], 24, 1).is_err());
        assert!(view(&[2, 3], &[4, 1], 24, 0).is_err());
        assert!(view(&[2], &[usize::MAX], 24, 0).is_err());
        assert!(view(&[usize::MAX, 2], &[0, 0], 24, 0).is_err());
        assert!(view(&[MOST_REPEATED_ELEMENTS + 1], &[0], 24, 0).is_err());
        assert!(view(&[2, 3], &[3], 24, 0).is_err());
    }

    #[test]
    fn an_empty_view_needs_no_storage() {
        assert!(view(&[0, 7], &[7, 1], 0, 9).is_ok());
        assert!(view(&[usize::MAX, 0, usize::MAX], &[1, 1, 1], 0, 0).is_ok());
    }

    #[test]
    fn strides_are_followed() {
        let storage: Vec<u8> = (0..6).flat_map(|value| (value as f32).to_le_bytes()).collect();
        let gathered = |shape: &[usize], stride: &[usize], offset| {
            view(shape, stride, 24, offset).unwrap().gather(&storage, f32::from_le_bytes)
        };
        assert_eq!(gathered(&[2, 3], &[3, 1], 0), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(gathered(&[3, 2], &[1, 3], 0), [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
        assert_eq!(gathered(&[2, 2], &[3, 1], 1), [1.0, 2.0, 4.0, 5.0]);
        assert_eq!(gathered(&[], &[], 4), [4.0]);
        assert_eq!(gathered(&[3], &[0], 5), [5.0, 5.0, 5.0]);
        assert_eq!(gathered(&[1, 2], &[usize::MAX, 2], 1), [1.0, 3.0]);
    }
}
