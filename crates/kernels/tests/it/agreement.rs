//! Every operator of [`Cpu`] at every level against the reference in f64, and its bytes on 1, 2 and 3 threads.

use proptest::prelude::*;
use sbmoe_kernels::{
    Activation, AdamwStep, Affine, AffineGradient, AttentionInputs, Cpu, Dropout, EmbeddingGradient,
    EmbeddingTables, Key, Level, LinearBackward, LinearSize, NormOutput, Ops, Pooling, Precision, Reference,
};

use crate::draws::Draws;
use crate::objectives;

/// One batch and the sizes of what works on it.
#[derive(Debug, Clone)]
struct Case {
    seed: u64,
    lengths: Vec<usize>,
    heads: usize,
    width: usize,
    outputs: usize,
    rate: f64,
}

/// Named results.
pub(crate) type Results = Vec<(String, Vec<f32>)>;

/// Runs every operator on inputs that depend on the case alone.
fn run<O: Ops>(ops: &O, case: &Case) -> Results {
    let mut results = Results::new();
    encoder(ops, case, &mut results);
    block(ops, case, &mut results);
    training(ops, case, &mut results);
    let hidden = case.heads * case.width;
    objectives::run(ops, case.seed + 3, case.lengths.len(), hidden, &mut results);
    results
}

fn encoder<O: Ops>(ops: &O, case: &Case, results: &mut Results) {
    let mut draws = Draws::new(case.seed);
    let Case { heads, outputs, .. } = *case;
    let vocabulary = 11;
    let hidden = case.heads * case.width;
    let tokens = draws.tokens(&case.lengths, vocabulary);
    let (rows, n) = (tokens.n_tokens(), tokens.n_tokens() * hidden);
    let dropout = Dropout::new(case.rate, Key::new(case.seed));
    let mut draw = |n: usize| ops.upload(&draws.normal(n));
    let mut keep = |name: &str, buffer: &O::Buffer| results.push((name.to_owned(), ops.download(buffer)));

    // Embedding.
    let (word, position, token_type) =
        (draw(vocabulary * hidden), draw(tokens.longest() * hidden), draw(2 * hidden));
    let (gamma, beta) = (draw(hidden), draw(hidden));
    let norm = Affine { weight: &gamma, bias: &beta };
    let (mut sum, mut statistics, mut output) = (ops.scratch(n), ops.scratch(rows * 2), ops.scratch(n));
    let tables = EmbeddingTables { word: &word, position: &position, token_type: &token_type, norm };
    let out = NormOutput { sum: &mut sum, statistics: &mut statistics, output: &mut output };
    ops.embed(tables, &tokens, hidden, 1e-12, dropout, out);
    keep("embed sum", &sum);
    keep("embed statistics", &statistics);
    keep("embed output", &output);
    let d_output = draw(n);
    let mut gradients = [vocabulary, tokens.longest(), 2, 1, 1].map(|rows| draw(rows * hidden));
    let [d_word, d_position, d_type, d_gamma, d_beta] = &mut gradients;
    let gradient = EmbeddingGradient {
        word: d_word,
        position: d_position,
        token_type: d_type,
        norm: AffineGradient { weight: d_gamma, bias: d_beta },
    };
    ops.embed_backward(norm, &tokens, hidden, dropout, &sum, &statistics, &d_output, gradient);
    for (name, gradient) in ["word", "position", "type", "gamma", "beta"].iter().zip(&gradients) {
        keep(&format!("embed d_{name}"), gradient);
    }

    // Linear.
    let size = LinearSize { rows, inputs: hidden, outputs, precision: Precision::F32 };
    let (x, weight, bias) = (draw(n), draw(outputs * hidden), draw(outputs));
    let layer = Affine { weight: &weight, bias: &bias };
    for activation in [Activation::Identity, Activation::Relu, Activation::Gelu, Activation::GeluTanh] {
        let (mut before, mut output) = (ops.scratch(rows * outputs), ops.scratch(rows * outputs));
        ops.linear(size, &x, layer, activation, Some(&mut before), &mut output);
        keep(&format!("linear before {activation:?}"), &before);
        keep(&format!("linear {activation:?}"), &output);
        ops.linear(size, &x, layer, activation, None, &mut output);
        keep(&format!("linear alone {activation:?}"), &output);
        // Elementwise: on inputs that do not carry a product's rounding.
        let before = draw(rows * outputs);
        ops.activate(activation, &before, &mut output);
        keep(&format!("activate {activation:?}"), &output);
        ops.activate_backward(activation, &before, &mut output);
        keep(&format!("activate backward {activation:?}"), &output);
    }
    let d_output = draw(rows * outputs);
    let (mut d_weight, mut d_bias, mut dx) = (draw(outputs * hidden), draw(outputs), ops.scratch(n));
    ops.linear_backward_parameters(
        size,
        &x,
        &d_output,
        AffineGradient { weight: &mut d_weight, bias: &mut d_bias },
    );
    keep("linear d_weight", &d_weight);
    keep("linear d_bias", &d_bias);
    ops.linear_backward_parameters_set(
        size,
        &x,
        &d_output,
        AffineGradient { weight: &mut d_weight, bias: &mut d_bias },
    );
    keep("linear d_weight alone", &d_weight);
    keep("linear d_bias alone", &d_bias);
    ops.linear_backward_input(size, &weight, &d_output, &mut dx);
    keep("linear dx", &dx);
    ops.linear_backward_input_add(size, &weight, &d_output, &mut dx);
    keep("linear dx added", &dx);
    let gradient = AffineGradient { weight: &mut d_weight, bias: &mut d_bias };
    let layer = LinearBackward { weight: &weight, d_output: &d_output, gradient };
    ops.linears_backward(size, (&x).into(), [layer], false, &mut dx);
    for (number, gradient) in [&dx, &d_weight, &d_bias].into_iter().enumerate() {
        keep(&format!("linear backward {number}"), gradient);
    }
    let (other_weight, other_d_output) = (draw(outputs * hidden), draw(rows * outputs));
    let (mut other_d_weight, mut other_d_bias) = (draw(outputs * hidden), draw(outputs));
    let gradient = AffineGradient { weight: &mut d_weight, bias: &mut d_bias };
    let one = LinearBackward { weight: &weight, d_output: &d_output, gradient };
    let gradient = AffineGradient { weight: &mut other_d_weight, bias: &mut other_d_bias };
    let other = LinearBackward { weight: &other_weight, d_output: &other_d_output, gradient };
    ops.linears_backward(size, (&x).into(), [one, other], true, &mut dx);
    let gradients = [&dx, &d_weight, &d_bias, &other_d_weight, &other_d_bias];
    for (number, gradient) in gradients.into_iter().enumerate() {
        keep(&format!("linears backward {number}"), gradient);
    }
    crate::feed_forward::run(ops, size, [&x, &weight, &bias], &mut draw, &mut keep);

    // Attention.
    let (query, key, value, d_output) = (draw(n), draw(n), draw(n), draw(n));
    let inputs = AttentionInputs {
        query: &query,
        key: &key,
        value: &value,
        tokens: &tokens,
        heads,
        hidden,
        dropout,
        precision: Precision::F32,
    };
    let (mut output, mut log_sums) = (ops.scratch(n), ops.scratch(heads * rows));
    ops.attention(inputs, &mut output, &mut log_sums);
    keep("attention", &output);
    keep("attention log sums", &log_sums);
    let mut d_inputs = [ops.scratch(n), ops.scratch(n), ops.scratch(n)];
    ops.attention_backward(inputs, &output, &log_sums, &d_output, d_inputs.each_mut());
    if case.lengths.iter().all(|length| *length == 1) {
        // Those of query and key are differences of two sums that are equal but for the order of their terms, and are
        // measured by the largest of all three.
        let together = d_inputs.each_ref().map(|d_input| ops.download(d_input)).concat();
        keep("attention d_inputs", &ops.upload(&together));
    } else {
        for (name, d_input) in ["query", "key", "value"].iter().zip(&d_inputs) {
            keep(&format!("attention d_{name}"), d_input);
        }
    }

    // Residual and norm.
    let (mut sum, residual, mut output) = (draw(n), draw(n), ops.scratch(n));
    let out = NormOutput { sum: &mut sum, statistics: &mut statistics, output: &mut output };
    ops.residual_norm(&residual, norm, &tokens, hidden, 1e-12, dropout, out);
    keep("residual sum", &sum);
    keep("residual statistics", &statistics);
    keep("residual output", &output);
    let mut again = ops.scratch(n);
    ops.norm_output(norm, hidden, &sum, &statistics, &mut again);
    assert_eq!(ops.download(&again), ops.download(&output), "a norm's output is the same once more");
    let layer = draw(n);
    let (mut in_place, mut sum_alone) = (ops.scratch(n), ops.scratch(n));
    ops.copy(&layer, &mut in_place);
    ops.copy(&layer, &mut sum_alone);
    let out = NormOutput { sum: &mut sum_alone, statistics: &mut ops.scratch(2 * rows), output: &mut again };
    ops.residual_norm(&residual, norm, &tokens, hidden, 1e-12, Dropout::NONE, out);
    ops.residual_norm_in_place(&residual, norm, hidden, 1e-12, &mut in_place);
    assert_eq!(ops.download(&in_place), ops.download(&again), "a norm is the same in place");
    let (mut d_layer, mut d_residual) = (ops.scratch(n), ops.scratch(n));
    let (mut d_gamma, mut d_beta) = (draw(hidden), draw(hidden));
    let gradient = AffineGradient { weight: &mut d_gamma, bias: &mut d_beta };
    ops.residual_norm_backward(
        norm,
        &tokens,
        hidden,
        dropout,
        &sum,
        &statistics,
        &d_output,
        &mut d_layer,
        &mut d_residual,
        gradient,
    );
    keep("residual d_layer", &d_layer);
    keep("residual d_residual", &d_residual);
    keep("residual d_gamma", &d_gamma);
    keep("residual d_beta", &d_beta);

    // Pooling.
    let (mut pooled, mut dx) = (ops.scratch(tokens.n_texts() * hidden), ops.scratch(n));
    let d_pooled = draw(tokens.n_texts() * hidden);
    for pooling in [Pooling::Mean, Pooling::Cls, Pooling::Max] {
        ops.pool(pooling, &tokens, hidden, &x, &mut pooled);
        keep(&format!("pool {pooling}"), &pooled);
        ops.pool_backward(pooling, &tokens, hidden, &x, &d_pooled, &mut dx);
        keep(&format!("pool backward {pooling}"), &dx);
    }
}

fn block<O: Ops>(ops: &O, case: &Case, results: &mut Results) {
    let mut draws = Draws::new(case.seed + 1);
    let (columns, rows, n_parts) = (case.heads * case.width, case.lengths.iter().sum::<usize>(), 3);
    let choice = draws.integers(rows, n_parts);
    let picked = draws.integers(rows / 2, rows);
    let mut draw = |n: usize| ops.upload(&draws.normal(n));
    let mut keep = |name: &str, buffer: &O::Buffer| results.push((name.to_owned(), ops.download(buffer)));

    let (logits, d_small, epsilon) = (draw(rows * n_parts), draw(rows * n_parts), draw(rows * n_parts));
    let (mut weights, mut small) = (ops.scratch(rows * n_parts), ops.scratch(rows * n_parts));
    ops.softmax(n_parts, &logits, &mut weights);
    keep("softmax", &weights);
    ops.softmax_backward(n_parts, &weights, &d_small, &mut small);
    keep("softmax backward", &small);
    ops.add_gate_noise(&epsilon, &logits, &mut small);
    keep("gate noise", &small);
    ops.add_gate_noise_backward(&epsilon, &logits, &d_small, &mut small);
    keep("gate noise backward", &small);
    let best: Vec<f32> = ops.arg_max(n_parts, &logits).iter().map(|&column| column as f32).collect();
    keep("arg max", &ops.upload(&best));
    let mut taken = ops.scratch(rows);
    ops.take_columns(n_parts, &choice, &logits, &mut taken);
    keep("take columns", &taken);
    ops.take_columns_backward(n_parts, &choice, &taken, &mut small);
    keep("take columns backward", &small);

    let n = rows * columns;
    let parts = [draw(n), draw(n), draw(n)];
    let d_out = draw(n);
    let (mut out, mut norms, mut dx) = (ops.scratch(n), ops.scratch(rows), ops.scratch(n));
    ops.mix(columns, &weights, &parts, &mut out);
    keep("mix", &out);
    ops.mix_backward_weights(columns, &parts, &d_out, &mut small);
    keep("mix backward weights", &small);
    ops.mix_backward_part(columns, &weights, 1, n_parts, &d_out, &mut dx);
    keep("mix backward part", &dx);
    // The first epsilon is below every norm, the second above some.
    for epsilon in [1e-6, (columns as f64).sqrt()] {
        ops.normalize(columns, epsilon, &parts[0], &mut out, &mut norms);
        keep("normalize", &out);
        keep("normalize norms", &norms);
        ops.normalize_backward(columns, epsilon, &out, &norms, &d_out, &mut dx);
        keep("normalize backward", &dx);
    }
    ops.copy(&out, &mut dx);
    keep("copy", &dx);
    ops.add(&d_out, &mut out);
    ops.scale(&mut out, -0.3);
    keep("add and scale", &out);
    keep("sum of squares", &ops.upload(&[ops.sum_of_squares(&out) as f32]));
    let mut gathered = ops.scratch(picked.len() * columns);
    ops.gather_rows(columns, &picked, &out, &mut gathered);
    keep("gather", &gathered);
    ops.scatter_add_rows(columns, &picked, &gathered, &mut out);
    keep("scatter", &out);
}

fn training<O: Ops>(ops: &O, case: &Case, results: &mut Results) {
    let mut draws = Draws::new(case.seed + 2);
    let mut draw = |n: usize| ops.upload(&draws.normal(n));
    let mut keep = |name: &str, buffer: &O::Buffer| results.push((name.to_owned(), ops.download(buffer)));
    let hidden = case.heads * case.width;
    let n = hidden * 91 + 5;
    let (gradient, mut parameter) = (draw(n), draw(n));
    let (mut m, mut v) = (ops.zeros(n), ops.zeros(n));
    for step in 1..=3 {
        let step = AdamwStep {
            learning_rate: 1e-2,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.01,
            step,
            gradient_scale: 0.7,
        };
        ops.adamw(step, &gradient, [&mut m, &mut v], &mut parameter);
    }
    keep("adamw parameter", &parameter);
    keep("adamw m", &m);
    keep("adamw v", &v);
}

/// Each value within 1e-5 of the largest expected one; 1e-6 is what zeros may be rounded to.
fn assert_close(level: Level, found: &Results, expected: &Results) {
    assert_eq!(found.len(), expected.len());
    for ((name, found), (_, expected)) in found.iter().zip(expected) {
        assert_eq!(found.len(), expected.len(), "{name}");
        let largest = expected.iter().fold(0.0_f32, |a, b| a.max(b.abs()));
        for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
            let error = (found - expected).abs();
            assert!(
                error <= 1e-5 * largest + 1e-6,
                "{name} at {level}, element {i}: {found}, expected {expected}"
            );
        }
    }
}

fn assert_same_bytes(threads: usize, level: Level, found: &Results, expected: &Results) {
    for ((name, found), (_, expected)) in found.iter().zip(expected) {
        let differs = found.iter().zip(expected).position(|(a, b)| a.to_bits() != b.to_bits());
        assert_eq!(differs, None, "{name} at {level} on {threads} threads");
    }
}

/// The contract of an implementation: right, and the same on any number of threads.
fn check(case: &Case) {
    let expected = run(&Reference::<f64>::new(), case);
    for level in Level::available() {
        let cpu = Cpu::with_level(1, level);
        let found = run(&cpu, case);
        assert_close(level, &found, &expected);
        // Recycled memory holds old numbers; no result may depend on them.
        assert_same_bytes(1, level, &run(&cpu, case), &found);
        for threads in [2, 3] {
            assert_same_bytes(threads, level, &run(&Cpu::with_level(threads, level), case), &found);
        }
    }
}

#[test]
fn heads_of_26_as_in_tiny_bert() {
    check(&Case { seed: 1, lengths: vec![33, 1, 64, 7], heads: 12, width: 26, outputs: 120, rate: 0.1 });
}

#[test]
fn heads_of_26_with_a_text_longer_than_a_block() {
    check(&Case { seed: 5, lengths: vec![5, 300], heads: 3, width: 26, outputs: 72, rate: 0.1 });
}

#[test]
fn heads_of_32_with_a_text_longer_than_a_block() {
    check(&Case { seed: 2, lengths: vec![300, 5], heads: 4, width: 32, outputs: 96, rate: 0.1 });
}

#[test]
fn heads_of_64_without_dropout() {
    check(&Case { seed: 3, lengths: vec![17, 48, 100], heads: 2, width: 64, outputs: 513, rate: 0.0 });
}

#[test]
fn a_batch_large_enough_for_every_operator_to_use_all_threads() {
    check(&Case { seed: 4, lengths: vec![40; 12], heads: 6, width: 32, outputs: 192, rate: 0.1 });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sizes(
        seed in 0..u64::MAX / 2,
        lengths in prop::collection::vec(1..40_usize, 1..6),
        heads in 1..5_usize,
        width in prop::sample::select(vec![5_usize, 16, 26, 32]),
        outputs in 1..70_usize,
        rate in prop::sample::select(vec![0.0, 0.1, 0.5]),
    ) {
        check(&Case { seed, lengths, heads, width, outputs, rate });
    }
}
