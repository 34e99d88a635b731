//! Weights laid out for products once, instead of at every product.

use super::memory::Buffer;
use super::product::{Operand, pack_right};
use super::{Cpu, bf16, int8};
use crate::Precision;

/// A weight `[outputs, inputs]` as the right operand `[inputs, outputs]` of products.
#[derive(Debug)]
pub(super) struct Prepared {
    shape: [usize; 2],
    precision: Precision,
    panels: Layout,
}

/// Panels of columns.
#[derive(Debug)]
pub(super) enum Layout {
    /// In f32.
    F32(Buffer),
    /// Rounded to bf16.
    Bf16(Buffer),
    /// Rounded to 255 integers.
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
        let panels = match precision {
            Precision::F32 => Layout::F32(pack_right(cpu, Operand::transposed(weight), outputs, inputs)),
            Precision::Bf16 => {
                Layout::Bf16(bf16::pack_right(cpu, Operand::transposed(weight), outputs, inputs))
            }
            Precision::Int8 => Layout::Int8(int8::Weight::new(cpu, outputs, inputs, weight)),
        };
        Self { shape: [outputs, inputs], precision, panels }
    }

    /// Of which numbers the layout is.
    pub(super) fn precision(&self) -> Precision {
        self.precision
    }

    /// The panels, for a product of these sizes.
    pub(super) fn panels(&self, outputs: usize, inputs: usize) -> &Layout {
        assert_eq!(self.shape, [outputs, inputs], "the weight was prepared for other sizes");
        &self.panels
    }
}
