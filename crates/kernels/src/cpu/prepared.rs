//! Weights laid out for products once, instead of at every product.

use super::memory::Buffer;
use super::product::{Operand, pack_right};
use super::{Cpu, int8};
use crate::Precision;

/// A weight `[outputs, inputs]` as the right operand `[inputs, outputs]` of products.
#[derive(Debug)]
pub(super) enum Prepared {
    /// Panels of columns in f32.
    F32(Buffer),
    /// Panels of columns in eight-bit integers.
    Int8(int8::Weight),
}

impl Prepared {
    /// Lays out a weight.
    pub(super) fn new(
        cpu: &Cpu,
        [outputs, inputs]: [usize; 2],
        precision: Precision,
        weight: &[f32],
    ) -> Self {
        assert_eq!(weight.len(), outputs * inputs, "a weight of {outputs}×{inputs}");
        match precision {
            Precision::F32 => Self::F32(pack_right(cpu, Operand::transposed(weight), outputs, inputs)),
            Precision::Int8 => Self::Int8(int8::Weight::new(cpu, outputs, inputs, weight)),
        }
    }
}
