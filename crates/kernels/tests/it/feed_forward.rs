//! Feed-forward layers as one operator against their layers one by one, in every precision.

use sbmoe_kernels::{
    Activation, Affine, AffineGradient, Buffer, Cpu, FeedForwardBackward, Level, LinearBackward, LinearSize,
    Ops, Passes, Precision,
};

use crate::draws::Draws;
use crate::linear_backward::rounded;

/// The layers, their input and the gradient of their output.
struct Case {
    cpu: Cpu,
    size: LinearSize,
    x: Buffer,
    weights: [Buffer; 2],
    biases: [Buffer; 2],
    d_output: Buffer,
}

impl Case {
    fn new(level: Level, threads: usize, size: LinearSize) -> Self {
        let (cpu, mut draws) = (Cpu::with_level(threads, level), Draws::new(11));
        let LinearSize { rows, inputs, outputs, .. } = size;
        let mut draw = |n: usize| cpu.upload(&draws.normal(n));
        let (x, d_output) = (draw(rows * inputs), draw(rows * inputs));
        let (weights, biases) = ([(); 2].map(|()| draw(inputs * outputs)), [outputs, inputs].map(&mut draw));
        Self { cpu, size, x, weights, biases, d_output }
    }

    fn back(&self) -> LinearSize {
        LinearSize { inputs: self.size.outputs, outputs: self.size.inputs, ..self.size }
    }

    fn layers(&self) -> [Affine<'_, Buffer>; 2] {
        [0, 1].map(|layer| Affine { weight: &self.weights[layer], bias: &self.biases[layer] })
    }

    /// What was kept, and the output.
    fn forward(&self) -> [Buffer; 2] {
        let (mut before, mut output) =
            (self.cpu.scratch(self.cpu.kept_len(self.size)), self.cpu.scratch(self.x.len()));
        // Nothing is kept of eight-bit integers, which have no backward.
        let before_there = (self.size.precision != Precision::Int8).then_some(&mut before);
        self.cpu.feed_forward(self.size, &self.x, self.layers(), Activation::Gelu, before_there, &mut output);
        let mut alone = self.cpu.scratch(self.x.len());
        self.cpu.feed_forward(self.size, &self.x, self.layers(), Activation::Gelu, None, &mut alone);
        assert_eq!(bits(&alone), bits(&output), "whether or not it is kept");
        [before, output]
    }

    /// What the activation was taken of, as it is kept: rounded in bf16; and the output.
    fn forward_one_by_one(&self) -> [Buffer; 2] {
        let ([wide, narrow], n) = (self.layers(), self.size.rows * self.size.outputs);
        let (mut before, mut activated) = (self.cpu.scratch(n), self.cpu.scratch(n));
        self.cpu.linear(self.size, &self.x, wide, Activation::Gelu, Some(&mut before), &mut activated);
        let mut output = self.cpu.scratch(self.x.len());
        self.cpu.linear(self.back(), &activated, narrow, Activation::Identity, None, &mut output);
        if self.size.precision == Precision::Bf16 {
            before.iter_mut().for_each(|x| *x = rounded(*x) as f32);
        }
        [before, output]
    }

    /// Of the input, the weights, and the biases; the last are added in another order one by one.
    fn gradients(&self, before: &Buffer, at_once: bool) -> [Buffer; 5] {
        let (cpu, n) = (&self.cpu, self.size.inputs * self.size.outputs);
        let lengths = [self.x.len(), n, n, self.size.outputs, self.size.inputs];
        let mut gradients = lengths.map(|len| cpu.zeros(len));
        let [dx, w0, w1, b0, b1] = &mut gradients;
        let [d_wide, d_narrow] =
            [AffineGradient { weight: w0, bias: b0 }, AffineGradient { weight: w1, bias: b1 }];
        let [wide, narrow] = self.weights.each_ref();
        let (x, d_output) = (&self.x, &self.d_output);
        if at_once {
            let gradients = [d_wide, d_narrow];
            let layers =
                FeedForwardBackward { x: x.into(), before, d_output, weights: [wide, narrow], gradients };
            cpu.feed_forward_backward_add(self.size, Activation::Gelu, layers, dx);
        } else {
            let n = self.size.rows * self.size.outputs;
            let [mut activated, mut d_before] = [(); 2].map(|()| cpu.scratch(n));
            cpu.activate(Activation::Gelu, before, &mut activated);
            let layer = LinearBackward { weight: narrow, d_output, gradient: d_narrow };
            cpu.linears_backward(self.back(), (&activated).into(), [layer], false, &mut d_before);
            cpu.activate_backward(Activation::Gelu, before, &mut d_before);
            let layer = LinearBackward { weight: wide, d_output: &d_before, gradient: d_wide };
            cpu.linears_backward(self.size, x.into(), [layer], true, dx);
        }
        gradients
    }
}

/// Keeps what feed-forward layers of an input and a first layer give, for the comparison of devices.
pub(crate) fn run<O: Ops>(
    ops: &O,
    size: LinearSize,
    [x, weight, bias]: [&O::Buffer; 3],
    draw: &mut impl FnMut(usize) -> O::Buffer,
    keep: &mut impl FnMut(&str, &O::Buffer),
) {
    let LinearSize { rows, inputs, outputs, .. } = size;
    let (narrow, narrow_bias, d_output) = (draw(inputs * outputs), draw(inputs), draw(rows * inputs));
    for activation in [Activation::Identity, Activation::Relu, Activation::Gelu, Activation::GeluTanh] {
        let layers = [Affine { weight, bias }, Affine { weight: &narrow, bias: &narrow_bias }];
        let (mut before, mut output) = (ops.scratch(rows * outputs), ops.scratch(rows * inputs));
        ops.feed_forward(size, x, layers, activation, Some(&mut before), &mut output);
        keep(&format!("feed-forward before {activation:?}"), &before);
        keep(&format!("feed-forward {activation:?}"), &output);
        ops.feed_forward(size, x, layers, activation, None, &mut output);
        keep(&format!("feed-forward alone {activation:?}"), &output);
        // Of inputs that do not carry a product's rounding.
        let (before, mut dx) = (draw(rows * outputs), draw(rows * inputs));
        let mut gradients = [draw(inputs * outputs), draw(outputs), draw(inputs * outputs), draw(inputs)];
        let [d_wide, d_wide_bias, d_narrow, d_narrow_bias] = &mut gradients;
        let backward = FeedForwardBackward {
            x: x.into(),
            before: &before,
            d_output: &d_output,
            weights: [weight, &narrow],
            gradients: [
                AffineGradient { weight: d_wide, bias: d_wide_bias },
                AffineGradient { weight: d_narrow, bias: d_narrow_bias },
            ],
        };
        ops.feed_forward_backward_add(size, activation, backward, &mut dx);
        // A layer's weight and bias together: the sums of a few columns alone may all but cancel.
        for (layer, gradient) in gradients.chunks_exact(2).enumerate() {
            let both = gradient.iter().flat_map(|gradient| ops.download(gradient)).collect::<Vec<f32>>();
            keep(&format!("feed-forward backward {layer} {activation:?}"), &ops.upload(&both));
        }
        keep(&format!("feed-forward backward of the input {activation:?}"), &dx);
    }
}

fn bits(values: &Buffer) -> Vec<u32> {
    values.iter().map(|x| x.to_bits()).collect()
}

/// Odd sizes, several tiles either way, more rows than a weight's gradient takes at once, too few rows for blocks of them and
/// just enough, no inputs, no columns between the layers.
const SIZES: [[usize; 3]; 7] =
    [[101, 39, 77], [1, 16, 450], [2149, 20, 70], [191, 26, 401], [192, 26, 401], [192, 0, 3], [192, 3, 0]];

#[test]
fn one_operator_gives_the_bytes_of_its_layers() {
    for level in Level::available() {
        for precision in [Precision::F32, Precision::Bf16, Precision::Int8] {
            for [rows, inputs, outputs] in SIZES {
                let size = LinearSize { rows, inputs, outputs, precision };
                let (case, name) = (Case::new(level, 2, size), format!("{level} {precision} {rows}"));
                let [before, output] = case.forward();
                let [before_alone, output_alone] = case.forward_one_by_one();
                if precision == Precision::F32 {
                    assert_eq!(bits(&before), bits(&before_alone), "{name}");
                }
                assert_eq!(bits(&output), bits(&output_alone), "{name}");
                if precision == Precision::Int8 {
                    continue;
                }
                let [found, expected] = [case.gradients(&before, true), case.gradients(&before_alone, false)];
                for (found, expected) in found.iter().zip(&expected).take(3) {
                    assert_eq!(bits(found), bits(expected), "{name}");
                }
                for (found, expected) in found.iter().zip(&expected).skip(3) {
                    for (found, expected) in found.iter().zip(&**expected) {
                        let largest = (rows as f32).sqrt() * 10.0;
                        assert!((found - expected).abs() < 1e-5 * largest, "{name}: {found}, {expected}");
                    }
                }
            }
        }
    }
}

#[test]
fn bytes_depend_neither_on_threads_nor_on_what_was_laid_out() {
    for level in Level::available() {
        for precision in [Precision::F32, Precision::Bf16, Precision::Int8] {
            let size = LinearSize { rows: 301, inputs: 40, outputs: 130, precision };
            let goes_back = precision != Precision::Int8;
            let passes = if goes_back { Passes::ForwardAndBackward } else { Passes::Forward };
            let run = |threads, is_prepared| {
                let mut case = Case::new(level, threads, size);
                if is_prepared {
                    let [wide, narrow] = &mut case.weights;
                    case.cpu.prepare_weight([130, 40], precision, passes, wide);
                    case.cpu.prepare_weight([40, 130], precision, passes, narrow);
                }
                let [before, output] = case.forward();
                if !goes_back {
                    return vec![bits(&output)];
                }
                let gradients = case.gradients(&before, true);
                gradients.iter().chain([&before, &output]).map(bits).collect::<Vec<_>>()
            };
            let expected = run(1, false);
            for (threads, is_prepared) in [(3, false), (1, true), (2, true)] {
                assert!(run(threads, is_prepared) == expected, "{level} {precision}, {threads} threads");
            }
        }
    }
}

#[test]
fn what_is_not_finite_stays_in_its_row() {
    for level in Level::available() {
        for precision in [Precision::F32, Precision::Bf16, Precision::Int8] {
            let size = LinearSize { rows: 200, inputs: 9, outputs: 20, precision };
            let mut case = Case::new(level, 2, size);
            case.x[100 * 9 + 4] = f32::NAN;
            let [_, output] = case.forward();
            for (row, output) in output.chunks_exact(9).enumerate() {
                assert_eq!(
                    output.iter().all(|x| x.is_finite()),
                    row != 100,
                    "{level} {precision}, row {row}"
                );
            }
        }
    }
}
