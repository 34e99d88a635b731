//! Query, key and value of an encoder's layer, kept as attention's products read them.

use super::Cpu;
use super::bf16_words::{self, along};
use super::columns::Columns;
use super::form::Form;
use super::linear::{self, Input};
use super::memory::Buffer;
use super::packing::Rows;
use crate::{Activation, Affine, LinearSize};

/// The outputs of layers that read the same `x`, which is rounded once: in words where attention multiplies words.
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
            linear::forward_words(cpu, size, &x, layer, Activation::Identity, output);
        }
    }
}

/// The length of each output.
pub(super) fn kept_len(cpu: &Cpu, LinearSize { rows, outputs, precision, .. }: LinearSize) -> usize {
    rows * Form::beside(precision, cpu.level).words(outputs)
}

/// Rows of heads as they are kept, with each head in words of its own: the same rows, unless a head's last word would hold
/// the next one's first number, too, as with odd widths, which no known model has.
pub(super) struct Apart<'a> {
    kept: &'a [f32],
    own: Option<Buffer>,
}

impl<'a> Apart<'a> {
    /// Of rows of `hidden` numbers.
    pub(super) fn new(cpu: &Cpu, form: Form, [hidden, heads]: [usize; 2], kept: &'a [f32]) -> Self {
        let width = hidden / heads;
        if heads == 1 || width.is_multiple_of(form.numbers()) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::bf16;
    use crate::{Key, Level, Ops as _, Precision};

    #[test]
    fn what_is_kept_are_the_rounded_outputs_of_each_layer() {
        for level in Level::available() {
            let cpu = Cpu::with_level(2, level);
            let draw = |purpose: u64, n: usize| -> Vec<f32> {
                (0..n).map(|i| Key::new(1).with(purpose).with(i as u64).normal() as f32).collect()
            };
            for precision in [Precision::F32, Precision::Bf16, Precision::Int8] {
                for [rows, inputs, outputs] in [[101, 39, 77], [1, 16, 32], [200, 20, 450]] {
                    let size = LinearSize { rows, inputs, outputs, precision };
                    let x = cpu.upload(&draw(0, rows * inputs));
                    let parameters = [1, 2, 3].map(|layer| {
                        [(10, outputs * inputs), (20, outputs)]
                            .map(|(at, n)| cpu.upload(&draw(at + layer, n)))
                    });
                    let layers = parameters.each_ref().map(|[weight, bias]| Affine { weight, bias });
                    let mut kept = [(); 3].map(|()| cpu.scratch(kept_len(&cpu, size)));
                    project(&cpu, size, &x, layers, kept.each_mut());
                    for (layer, kept) in layers.into_iter().zip(&kept) {
                        let mut expected = cpu.scratch(rows * outputs);
                        cpu.linear(size, &x, layer, Activation::Identity, None, &mut expected);
                        if Form::beside(precision, level) == Form::Bf16 {
                            expected = bf16::words(&cpu, &expected, rows, outputs);
                        }
                        let bits = |values: &Buffer| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
                        assert!(
                            bits(kept) == bits(&expected),
                            "{level} {precision} {rows}×{inputs}×{outputs}"
                        );
                    }
                }
            }
        }
    }
}
