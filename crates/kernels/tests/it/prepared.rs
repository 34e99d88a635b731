//! Weights laid out in advance change no byte, a changed weight counts; in bf16 and in integers the output stays near.

use sbmoe_kernels::{
    Activation, Affine, AffineGradient, Buffer, Cpu, Level, LinearBackward, LinearSize, Ops, Passes,
    Precision,
};

use crate::draws::Draws;

const SIZE: LinearSize = LinearSize { rows: 101, inputs: 390, outputs: 77, precision: Precision::F32 };

/// A layer, its input, and what it gives.
struct Layer {
    cpu: Cpu,
    x: Buffer,
    weight: Buffer,
    bias: Buffer,
    size: LinearSize,
}

impl Layer {
    fn new(level: Level, threads: usize, precision: Precision) -> Self {
        let (cpu, mut draws) = (Cpu::with_level(threads, level), Draws::new(7));
        let LinearSize { rows, inputs, outputs, .. } = SIZE;
        let [x, weight, bias] =
            [rows * inputs, inputs * outputs, outputs].map(|n| cpu.upload(&draws.normal(n)));
        Self { cpu, x, weight, bias, size: LinearSize { precision, ..SIZE } }
    }

    fn prepare(&mut self) {
        let LinearSize { inputs, outputs, precision, .. } = self.size;
        let passes = if precision == Precision::Int8 { Passes::Forward } else { Passes::ForwardAndBackward };
        self.cpu.prepare_weight([outputs, inputs], precision, passes, &mut self.weight);
    }

    fn output(&self, before: Option<&mut Buffer>) -> Vec<f32> {
        let mut output = self.cpu.scratch(SIZE.rows * SIZE.outputs);
        let layer = Affine { weight: &self.weight, bias: &self.bias };
        self.cpu.linear(self.size, &self.x, layer, Activation::Gelu, before, &mut output);
        self.cpu.download(&output)
    }

    /// Of the weight, and of the input, each alone and all at once; for drawn gradients of the output.
    fn gradients(&self) -> [Vec<f32>; 4] {
        let (cpu, n) = (&self.cpu, SIZE.inputs * SIZE.outputs);
        let d_output = cpu.upload(&Draws::new(8).normal(SIZE.rows * SIZE.outputs));
        let (mut weight, mut bias, mut dx) =
            (cpu.zeros(n), cpu.zeros(SIZE.outputs), cpu.scratch(SIZE.rows * SIZE.inputs));
        let gradient = AffineGradient { weight: &mut weight, bias: &mut bias };
        cpu.linear_backward_parameters(self.size, &self.x, &d_output, gradient);
        cpu.linear_backward_input(self.size, &self.weight, &d_output, &mut dx);
        let alone = [&weight, &dx].map(|gradient| cpu.download(gradient));
        cpu.fill(&mut weight, 0.0);
        let gradient = AffineGradient { weight: &mut weight, bias: &mut bias };
        let layer = LinearBackward { weight: &self.weight, d_output: &d_output, gradient };
        cpu.linears_backward(self.size, (&self.x).into(), [layer], false, &mut dx);
        let [d_weight, d_x] = alone;
        [d_weight, d_x, cpu.download(&weight), cpu.download(&dx)]
    }
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|x| x.to_bits()).collect()
}

#[test]
fn the_bytes_are_those_of_the_weight_itself() {
    for level in Level::available() {
        for precision in [Precision::F32, Precision::Bf16, Precision::Int8] {
            let mut layer = Layer::new(level, 2, precision);
            let n = SIZE.rows * SIZE.outputs;
            let (mut before, mut before_prepared) = (layer.cpu.scratch(n), layer.cpu.scratch(n));
            let [expected, kept] = [layer.output(None), layer.output(Some(&mut before))];
            layer.prepare();
            assert_eq!(bits(&layer.output(None)), bits(&expected), "{level} {precision}");
            assert_eq!(bits(&layer.output(Some(&mut before_prepared))), bits(&kept), "{level} {precision}");
            assert_eq!(bits(&layer.cpu.download(&before_prepared)), bits(&layer.cpu.download(&before)));
            assert_eq!(bits(&kept), bits(&expected), "{level} {precision}");
        }
    }
}

#[test]
fn gradients_are_the_same_bytes_alone_or_at_once_and_of_a_weight_that_is_laid_out() {
    for level in Level::available() {
        for precision in [Precision::F32, Precision::Bf16] {
            let mut layer = Layer::new(level, 2, precision);
            let [d_weight, dx, d_weight_at_once, dx_at_once] = layer.gradients();
            assert_eq!(bits(&d_weight), bits(&d_weight_at_once), "{level} {precision}");
            assert_eq!(bits(&dx), bits(&dx_at_once), "{level} {precision}");
            layer.prepare();
            assert_eq!(
                layer.gradients().map(|x| bits(&x)),
                [&d_weight, &dx, &d_weight, &dx].map(|x| bits(x))
            );
            // Laid out for another precision, or for forward alone, it is not taken.
            let other = if precision == Precision::F32 { Precision::Bf16 } else { Precision::F32 };
            layer.size.precision = other;
            let found = layer.gradients();
            layer.weight = layer.cpu.upload(&layer.cpu.download(&layer.weight));
            let expected = layer.gradients();
            layer.cpu.prepare_weight([SIZE.outputs, SIZE.inputs], other, Passes::Forward, &mut layer.weight);
            for found in [found, layer.gradients()] {
                assert_eq!(
                    found.map(|x| bits(&x)),
                    expected.each_ref().map(|x| bits(x)),
                    "{level} {precision}"
                );
            }
        }
    }
}

#[test]
fn rounded_outputs_are_near_and_the_same_for_any_number_of_threads() {
    for level in Level::available() {
        let expected = Layer::new(level, 1, Precision::F32).output(None);
        // bf16: both operands within 1/512 of themselves, .0011 on average, added as squares. Integers: weights within
        // 1/254 of the row's largest.
        for (precision, range) in [(Precision::Bf16, 1e-3..4e-3), (Precision::Int8, 1e-3..2e-2)] {
            let found = Layer::new(level, 1, precision).output(None);
            let relative = distance(&found, &expected);
            assert!(range.contains(&relative), "{level} {precision}: {relative}");
            assert_eq!(
                bits(&Layer::new(level, 3, precision).output(None)),
                bits(&found),
                "{level} {precision}"
            );
        }
    }
}

#[test]
fn gradients_in_bf16_are_near_and_the_same_for_any_number_of_threads() {
    for level in Level::available() {
        let expected = Layer::new(level, 1, Precision::F32).gradients();
        let found = Layer::new(level, 1, Precision::Bf16).gradients();
        let other = Layer::new(level, 3, Precision::Bf16).gradients();
        for ((found, expected), other) in found.iter().zip(&expected).zip(&other) {
            let relative = distance(found, expected);
            assert!((1e-3..4e-3).contains(&relative), "{level}: {relative}");
            assert_eq!(bits(found), bits(other), "{level}");
        }
    }
}

/// ‖found − expected‖ / ‖expected‖.
fn distance(found: &[f32], expected: &[f32]) -> f64 {
    let error = |(a, b): (&f32, &f32)| f64::from(a - b).powi(2);
    let size: f64 = expected.iter().map(|x| f64::from(*x).powi(2)).sum();
    (found.iter().zip(expected).map(error).sum::<f64>() / size).sqrt()
}

#[test]
fn a_changed_weight_is_no_longer_prepared() {
    for precision in [Precision::F32, Precision::Bf16, Precision::Int8] {
        let mut layer = Layer::new(Level::best(), 2, precision);
        layer.prepare();
        layer.cpu.scale(&mut layer.weight, 2.0);
        let found = layer.output(None);
        let unprepared = layer.cpu.download(&layer.weight);
        layer.weight = layer.cpu.upload(&unprepared);
        assert_eq!(bits(&found), bits(&layer.output(None)), "{precision}");
    }
}

#[test]
fn a_number_that_is_not_finite_stays_one() {
    for level in Level::available() {
        for (wrong, precision) in [f32::NAN, f32::INFINITY]
            .into_iter()
            .flat_map(|wrong| [Precision::Bf16, Precision::Int8].map(|precision| (wrong, precision)))
        {
            let mut layer = Layer::new(level, 2, precision);
            let mut x = layer.cpu.download(&layer.x);
            x[3 * SIZE.inputs + 5] = wrong;
            layer.x = layer.cpu.upload(&x);
            let output = layer.output(None);
            let rows: Vec<&[f32]> = output.chunks(SIZE.outputs).collect();
            assert!(rows[3].iter().all(|x| !x.is_finite()), "{level} {precision}: {wrong} became finite");
            assert!(
                rows[2].iter().chain(rows[4]).all(|x| x.is_finite()),
                "{level} {precision}: other rows suffer"
            );
        }
    }
}

#[test]
fn empty_products_are_empty_or_zero() {
    for level in Level::available() {
        let cpu = Cpu::with_level(2, level);
        for [rows, inputs, outputs] in [[0, 3, 2], [2, 3, 0], [2, 0, 3]] {
            for precision in [Precision::F32, Precision::Bf16, Precision::Int8] {
                let (x, bias) = (cpu.zeros(rows * inputs), cpu.upload(&vec![1.5; outputs]));
                let mut weight = cpu.zeros(inputs * outputs);
                let passes =
                    if precision == Precision::Int8 { Passes::Forward } else { Passes::ForwardAndBackward };
                cpu.prepare_weight([outputs, inputs], precision, passes, &mut weight);
                let layer = Affine { weight: &weight, bias: &bias };
                let mut output = cpu.scratch(rows * outputs);
                let size = LinearSize { rows, inputs, outputs, precision };
                cpu.linear(size, &x, layer, Activation::Identity, None, &mut output);
                assert_eq!(cpu.download(&output), vec![1.5; rows * outputs], "{rows}×{inputs}×{outputs}");
                if precision != Precision::Int8 {
                    let (mut d_weight, mut d_bias) = (cpu.zeros(weight.len()), cpu.zeros(outputs));
                    let gradient = AffineGradient { weight: &mut d_weight, bias: &mut d_bias };
                    let layer = LinearBackward { weight: &weight, d_output: &output, gradient };
                    let mut dx = cpu.upload(&vec![2.5; rows * inputs]);
                    cpu.linears_backward(size, (&x).into(), [layer], false, &mut dx);
                    assert_eq!(cpu.download(&dx), vec![0.0; rows * inputs], "{rows}×{inputs}×{outputs}");
                    assert_eq!(cpu.download(&d_bias), vec![1.5 * rows as f32; outputs]);
                }
            }
        }
    }
}

#[test]
fn the_gradient_of_a_weight_sums_over_more_rows_than_are_packed_at_once() {
    let (cpu, mut draws) = (Cpu::new(2), Draws::new(3));
    let size = LinearSize { rows: 5000, inputs: 7, outputs: 5, precision: Precision::F32 };
    let (x, d_output) = (draws.normal(size.rows * size.inputs), draws.normal(size.rows * size.outputs));
    let (mut weight, mut bias) = (cpu.zeros(size.inputs * size.outputs), cpu.zeros(size.outputs));
    let gradient = AffineGradient { weight: &mut weight, bias: &mut bias };
    let (x_there, d_output_there) = (cpu.upload(&x), cpu.upload(&d_output));
    cpu.linear_backward_parameters(size, &x_there, &d_output_there, gradient);
    let found = cpu.download(&weight);
    cpu.fill(&mut weight, f32::NAN);
    let gradient = AffineGradient { weight: &mut weight, bias: &mut bias };
    cpu.linear_backward_parameters_set(size, &x_there, &d_output_there, gradient);
    assert_eq!(cpu.download(&weight), found, "written over what was there");
    let gradient = AffineGradient { weight: &mut weight, bias: &mut bias };
    cpu.linear_backward_parameters_set(
        LinearSize { rows: 0, ..size },
        &cpu.zeros(0),
        &cpu.zeros(0),
        gradient,
    );
    let left = [cpu.download(&weight), cpu.download(&bias)].concat();
    assert!(left.iter().all(|x| *x == 0.0), "no rows, no gradient: {left:?}");
    cpu.fill(&mut weight, 0.0);
    let (of_layer, mut dx) = (cpu.upload(&draws.normal(size.inputs * size.outputs)), cpu.zeros(x.len()));
    let gradient = AffineGradient { weight: &mut weight, bias: &mut bias };
    let layer = LinearBackward { weight: &of_layer, d_output: &d_output_there, gradient };
    cpu.linears_backward(size, (&x_there).into(), [layer], false, &mut dx);
    assert_eq!(cpu.download(&weight), found, "with the gradient of the input");
    let mut alone = cpu.zeros(x.len());
    cpu.linear_backward_input(size, &of_layer, &d_output_there, &mut alone);
    assert_eq!(cpu.download(&dx), cpu.download(&alone), "of the input");
    for output in 0..size.outputs {
        for input in 0..size.inputs {
            let products = (0..size.rows).map(|row| {
                f64::from(d_output[row * size.outputs + output]) * f64::from(x[row * size.inputs + input])
            });
            let (expected, found) = (products.sum::<f64>(), f64::from(found[output * size.inputs + input]));
            assert!((found - expected).abs() < 1e-3, "{output}, {input}: {found}, expected {expected}");
        }
    }
}
