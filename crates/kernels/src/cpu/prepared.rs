//! Weights laid out for products once, instead of at every product.

use std::ops::Deref;

use super::form::Form;
use super::memory::Buffer;
use super::right::{Source, pack_rows, pack_transpose};
use super::{Cpu, bf16, int8};
use crate::{LinearSize, Passes, Precision};

/// A weight `[outputs, inputs]` as the right operand of products.
#[derive(Debug)]
pub(super) struct Prepared {
    shape: [usize; 2],
    precision: Precision,
    forward: Layout,
    /// For the gradient of the input.
    backward: Option<Buffer>,
}

/// Panels of columns of `[inputs, outputs]`.
#[derive(Debug)]
pub(super) enum Layout {
    /// In f32, or rounded to bf16.
    Floats(Buffer),
    /// Rounded to 255 integers.
    Int8(int8::Weight),
}

impl Prepared {
    /// Lays out a weight.
    pub(super) fn new(
        cpu: &Cpu,
        shape: [usize; 2],
        precision: Precision,
        passes: Passes,
        weight: &[f32],
    ) -> Self {
        let [outputs, inputs] = shape;
        assert_eq!(weight.len(), outputs * inputs, "a weight of {outputs}×{inputs}");
        let forward = match precision {
            Precision::F32 => Layout::Floats(pack_transpose(cpu, weight, outputs, inputs)),
            Precision::Bf16 => {
                let words = bf16::words(cpu, weight, outputs, inputs);
                let depth = Form::of(precision, cpu.level).words(inputs);
                Layout::Floats(pack_transpose(cpu, &words, outputs, depth))
            }
            Precision::Int8 => Layout::Int8(int8::Weight::new(cpu, outputs, inputs, weight)),
        };
        let goes_back = passes == Passes::ForwardAndBackward;
        let backward = goes_back.then(|| panels_back(cpu, shape, precision, weight));
        Self { shape, precision, forward, backward }
    }

    /// Whether it serves products of `passes` in `precision`.
    pub(super) fn serves(&self, precision: Precision, passes: Passes) -> bool {
        self.precision == precision && (passes == Passes::Forward || self.backward.is_some())
    }

    /// For a product of these sizes that gives the output.
    pub(super) fn forward(&self, shape: [usize; 2]) -> &Layout {
        self.check(shape);
        &self.forward
    }

    /// For a product of these sizes that gives the input's gradient, in `precision`.
    pub(super) fn backward(&self, shape: [usize; 2], precision: Precision) -> Option<&[f32]> {
        self.check(shape);
        self.backward.as_deref().filter(|_| self.precision == precision)
    }

    fn check(&self, shape: [usize; 2]) {
        assert_eq!(self.shape, shape, "the weight was prepared for other sizes");
    }
}

/// A weight as the right operand `[outputs, inputs]`, for the gradient of the input.
pub(super) enum PanelsBack<'a> {
    Prepared(&'a [f32]),
    Made(Buffer),
}

impl<'a> PanelsBack<'a> {
    /// What was prepared, or made for this product.
    pub(super) fn new(cpu: &Cpu, size: LinearSize, weight: &'a Buffer) -> Self {
        let LinearSize { inputs, outputs, precision, .. } = size;
        let prepared = weight.prepared().and_then(|own| own.backward([outputs, inputs], precision));
        prepared.map_or_else(
            || Self::Made(panels_back(cpu, [outputs, inputs], precision, weight)),
            Self::Prepared,
        )
    }
}

impl Deref for PanelsBack<'_> {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match self {
            Self::Prepared(panels) => panels,
            Self::Made(panels) => panels,
        }
    }
}

fn panels_back(cpu: &Cpu, [outputs, inputs]: [usize; 2], precision: Precision, weight: &[f32]) -> Buffer {
    assert!(precision != Precision::Int8, "eight-bit integers have no gradients");
    pack_rows(cpu, precision, Source::plain(weight), inputs, outputs)
}
