//! Query, key and value of an encoder's layer, kept as attention's products read them.

use super::Cpu;
use super::activation::apply_biased;
use super::bf16_words::{self, along};
use super::columns::Columns;
use super::form::Form;
use super::linear::{self, Input, weighted_apart};
use super::memory::Buffer;
use super::packing::Rows;
use super::tiles::Target;
use crate::{Activation, Affine, LinearSize};

/// The outputs of layers that read the same `x`, which is rounded once; where attention multiplies words, a tile's sums
/// become words while they are near.
pub(super) fn project(
    cpu: &Cpu,
    size: LinearSize,
    x: &[f32],
    layers: [Affine<'_, Buffer>; 3],
    outputs: [&mut Buffer; 3],
) {
    let (x, form) = (Input::new(cpu, size, x), Form::beside(size.precision, cpu.level));
    for (layer, output) in layers.into_iter().zip(outputs) {
        if form == Form::Single {
            linear::forward(cpu, size, &x, layer, Activation::Identity, None, output);
        } else {
            let target = Target::along(output, form);
            weighted_apart(cpu, size, &x, layer.weight, [target], |tile, sums, [mut words]| {
                for (row, sums) in sums.chunks_exact_mut(tile.stride()).enumerate() {
                    // A row's words are asked for while another pass goes over its sums.
                    words.ask(row);
                    let bias = &layer.bias[tile.column..];
                    apply_biased(cpu.level, Activation::Identity, bias, &mut sums[..tile.columns]);
                }
                along(cpu.level, tile.sums(sums), tile.rows, &mut words);
            });
        }
    }
}

/// The length of each output.
pub(super) fn kept_len(cpu: &Cpu, LinearSize { rows, outputs, precision, .. }: LinearSize) -> usize {
    rows * Form::beside(precision, cpu.level).words(outputs)
}

/// Rows of heads as they are kept, with each head in words of its own: the same rows, unless a head's last word would hold
/// the next one's first number, too.
pub(super) struct Apart<'a> {
    kept: &'a [f32],
    own: Option<Buffer>,
}

impl<'a> Apart<'a> {
    /// Of rows of `hidden` numbers.
    pub(super) fn new(cpu: &Cpu, form: Form, [hidden, heads]: [usize; 2], kept: &'a [f32]) -> Self {
        let width = hidden / heads;
        if width.is_multiple_of(form.numbers()) {
            return Self { kept, own: None };
        }
        let (stride, words) = (form.words(hidden), form.words(width));
        let mut own = cpu.memory.scratch(kept.len() / stride * heads * words);
        let mut numbers = cpu.memory.near(hidden);
        for (row, own) in kept.chunks_exact(stride).zip(own.chunks_exact_mut(heads * words)) {
            bf16_words::numbers(cpu.level, row, &mut numbers);
            let rows = Rows { values: &numbers, stride: width, columns: width };
            along(cpu.level, rows, heads, &mut Columns::whole(own, words));
        }
        Self { kept, own: Some(own) }
    }

    pub(super) fn rows(&self) -> &[f32] {
        self.own.as_deref().unwrap_or(self.kept)
    }
}
