//! What a second thread gives: steps of training and batches of encoding on one thread and on more, in turn.
//!
//! `cargo bench -p sbmoe-train --bench threads` prints, for each kind of work, how many times faster it is on all cores
//! than on one thread, and the share of what a loop of multiply-adds in registers gains between the same two.
//! The two take turns, and so does the loop, since a machine's neighbours change its speed from minute to minute; the
//! figures are medians over the turns.
//! The encoder has all-MiniLM-L6-v2's sizes and drawn weights, the texts SciFact's lengths; training is with dropout, six
//! experts and AdamW, 64 pairs a step.
//! `-- THREADS` chooses the threads (0, one per core, is the default), `-- NAME` only the work whose name contains it.
//! Started without cargo's `--bench` it runs everything on a small batch, to show that it still works.
#![expect(clippy::print_stdout, reason = "a table on standard output is what it is for")]

#[path = "../../kernels/benches/operators/limits.rs"]
#[expect(dead_code, reason = "of the limits, only the loop in registers is asked for")]
mod limits;

use std::time::Instant;

use sbmoe_kernels::{Cpu, Directions, Key, Ops, Passes, Pooling, Precision};
use sbmoe_model::architecture::Architecture;
use sbmoe_model::folder::BertConfig;
use sbmoe_model::moe::{BlockConfig, Combine, Gate, TrainGate};
use sbmoe_model::parameters::Tensors;
use sbmoe_train::{Batch, Batching, Groups, Inputs, Keep, Optimizer, Schedule, TrainConfig, step};
use serde_json::json;

use limits::register_loop;

const VOCABULARY: usize = 30522;

/// Runs of the loop a turn, of which the fastest counts.
const LOOPS: usize = 5;

/// What one thread count holds: a model, and what trains it.
struct Side {
    cpu: Cpu,
    architecture: Architecture,
    parameters: Tensors<<Cpu as Ops>::Buffer>,
    gradients: Tensors<<Cpu as Ops>::Buffer>,
    optimizer: Optimizer<<Cpu as Ops>::Buffer>,
    config: TrainConfig,
    groups: Groups,
}

impl Side {
    fn new(threads: usize, precision: Precision, pairs: usize) -> Self {
        let (cpu, config) = (Cpu::new(threads), config(pairs));
        let mut architecture = architecture();
        architecture.bert.set_precision(precision);
        let layout = &architecture.layout;
        let values: Vec<Vec<f32>> = (layout.parameters().iter().enumerate())
            .map(|(place, parameter)| {
                let key = Key::new(3).with(place as u64);
                let is_norm = parameter.name.ends_with("LayerNorm.weight");
                let value = |i| 0.02 * key.with(i as u64).normal() + if is_norm { 1.0 } else { 0.0 };
                (0..parameter.len()).map(|i| value(i) as f32).collect()
            })
            .collect();
        let groups = Groups::new(&architecture, &config);
        Self {
            parameters: Tensors::upload(&cpu, &values),
            gradients: Tensors::zeros(&cpu, layout),
            optimizer: Optimizer::new(&cpu, &architecture, &groups),
            cpu,
            architecture,
            config,
            groups,
        }
    }

    /// A step of training; returns its loss.
    fn train(&mut self, inputs: &Inputs, batch: &Batch) -> f64 {
        let Self { cpu, architecture, parameters, gradients: own, optimizer, config, groups } = self;
        let (settings, data) = ((&*groups, &*config), (inputs, batch));
        let key = (Key::new(config.seed).with(optimizer.steps), 1.0);
        step(cpu, architecture, settings, data, key, own, optimizer, parameters).0.loss
    }

    /// The sum of the vectors of some texts.
    fn encode(&self, texts: &[Vec<u32>]) -> f64 {
        let vectors = self.architecture.pooled_in_parts(&self.cpu, &self.parameters, texts);
        vectors.iter().map(|x| f64::from(*x)).sum()
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        return;
    }
    let is_bench = arguments.iter().any(|argument| argument == "--bench");
    let threads = arguments.iter().find_map(|argument| argument.parse().ok()).unwrap_or(0);
    let is_filter = |argument: &&String| !argument.starts_with('-') && argument.parse::<usize>().is_err();
    let filter = arguments.iter().find(is_filter).cloned().unwrap_or_default();
    let (pairs, turns) = if is_bench { (64, 9) } else { (2, 1) };
    let (queries, documents) = texts(pairs);
    let inputs = Inputs::Tokens { queries, documents: documents.clone() };
    let places: Vec<u32> = (0..pairs as u32).collect();
    let batch =
        Batch { queries: places.clone(), documents: places, excluded: Vec::new(), targets: Vec::new() };

    println!("{:24} {:>9} {:>9} {:>7} {:>7} {:>7}", "", "one", "all", "gain", "loop's", "share");
    for precision in [Precision::F32, Precision::Bf16, Precision::Int8] {
        let (training, encoding) = (format!("training {precision}"), format!("encoding {precision}"));
        if training.contains(&filter) && precision != Precision::Int8 {
            let mut sides = [1, threads].map(|threads| Side::new(threads, precision, pairs));
            in_turn(&training, precision, turns, &mut sides, |side| side.train(&inputs, &batch));
        }
        if encoding.contains(&filter) {
            let mut sides = [1, threads].map(|threads| Side::new(threads, precision, pairs));
            for Side { cpu, architecture, parameters, .. } in &mut sides {
                architecture.bert.prepare_weights(cpu, Passes::Forward, parameters);
            }
            in_turn(&encoding, precision, turns, &mut sides, |side| side.encode(&documents));
        }
    }
}

/// Prints what the second side gains; both must give the same result.
fn in_turn(
    name: &str,
    precision: Precision,
    turns: usize,
    sides: &mut [Side; 2],
    mut work: impl FnMut(&mut Side) -> f64,
) {
    // Once for the memory.
    let [mut one, mut all, mut gains, mut loops] = [const { Vec::new() }; 4];
    for turn in 0..=turns {
        let mut results = [0.0; 2];
        let [a, b] = [0, 1].map(|place| {
            let start = Instant::now();
            results[place] = work(&mut sides[place]);
            start.elapsed().as_secs_f64()
        });
        assert_eq!(results[0].to_bits(), results[1].to_bits(), "{name}: the result depends on the threads");
        if turn > 0 {
            let [slow, fast] = sides.each_ref().map(|side| register_loop(&side.cpu, precision, LOOPS));
            one.push(a);
            all.push(b);
            gains.push(a / b);
            loops.push(fast / slow);
        }
    }
    let [one, all, gain, of_loop] = [one, all, gains, loops].map(median);
    println!(
        "{name:24} {:6.0} ms {:6.0} ms {gain:7.3} {of_loop:7.3} {:5.1} %",
        1e3 * one,
        1e3 * all,
        100.0 * gain / of_loop
    );
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn architecture() -> Architecture {
    let bert: BertConfig = serde_json::from_value(json!({
        "vocab_size": VOCABULARY, "hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12,
        "intermediate_size": 1536,
    }))
    .expect("a BERT configuration");
    let block = BlockConfig {
        hidden: 384,
        experts: 6,
        expert_width: 192,
        gate: Gate::Top1,
        train_gate: TrainGate::NoisyTop1,
        combine: Combine::NormalizeMixture,
        gate_noise: 0.0,
        seed: 1,
        ..BlockConfig::new(1, 1)
    };
    Architecture::new(bert, Pooling::Mean, Some(block))
}

fn config(pairs: usize) -> TrainConfig {
    TrainConfig {
        epochs: 1,
        batch_size: pairs,
        temperature: 0.05,
        directions: Directions::OneWay,
        distill: None,
        learning_rate: 1e-4,
        encoder_learning_rate: 1e-5,
        freeze_encoder: false,
        weight_decay: 0.01,
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        schedule: Schedule::Constant,
        warmup_steps: 0,
        clip: 0.0,
        dropout: true,
        mask_positives: false,
        negatives: 0,
        batching: Batching::Random,
        anchor: 0,
        stop_after: None,
        balance: 0.0,
        chunk_tokens: 16384,
        seed: 7,
        keep: Keep::Last,
        patience: 0,
        checkpoint_seconds: 1e9,
    }
}

/// Queries of 8 to 32 tokens, and documents of 128 to 256, most of them nearer 256.
fn texts(pairs: usize) -> (Vec<Vec<u32>>, Vec<Vec<u32>>) {
    let text = |family: u64, place: u64, length: usize| -> Vec<u32> {
        let key = Key::new(9).with(family).with(place);
        (0..length).map(|i| key.with(i as u64).below(VOCABULARY) as u32).collect()
    };
    let drawn = |family: u64, place: u64| Key::new(5).with(family).with(place);
    let query = |place| text(1, place, 8 + drawn(1, place).below(25));
    let document = |place| text(2, place, (128 + drawn(2, place).below(257)).min(256));
    ((0..pairs as u64).map(query).collect(), (0..pairs as u64).map(document).collect())
}
