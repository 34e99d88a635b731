//! Attention whose products are in bf16 stays near the one in f64, forward and backward, at every level.

use sbmoe_kernels::{
    Affine, AttentionInputs, Cpu, Dropout, Key, Level, LevelKind, LinearSize, Ops, Precision, Reference,
    Tokens,
};

use crate::draws::Draws;

/// Lengths around the sixteen words of a register, one longer than a block of queries, and a head of TinyBERT's width.
const LENGTHS: [usize; 8] = [1, 16, 31, 32, 33, 63, 130, 300];
const HEADS: usize = 3;
const WIDTH: usize = 26;

/// As many heads, and two widths that end inside a pair of numbers: in the second, a row does not.
const ODD: [[usize; 2]; 2] = [[3, 33], [4, 7]];

/// Numbers as [`Ops::project`] keeps them.
fn kept<O: Ops>(ops: &O, size: LinearSize, values: &[f32]) -> [O::Buffer; 3] {
    let hidden = size.inputs;
    let identity = |i: usize| if i / hidden == i % hidden { 1.0 } else { 0.0 };
    let weight = ops.upload(&(0..hidden * hidden).map(identity).collect::<Vec<_>>());
    let (bias, x) = (ops.zeros(hidden), ops.upload(values));
    let mut outputs = [(); 3].map(|()| ops.scratch(ops.kept_len(size)));
    ops.project(size, &x, [Affine { weight: &weight, bias: &bias }; 3], outputs.each_mut());
    outputs
}

/// The output, and the gradients of query, key and value.
fn results<O: Ops>(ops: &O, precision: Precision, dropout: Dropout) -> [Vec<f32>; 4] {
    results_of(ops, [precision; 2], [HEADS, WIDTH], dropout)
}

/// The same of some heads, from what is kept in one precision and attention in another.
fn results_of<O: Ops>(
    ops: &O,
    [of_kept, precision]: [Precision; 2],
    [heads, width]: [usize; 2],
    dropout: Dropout,
) -> [Vec<f32>; 4] {
    let texts: Vec<Vec<u32>> = LENGTHS.iter().map(|&length| vec![0; length]).collect();
    let (tokens, hidden, mut draws) = (Tokens::new(&texts, 0), heads * width, Draws::new(5));
    let n = tokens.n_tokens() * hidden;
    let size = LinearSize { rows: tokens.n_tokens(), inputs: hidden, outputs: hidden, precision: of_kept };
    let [[query, ..], [key, ..], [value, ..]] = [(); 3].map(|()| kept(ops, size, &draws.normal(n)));
    let d_output = ops.upload(&draws.normal(n));
    let inputs = AttentionInputs {
        query: &query,
        key: &key,
        value: &value,
        tokens: &tokens,
        heads,
        hidden,
        dropout,
        precision,
    };
    let (mut output, mut log_sums) = (ops.scratch(n), ops.scratch(heads * tokens.n_tokens()));
    ops.attention(inputs, &mut output, &mut log_sums);
    let mut gradients = [(); 3].map(|()| ops.scratch(n));
    ops.attention_backward(inputs, &output, &log_sums, &d_output, gradients.each_mut());
    let [d_query, d_key, d_value] = &gradients;
    [&output, d_query, d_key, d_value].map(|buffer| ops.download(buffer))
}

/// ‖found − expected‖ / ‖expected‖.
fn distance(found: &[f32], expected: &[f32]) -> f64 {
    let error = |(a, b): (&f32, &f32)| (f64::from(*a) - f64::from(*b)).powi(2);
    let size: f64 = expected.iter().map(|x| f64::from(*x).powi(2)).sum();
    (found.iter().zip(expected).map(error).sum::<f64>() / size).sqrt()
}

#[test]
fn it_is_near_the_one_in_f64_and_has_the_same_bytes_on_any_number_of_threads() {
    for dropout in [Dropout::NONE, Dropout::new(0.1, Key::new(3))] {
        let expected = results(&Reference::<f64>::new(), Precision::F32, dropout);
        for level in Level::available() {
            let found = results(&Cpu::with_level(1, level), Precision::Bf16, dropout);
            for (name, (found, expected)) in
                ["output", "d_query", "d_key", "d_value"].iter().zip(found.iter().zip(&expected))
            {
                let far = distance(found, expected);
                // Every operand is within 1/512 of itself; scores, and what follows from them, feel two of them twice.
                assert!((5e-4..1e-2).contains(&far), "{level}, {name}: {far:e}");
            }
            let on_three = results(&Cpu::with_level(3, level), Precision::Bf16, dropout);
            assert!(found == on_three, "{level}: three threads give other bytes");
        }
    }
}

#[test]
fn heads_may_end_inside_a_pair_of_numbers() {
    for shape in ODD {
        let dropout = Dropout::new(0.1, Key::new(3));
        let expected = results_of(&Reference::<f64>::new(), [Precision::F32; 2], shape, dropout);
        for level in Level::available() {
            let found = results_of(&Cpu::with_level(2, level), [Precision::Bf16; 2], shape, dropout);
            for (found, expected) in found.iter().zip(&expected) {
                let far = distance(found, expected);
                assert!((5e-4..1e-2).contains(&far), "{level}, {shape:?}: {far:e}");
            }
        }
    }
}

#[test]
fn levels_differ_by_less_than_the_rounding() {
    let [least, .., most] = &Level::available()[..] else { return };
    let [first, second] =
        [least, most].map(|level| results(&Cpu::with_level(2, *level), Precision::Bf16, Dropout::NONE));
    for (a, b) in first.iter().zip(&second) {
        assert!(distance(a, b) < 5e-4, "{least} and {most} are {:e} apart", distance(a, b));
    }
}

#[test]
fn beside_integers_it_is_in_bf16_where_that_is_an_instruction() {
    for level in Level::available() {
        let expected = if matches!(level.kind(), LevelKind::Avx512Bf16 | LevelKind::Amx) {
            Precision::Bf16
        } else {
            Precision::F32
        };
        // What integers give would differ by more than the forms of what is kept.
        let [found, expected] = [Precision::Int8, expected].map(|precision| {
            results_of(&Cpu::with_level(2, level), [expected, precision], [HEADS, WIDTH], Dropout::NONE)
        });
        assert!(found == expected, "{level}");
    }
}
