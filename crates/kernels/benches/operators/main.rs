//! How near each operator comes to the machine's limits at all-MiniLM-L6-v2's sizes.
//!
//! `cargo bench -p sbmoe-kernels` prints a table: time, achieved rate, and its share of a limit measured on the same
//! threads, which is a loop of multiply-adds in registers for arithmetic and a copy between arrays for memory.
//! A share of memory above 100 % means that the arrays stay in the caches.
//! `-- THREADS` chooses the threads, 0 (default) one per core; `-- NAME` only the operators whose line contains it.
//! Started without cargo's `--bench` it runs every operator once on a small batch, to show that it still works.
#![expect(clippy::print_stdout, reason = "a table on standard output is what it is for")]

mod limits;

use std::hint::black_box;

use gemm::Parallelism;
use sbmoe_kernels::{
    Activation, AdamwStep, Affine, AffineGradient, AttentionInputs, ContrastiveInputs, Cpu, Directions,
    Dropout, EmbeddingGradient, EmbeddingTables, Key, LinearSize, NormOutput, Objectives, Ops, Passes,
    Pooling, Precision, Tokens,
};

use limits::{Limits, fastest};

const HIDDEN: usize = 384;
const INNER: usize = 1536;
const HEADS: usize = 12;
const VOCABULARY: usize = 30522;

/// What an operator is limited by.
#[derive(Clone, Copy)]
enum Work {
    /// Arithmetic operations of a precision.
    Operations(Precision, usize),
    /// Elements read and written once each.
    Elements(usize),
}

struct Bench {
    cpu: Cpu,
    repetitions: usize,
    /// What a line's name contains.
    filter: String,
    limits: Limits,
}

impl Bench {
    /// Prints the fastest of several runs of `work`.
    fn line(&self, name: &str, work: Work, mut run: impl FnMut()) {
        if !name.contains(&self.filter) {
            return;
        }
        let seconds = fastest(self.repetitions, &mut run);
        let milliseconds = seconds * 1e3;
        match work {
            Work::Operations(precision, n) => {
                let (rate, limit) = (n as f64 / seconds / 1e9, self.limits.arithmetic(precision) / 1e9);
                println!(
                    "{name:38} {milliseconds:9.3} ms {rate:8.1} of {limit:6.1} GOP/s {:5.0} %",
                    100.0 * rate / limit
                );
            }
            Work::Elements(n) => {
                let (rate, limit) = (4.0 * n as f64 / seconds / 1e9, 4.0 * self.limits.memory / 1e9);
                println!(
                    "{name:38} {milliseconds:9.3} ms {rate:8.1} of {limit:6.1} GB/s  {:5.0} %",
                    100.0 * rate / limit
                );
            }
        }
    }

    fn random(&self, n: usize) -> <Cpu as Ops>::Buffer {
        let key = Key::new(n as u64);
        self.cpu.upload(&(0..n).map(|i| key.with(i as u64).uniform() as f32 - 0.5).collect::<Vec<_>>())
    }
}

fn check(name: &str, buffer: &<Cpu as Ops>::Buffer) {
    assert!(buffer.iter().all(|x| x.is_finite()), "{name} wrote a number that is not finite");
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        return;
    }
    let is_bench = arguments.iter().any(|argument| argument == "--bench");
    let threads = arguments.iter().find_map(|argument| argument.parse().ok()).unwrap_or(0);
    let repetitions = if is_bench { 15 } else { 1 };
    let cpu = Cpu::new(threads);
    let limits = Limits::new(&cpu, repetitions);
    println!("{} threads, {}", cpu.threads(), cpu.level());
    let is_filter = |argument: &&String| !argument.starts_with('-') && argument.parse::<usize>().is_err();
    let filter = arguments.iter().find(is_filter).cloned().unwrap_or_default();
    let bench = Bench { cpu, repetitions, filter, limits };
    let (n_texts, length) = if is_bench { (8, 256) } else { (2, 16) };
    let texts: Vec<Vec<u32>> = (0..n_texts)
        .map(|text| (0..length).map(|row| Key::new(text).with(row as u64).below(VOCABULARY) as u32).collect())
        .collect();
    let tokens = Tokens::new(&texts, 0);
    println!("{n_texts} texts of {length} tokens, hidden {HIDDEN}");
    linear(&bench, &tokens);
    for (name, dropout) in [("", Dropout::NONE), (", dropout", Dropout::new(0.1, Key::new(1)))] {
        attention(&bench, &tokens, name, dropout);
        norms(&bench, &tokens, name, dropout);
    }
    training(&bench, &tokens, is_bench);
}

fn linear(bench: &Bench, tokens: &Tokens) {
    let (ops, rows) = (&bench.cpu, tokens.n_tokens());
    for (inputs, outputs, activation) in [
        (HIDDEN, HIDDEN, Activation::Identity),
        (HIDDEN, INNER, Activation::Identity),
        (HIDDEN, INNER, Activation::Gelu),
        (INNER, HIDDEN, Activation::Identity),
    ] {
        let size = LinearSize { rows, inputs, outputs, precision: Precision::F32 };
        let name = |what: &str| format!("linear {inputs}→{outputs} {what}");
        let (x, d_output) = (bench.random(rows * inputs), bench.random(rows * outputs));
        let (mut weight, mut bias) = (bench.random(inputs * outputs), bench.random(outputs));
        let (mut output, mut dx) = (ops.zeros(rows * outputs), ops.zeros(rows * inputs));
        let work = |precision| Work::Operations(precision, 2 * rows * inputs * outputs);
        bench.line(&name(&format!("{activation:?}")), work(Precision::F32), || {
            ops.linear(size, &x, Affine { weight: &weight, bias: &bias }, activation, None, &mut output);
        });
        for precision in [Precision::F32, Precision::Bf16, Precision::Int8] {
            let mut prepared = ops.upload(&ops.download(&weight));
            ops.prepare_weight([outputs, inputs], precision, Passes::Forward, &mut prepared);
            bench.line(&name(&format!("{activation:?}, prepared {precision}")), work(precision), || {
                let layer = Affine { weight: &prepared, bias: &bias };
                ops.linear(LinearSize { precision, ..size }, &x, layer, activation, None, &mut output);
            });
        }
        if activation == Activation::Identity {
            let parallelism =
                if ops.threads() == 1 { Parallelism::None } else { Parallelism::Rayon(ops.threads()) };
            bench.line(&name("by gemm"), work(Precision::F32), || {
                ops.pool().install(|| gemm_product(size, &x, &weight, &mut output, parallelism));
            });
            for precision in [Precision::F32, Precision::Bf16] {
                let (size, name) =
                    (LinearSize { precision, ..size }, |what| name(&format!("{what} {precision}")));
                bench.line(&name("d_input"), work(precision), || {
                    ops.linear_backward_input(size, &weight, &d_output, &mut dx);
                });
                bench.line(&name("d_parameters"), work(precision), || {
                    let gradient = AffineGradient { weight: &mut weight, bias: &mut bias };
                    ops.linear_backward_parameters(size, &x, &d_output, gradient);
                });
            }
        }
        check("linear", &output);
        check("linear", &dx);
        check("linear", &weight);
    }
    let n = rows * INNER;
    let (before, mut output) = (bench.random(n), bench.random(n));
    for activation in [Activation::Gelu, Activation::GeluTanh, Activation::Relu] {
        let work = Work::Elements(2 * n);
        bench.line(&format!("{activation:?}"), work, || ops.activate(activation, &before, &mut output));
        let work = Work::Elements(3 * n);
        let name = format!("{activation:?} backward");
        bench.line(&name, work, || ops.activate_backward(activation, &before, &mut output));
    }
    check("activation", &output);
}

/// `output = x · weightᵀ` by the `gemm` crate, for comparison.
fn gemm_product(
    LinearSize { rows, inputs, outputs, .. }: LinearSize,
    x: &[f32],
    weight: &[f32],
    output: &mut [f32],
    parallelism: Parallelism,
) {
    assert!(
        x.len() >= rows * inputs && weight.len() >= outputs * inputs && output.len() >= rows * outputs,
        "the matrices are shorter than {rows}×{inputs}×{outputs}"
    );
    let (output_row, input_row) = (outputs as isize, inputs as isize);
    // SAFETY: the sizes and strides address elements that the assertion found inside the slices, and `output` is
    // exclusively borrowed.
    unsafe {
        gemm::gemm(
            rows,
            outputs,
            inputs,
            output.as_mut_ptr(),
            1,
            output_row,
            false,
            x.as_ptr(),
            1,
            input_row,
            weight.as_ptr(),
            input_row,
            1,
            1.0,
            1.0,
            false,
            false,
            false,
            parallelism,
        );
    }
}

fn attention(bench: &Bench, tokens: &Tokens, name: &str, dropout: Dropout) {
    let (ops, rows) = (&bench.cpu, tokens.n_tokens());
    let n = rows * HIDDEN;
    let (x, d_output) = (bench.random(n), bench.random(n));
    let (weight, bias) = (bench.random(HIDDEN * HIDDEN), bench.random(HIDDEN));
    let layers = [Affine { weight: &weight, bias: &bias }; 3];
    let (mut output, mut log_sums) = (ops.zeros(n), ops.zeros(HEADS * rows));
    let mut gradients = [ops.zeros(n), ops.zeros(n), ops.zeros(n)];
    let product = 2 * rows * tokens.longest() * HIDDEN;
    for precision in [Precision::F32, Precision::Bf16] {
        let size = LinearSize { rows, inputs: HIDDEN, outputs: HIDDEN, precision };
        let [mut query, mut key, mut value] = std::array::from_fn(|_| ops.zeros(ops.kept_len(size)));
        ops.project(size, &x, layers, [&mut query, &mut key, &mut value]);
        let inputs = AttentionInputs {
            query: &query,
            key: &key,
            value: &value,
            tokens,
            heads: HEADS,
            hidden: HIDDEN,
            dropout,
            precision,
        };
        bench.line(&format!("attention {precision}{name}"), Work::Operations(precision, 2 * product), || {
            ops.attention(inputs, &mut output, &mut log_sums);
        });
        let work = Work::Operations(precision, 5 * product);
        bench.line(&format!("attention backward {precision}{name}"), work, || {
            ops.attention_backward(inputs, &output, &log_sums, &d_output, gradients.each_mut());
        });
        check("attention", &output);
        for gradient in &gradients {
            check("attention backward", gradient);
        }
    }
}

fn norms(bench: &Bench, tokens: &Tokens, name: &str, dropout: Dropout) {
    let (ops, rows) = (&bench.cpu, tokens.n_tokens());
    let n = rows * HIDDEN;
    let [residual, d_output, mut sum] = std::array::from_fn(|_| bench.random(n));
    let (gamma, beta) = (bench.random(HIDDEN), bench.random(HIDDEN));
    let norm = Affine { weight: &gamma, bias: &beta };
    let [mut output, mut d_layer, mut d_residual] = std::array::from_fn(|_| ops.zeros(n));
    let (mut statistics, mut d_gamma, mut d_beta) =
        (ops.zeros(rows * 2), ops.zeros(HIDDEN), ops.zeros(HIDDEN));
    bench.line(&format!("residual norm{name}"), Work::Elements(4 * n), || {
        let out = NormOutput { sum: &mut sum, statistics: &mut statistics, output: &mut output };
        ops.residual_norm(&residual, norm, tokens, HIDDEN, 1e-12, dropout, out);
    });
    bench.line(&format!("residual norm backward{name}"), Work::Elements(4 * n), || {
        let gradient = AffineGradient { weight: &mut d_gamma, bias: &mut d_beta };
        ops.residual_norm_backward(
            norm,
            tokens,
            HIDDEN,
            dropout,
            &sum,
            &statistics,
            &d_output,
            &mut d_layer,
            &mut d_residual,
            gradient,
        );
    });

    let mut word = bench.random(VOCABULARY * HIDDEN);
    let (mut position, mut token_type) = (bench.random(tokens.longest() * HIDDEN), bench.random(2 * HIDDEN));
    bench.line(&format!("embed{name}"), Work::Elements(3 * n), || {
        let tables = EmbeddingTables { word: &word, position: &position, token_type: &token_type, norm };
        let out = NormOutput { sum: &mut sum, statistics: &mut statistics, output: &mut output };
        ops.embed(tables, tokens, HIDDEN, 1e-12, dropout, out);
    });
    bench.line(&format!("embed backward{name}"), Work::Elements(4 * n), || {
        let norm_gradient = AffineGradient { weight: &mut d_gamma, bias: &mut d_beta };
        let gradient = EmbeddingGradient {
            word: &mut word,
            position: &mut position,
            token_type: &mut token_type,
            norm: norm_gradient,
        };
        ops.embed_backward(norm, tokens, HIDDEN, dropout, &sum, &statistics, &d_output, gradient);
    });
    for buffer in [&output, &d_layer, &d_residual, &d_gamma, &d_beta, &word] {
        check("norm", buffer);
    }
}

fn training(bench: &Bench, tokens: &Tokens, is_bench: bool) {
    let (ops, n) = (&bench.cpu, tokens.n_tokens() * HIDDEN);
    let x = bench.random(n);
    let mut pooled = ops.zeros(tokens.n_texts() * HIDDEN);
    let work = Work::Elements(n);
    bench.line("pool mean", work, || Ops::pool(ops, Pooling::Mean, tokens, HIDDEN, &x, &mut pooled));
    check("pool", &pooled);

    let (vectors, mut d_vectors) = (bench.random(768 * HIDDEN), ops.zeros(768 * HIDDEN));
    let inputs = ContrastiveInputs {
        vectors: &vectors,
        n_queries: 256,
        n_documents: 512,
        hidden: HIDDEN,
        temperature: 1.0,
        excluded: &[],
        directions: Directions::OneWay,
    };
    bench.line("contrastive 256×512", Work::Operations(Precision::F32, 3 * 2 * 256 * 512 * HIDDEN), || {
        black_box(ops.contrastive(inputs, &mut d_vectors));
    });
    check("contrastive", &d_vectors);

    let n = if is_bench { 22_700_000 } else { 10_000 };
    let (gradient, mut parameter, mut m, mut v) =
        (bench.random(n), bench.random(n), ops.zeros(n), ops.zeros(n));
    let step = AdamwStep {
        learning_rate: 1e-4,
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        weight_decay: 0.01,
        step: 1,
        gradient_scale: 1.0,
    };
    bench.line("adamw, all of MiniLM", Work::Elements(7 * n), || {
        ops.adamw(step, &gradient, [&mut m, &mut v], &mut parameter);
    });
    check("adamw", &parameter);
}
