//! A tensor's numbers, which are the file's own memory where it holds them as they are wanted.

use std::ops::{Deref, Range};
use std::sync::Arc;

use memmap2::Mmap;
use sbmoe_kernels::Numbers;

/// Numbers in row-major order; they outlive the checkpoint that they came from.
#[derive(Clone, Debug)]
pub enum Values {
    /// Converted or gathered.
    Own(Vec<f32>),
    /// Side by side in a mapped file.
    Mapped {
        /// The file.
        map: Arc<Mmap>,
        /// The numbers' bytes, which are aligned for `f32`.
        bytes: Range<usize>,
    },
}

impl Values {
    /// The numbers as a vector; those of a mapped file are copied.
    pub fn into_vec(self) -> Vec<f32> {
        match self {
            Self::Own(values) => values,
            Self::Mapped { .. } => self.to_vec(),
        }
    }
}

impl Deref for Values {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match self {
            Self::Own(values) => values,
            // SAFETY: every pattern of bits is an f32; what is not aligned would be left out.
            Self::Mapped { map, bytes } => unsafe { map[bytes.clone()].align_to().1 },
        }
    }
}

impl Numbers for Values {
    fn numbers(&self) -> &[f32] {
        self
    }
}

impl PartialEq for Values {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}
