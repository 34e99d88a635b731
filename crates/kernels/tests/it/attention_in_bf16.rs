//! Attention whose products are in bf16 stays near the one in f64, forward and backward, at every level.

use sbmoe_kernels::{AttentionInputs, Cpu, Dropout, Key, Level, Ops, Precision, Reference, Tokens};

use crate::draws::Draws;

/// Lengths around the sixteen words of a register, one longer than a block of queries, and a head of TinyBERT's width.
const LENGTHS: [usize; 8] = [1, 16, 31, 32, 33, 63, 130, 300];
const HEADS: usize = 3;
const WIDTH: usize = 26;

/// The output, and the gradients of query, key and value.
fn results<O: Ops>(ops: &O, precision: Precision, dropout: Dropout) -> [Vec<f32>; 4] {
    let texts: Vec<Vec<u32>> = LENGTHS.iter().map(|&length| vec![0; length]).collect();
    let (tokens, hidden, mut draws) = (Tokens::new(&texts, 0), HEADS * WIDTH, Draws::new(5));
    let n = tokens.n_tokens() * hidden;
    let [query, key, value, d_output] = [(); 4].map(|()| ops.upload(&draws.normal(n)));
    let inputs = AttentionInputs {
        query: &query,
        key: &key,
        value: &value,
        tokens: &tokens,
        heads: HEADS,
        hidden,
        dropout,
        precision,
    };
    let (mut output, mut log_sums) = (ops.scratch(n), ops.scratch(HEADS * tokens.n_tokens()));
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
        let in_precision = |precision| results(&Cpu::with_level(2, level), precision, Dropout::NONE);
        let expected =
            if matches!(level, Level::Avx512Bf16 | Level::Amx) { Precision::Bf16 } else { Precision::F32 };
        assert!(in_precision(Precision::Int8) == in_precision(expected), "{level}");
    }
}
