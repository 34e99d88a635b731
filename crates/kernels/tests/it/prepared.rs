//! Weights laid out in advance: in f32 nothing changes, in integers little does, and a changed weight counts.

use sbmoe_kernels::{Activation, Affine, AffineGradient, Buffer, Cpu, Level, LinearSize, Ops, Precision};

use crate::draws::Draws;

const SIZE: LinearSize = LinearSize { rows: 101, inputs: 390, outputs: 77 };

/// A layer, its input, and what it gives.
struct Layer {
    cpu: Cpu,
    x: Buffer,
    weight: Buffer,
    bias: Buffer,
}

impl Layer {
    fn new(level: Level, threads: usize) -> Self {
        let (cpu, mut draws) = (Cpu::with_level(threads, level), Draws::new(7));
        let LinearSize { rows, inputs, outputs } = SIZE;
        let [x, weight, bias] =
            [rows * inputs, inputs * outputs, outputs].map(|n| cpu.upload(&draws.normal(n)));
        Self { cpu, x, weight, bias }
    }

    fn prepare(&mut self, precision: Precision) {
        self.cpu.prepare_weight(SIZE.outputs, SIZE.inputs, precision, &mut self.weight);
    }

    fn output(&self, before: Option<&mut Buffer>) -> Vec<f32> {
        let mut output = self.cpu.scratch(SIZE.rows * SIZE.outputs);
        let layer = Affine { weight: &self.weight, bias: &self.bias };
        self.cpu.linear(SIZE, &self.x, layer, Activation::Gelu, before, &mut output);
        self.cpu.download(&output)
    }
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|x| x.to_bits()).collect()
}

#[test]
fn in_f32_the_bytes_are_those_of_the_weight_itself() {
    for level in Level::available() {
        let mut layer = Layer::new(level, 2);
        let expected = layer.output(None);
        layer.prepare(Precision::F32);
        assert_eq!(bits(&layer.output(None)), bits(&expected), "{level}");
    }
}

#[test]
fn in_integers_the_output_is_near_and_the_same_for_any_number_of_threads() {
    for level in Level::available() {
        let mut layer = Layer::new(level, 1);
        let expected = layer.output(None);
        layer.prepare(Precision::Int8);
        let found = layer.output(None);
        let error = |(a, b): (&f32, &f32)| f64::from(a - b).powi(2);
        let size: f64 = expected.iter().map(|x| f64::from(*x).powi(2)).sum();
        let relative = (found.iter().zip(&expected).map(error).sum::<f64>() / size).sqrt();
        // Rounding to 127 steps of a normal row's largest element, twice: about 1 %.
        assert!(relative > 1e-3 && relative < 2e-2, "{level}: {relative}");
        let mut other = Layer::new(level, 3);
        other.prepare(Precision::Int8);
        assert_eq!(bits(&other.output(None)), bits(&found), "{level}");
    }
}

#[test]
fn a_layer_that_keeps_what_its_activation_was_taken_of_is_not_rounded() {
    let mut layer = Layer::new(Level::best(), 2);
    let n = SIZE.rows * SIZE.outputs;
    let (mut expected, mut found) = (layer.cpu.scratch(n), layer.cpu.scratch(n));
    let expected_output = layer.output(Some(&mut expected));
    layer.prepare(Precision::Int8);
    assert_eq!(bits(&layer.output(Some(&mut found))), bits(&expected_output));
    assert_eq!(bits(&layer.cpu.download(&found)), bits(&layer.cpu.download(&expected)));
}

#[test]
fn a_changed_weight_is_no_longer_prepared() {
    let mut layer = Layer::new(Level::best(), 2);
    for precision in [Precision::F32, Precision::Int8] {
        layer.prepare(precision);
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
        for wrong in [f32::NAN, f32::INFINITY] {
            let mut layer = Layer::new(level, 2);
            let mut x = layer.cpu.download(&layer.x);
            x[3 * SIZE.inputs + 5] = wrong;
            layer.x = layer.cpu.upload(&x);
            layer.prepare(Precision::Int8);
            let output = layer.output(None);
            let rows: Vec<&[f32]> = output.chunks(SIZE.outputs).collect();
            assert!(rows[3].iter().all(|x| !x.is_finite()), "{level}: {wrong} became finite");
            assert!(rows[2].iter().chain(rows[4]).all(|x| x.is_finite()), "{level}: other rows suffer");
        }
    }
}

#[test]
fn empty_products_are_empty_or_zero() {
    for level in Level::available() {
        let cpu = Cpu::with_level(2, level);
        for [rows, inputs, outputs] in [[0, 3, 2], [2, 3, 0], [2, 0, 3]] {
            for precision in [Precision::F32, Precision::Int8] {
                let (x, bias) = (cpu.zeros(rows * inputs), cpu.upload(&vec![1.5; outputs]));
                let mut weight = cpu.zeros(inputs * outputs);
                cpu.prepare_weight(outputs, inputs, precision, &mut weight);
                let layer = Affine { weight: &weight, bias: &bias };
                let mut output = cpu.scratch(rows * outputs);
                let size = LinearSize { rows, inputs, outputs };
                cpu.linear(size, &x, layer, Activation::Identity, None, &mut output);
                assert_eq!(cpu.download(&output), vec![1.5; rows * outputs], "{rows}×{inputs}×{outputs}");
            }
        }
    }
}

#[test]
fn the_gradient_of_a_weight_sums_over_more_rows_than_are_packed_at_once() {
    let (cpu, mut draws) = (Cpu::new(2), Draws::new(3));
    let size = LinearSize { rows: 5000, inputs: 7, outputs: 5 };
    let (x, d_output) = (draws.normal(size.rows * size.inputs), draws.normal(size.rows * size.outputs));
    let (mut weight, mut bias) = (cpu.zeros(size.inputs * size.outputs), cpu.zeros(size.outputs));
    let gradient = AffineGradient { weight: &mut weight, bias: &mut bias };
    cpu.linear_backward_parameters(size, &cpu.upload(&x), &cpu.upload(&d_output), gradient);
    let found = cpu.download(&weight);
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
