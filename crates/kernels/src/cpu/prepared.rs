//! Weights laid out for products once, instead of at every product.

use std::ops::Deref;

use super::form::Form;
use super::memory::Buffer;
use super::right::{pack_rows, pack_transpose};
use super::source::Source;
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

impl Layout {
    fn new(cpu: &Cpu, [outputs, inputs]: [usize; 2], precision: Precision, weight: &[f32]) -> Self {
        assert_eq!(weight.len(), outputs * inputs, "a weight of {outputs}×{inputs}");
        match precision {
            Precision::F32 => Self::Floats(pack_transpose(cpu, weight, outputs, inputs)),
            Precision::Bf16 => {
                let words = bf16::words(cpu, weight, outputs, inputs);
                let depth = Form::of(precision, cpu.level).words(inputs);
                Self::Floats(pack_transpose(cpu, &words, outputs, depth))
            }
            Precision::Int8 => Self::Int8(int8::Weight::new(cpu, outputs, inputs, weight)),
        }
    }

    /// The panels of f32 and bf16.
    ///
    /// # Panics
    /// When they are of integers.
    pub(super) fn floats(&self) -> &[f32] {
        match self {
            Self::Floats(panels) => panels,
            Self::Int8(_) => panic!("the weight is in eight-bit integers"),
        }
    }
}

impl Prepared {
    /// Lays out a weight until it changes, unless it is.
    pub(super) fn keep(
        cpu: &Cpu,
        shape: [usize; 2],
        precision: Precision,
        passes: Passes,
        weight: &mut Buffer,
    ) {
        if weight.prepared().is_some_and(|own| own.serves(precision, passes)) {
            return;
        }
        let forward = Layout::new(cpu, shape, precision, weight);
        let goes_back = passes == Passes::ForwardAndBackward;
        let backward = goes_back.then(|| panels_back(cpu, shape, precision, weight));
        weight.set_prepared(Self { shape, precision, forward, backward });
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
    pub(super) fn backward(&self, shape: [usize; 2], precision: Precision) -> Option<&Buffer> {
        self.check(shape);
        self.backward.as_ref().filter(|_| self.precision == precision)
    }

    fn check(&self, shape: [usize; 2]) {
        assert_eq!(self.shape, shape, "the weight was prepared for other sizes");
    }
}

/// What was prepared, or made for one product.
pub(super) enum Laid<'a, T> {
    Prepared(&'a T),
    Made(T),
}

impl<T> Deref for Laid<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        match self {
            Self::Prepared(own) => own,
            Self::Made(own) => own,
        }
    }
}

/// A weight for the products that give the output.
pub(super) fn forward<'a>(cpu: &Cpu, size: LinearSize, weight: &'a Buffer) -> Laid<'a, Layout> {
    let LinearSize { inputs, outputs, precision, .. } = size;
    match weight.prepared().filter(|own| own.serves(precision, Passes::Forward)) {
        Some(own) => Laid::Prepared(own.forward([outputs, inputs])),
        None => Laid::Made(Layout::new(cpu, [outputs, inputs], precision, weight)),
    }
}

/// A weight for the products that give the input's gradient.
pub(super) fn backward<'a>(cpu: &Cpu, size: LinearSize, weight: &'a Buffer) -> Laid<'a, Buffer> {
    let LinearSize { inputs, outputs, precision, .. } = size;
    match weight.prepared().and_then(|own| own.backward([outputs, inputs], precision)) {
        Some(panels) => Laid::Prepared(panels),
        None => Laid::Made(panels_back(cpu, [outputs, inputs], precision, weight)),
    }
}

/// The right operand `[outputs, inputs]`.
fn panels_back(cpu: &Cpu, [outputs, inputs]: [usize; 2], precision: Precision, weight: &[f32]) -> Buffer {
    pack_rows(cpu, precision, Source::Plain(weight), inputs, outputs)
}
