//! The products and the attention of TinyBERT at their full size (hidden 312, 12 heads of 26, 1 200 inside): [`Cpu`] in
//! f32 against the reference in f64.
//!
//! Neither 26, 78 nor 156 is a multiple of a vector register's lanes, so every loop has a rest. Left out: the other
//! operators, and the bytes on several threads, which hold at any size.

use sbmoe_kernels::{
    Activation, Affine, AffineGradient, AttentionInputs, Cpu, Dropout, Key, Level, LinearSize, Ops,
    Precision, Reference,
};

use crate::draws::Draws;

const HIDDEN: usize = 312;
const HEADS: usize = 12;
const INNER: usize = 1200;

/// Tokens of each text: one alone, lengths around a register's and a tile's size, the longest as in training.
const LENGTHS: [usize; 6] = [1, 15, 16, 33, 7, 128];

/// The rounding of f32 is 6e-8; a sum of 1 200 products in several lanes stays well below this.
const TOLERANCE: f64 = 2e-6;

/// Named results.
type Results = Vec<(String, Vec<f32>)>;

fn attention<O: Ops>(ops: &O) -> Results {
    let mut draws = Draws::new(26);
    let tokens = draws.tokens(&LENGTHS, 100);
    let n = tokens.n_tokens() * HIDDEN;
    let mut draw = || ops.upload(&draws.normal(n));
    let (query, key, value, d_output) = (draw(), draw(), draw(), draw());
    let mut results = Results::new();
    for rate in [0.0, 0.1] {
        let inputs = AttentionInputs {
            query: &query,
            key: &key,
            value: &value,
            tokens: &tokens,
            heads: HEADS,
            hidden: HIDDEN,
            dropout: Dropout::new(rate, Key::new(4)),
            precision: Precision::F32,
        };
        let (mut output, mut log_sums) = (ops.scratch(n), ops.scratch(HEADS * tokens.n_tokens()));
        ops.attention(inputs, &mut output, &mut log_sums);
        let mut d_inputs = [ops.scratch(n), ops.scratch(n), ops.scratch(n)];
        ops.attention_backward(inputs, &output, &log_sums, &d_output, d_inputs.each_mut());
        let [d_query, d_key, d_value] = &d_inputs;
        let named = [
            ("output", &output),
            ("log sums", &log_sums),
            ("query's gradient", d_query),
            ("key's gradient", d_key),
            ("value's gradient", d_value),
        ];
        results.extend(
            named.map(|(name, buffer)| (format!("{name} with dropout {rate}"), ops.download(buffer))),
        );
    }
    results
}

fn linear<O: Ops>(ops: &O, inputs: usize, outputs: usize, activation: Activation) -> Results {
    let mut draws = Draws::new(312);
    let rows = LENGTHS.iter().sum();
    let size = LinearSize { rows, inputs, outputs, precision: Precision::F32 };
    let mut draw = |n: usize, scale: f32| {
        ops.upload(&draws.normal(n).iter().map(|value| scale * value).collect::<Vec<_>>())
    };
    // Weights as wide as a trained layer's, so that the activation is met where it bends.
    let (x, weight, bias) =
        (draw(rows * inputs, 1.0), draw(outputs * inputs, (inputs as f32).powf(-0.5)), draw(outputs, 1.0));
    let d_output = draw(rows * outputs, 1.0);
    let layer = Affine { weight: &weight, bias: &bias };
    let (mut before, mut output) = (ops.scratch(rows * outputs), ops.scratch(rows * outputs));
    ops.linear(size, &x, layer, activation, Some(&mut before), &mut output);
    let (mut d_weight, mut d_bias) = (ops.zeros(outputs * inputs), ops.zeros(outputs));
    let gradient = AffineGradient { weight: &mut d_weight, bias: &mut d_bias };
    ops.linear_backward_parameters(size, &x, &d_output, gradient);
    let mut dx = ops.scratch(rows * inputs);
    ops.linear_backward_input(size, &weight, &d_output, &mut dx);
    [
        ("product", &before),
        ("output", &output),
        ("weight's gradient", &d_weight),
        ("bias's gradient", &d_bias),
        ("input's gradient", &dx),
    ]
    .map(|(name, buffer)| (format!("{inputs} → {outputs} {activation:?}: {name}"), ops.download(buffer)))
    .into()
}

/// Compares by the length of the difference and by its largest element, each relative to what is expected.
#[track_caller]
fn check(level: Level, found: &Results, expected: &Results) {
    assert_eq!(found.len(), expected.len());
    for ((name, found), (_, expected)) in found.iter().zip(expected) {
        assert_eq!(found.len(), expected.len(), "{name}");
        let length = |values: &[f64]| values.iter().map(|v| v * v).sum::<f64>().sqrt();
        let largest = |values: &[f64]| values.iter().fold(0.0_f64, |most, v| most.max(v.abs()));
        let expected: Vec<f64> = expected.iter().map(|&v| f64::from(v)).collect();
        let difference: Vec<f64> = found.iter().zip(&expected).map(|(f, e)| f64::from(*f) - e).collect();
        for (what, size) in [("length", &length as &dyn Fn(&[f64]) -> f64), ("largest element", &largest)] {
            let error = size(&difference) / size(&expected);
            assert!(error <= TOLERANCE, "{name} at {level}: relative error {error:e} by {what}");
        }
    }
}

#[test]
fn attention_with_twelve_heads_of_26() {
    let expected = attention(&Reference::<f64>::new());
    for level in Level::available() {
        check(level, &attention(&Cpu::with_level(2, level)), &expected);
    }
}

#[test]
fn linear_layers_of_312_and_1200() {
    let layers = [
        (HIDDEN, HIDDEN, Activation::Identity),
        (HIDDEN, INNER, Activation::Gelu),
        (INNER, HIDDEN, Activation::Identity),
    ];
    for (inputs, outputs, activation) in layers {
        let expected = linear(&Reference::<f64>::new(), inputs, outputs, activation);
        for level in Level::available() {
            check(level, &linear(&Cpu::with_level(2, level), inputs, outputs, activation), &expected);
        }
    }
}
