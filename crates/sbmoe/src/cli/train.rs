//! `sbmoe train`: arguments to a request, what happens to the console, the end to a summary.

mod console;

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use sbmoe_model::moe::{Combine, Gate, TrainGate};
use serde::Serialize;
use serde_json::{Map, Value};

pub(super) use self::console::TrainingConsole;
use super::Verdict;
use super::console::{note, print};
use super::shell::quoted;
use crate::interrupt;
use crate::training::{self, MEASURE, Overrides, Preset, RunFolder, TrainReport, TrainRequest};

/// Train a retriever on a collection
///
/// Adapts an encoder to a collection's training judgments, with a mixture-of-experts block behind it or without, and
/// leaves a folder: RUN/model is the trained model, RUN/config.toml every value of the run, RUN/train.jsonl a line a
/// step. Where the best state by validation is not the last, both are kept: RUN/model is the one that `--keep` names,
/// RUN/last or RUN/best the other. With `--freeze-encoder` only the block is trained, on vectors that are computed
/// once; that takes seconds.
///
/// Values come from the defaults, then the preset, then the file, then the switches and `--set`, each over the one
/// before. Ctrl-C saves and says how to go on.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
#[command(after_long_help = "\
Examples:
  sbmoe train --data scifact --model all-MiniLM-L6-v2 --out runs/scifact --freeze-encoder
  sbmoe train --data scifact --model all-MiniLM-L6-v2 --out runs/baseline --experts 0 --encoder-lr 1e-4
  sbmoe train --out runs/scifact --resume
  sbmoe train --config runs/scifact/config.toml --out runs/other-seed --seed 7")]
pub(super) struct Train {
    #[command(flatten)]
    switches: Box<Switches>,

    /// The run's folder
    #[arg(long, value_name = "RUN")]
    out: PathBuf,

    /// Train without dropout in the encoder
    #[arg(long)]
    no_dropout: bool,

    /// Values to start from: what serves best, or what the paper's code does, its oddities included
    #[arg(long, value_enum)]
    preset: Option<Preset>,

    /// A file of `key = value` lines, such as the config.toml of another run
    #[arg(long, value_name = "FILE.toml")]
    config: Option<PathBuf>,

    /// Any key of config.toml; may be given several times
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,

    /// Go on from the run's checkpoint, with the values of its config.toml
    #[arg(long)]
    resume: bool,

    /// Replace the run that the folder holds
    #[arg(long, conflicts_with = "resume")]
    overwrite: bool,

    /// Threads, 0 for one a core; the results do not depend on it
    #[arg(long, value_name = "N", default_value_t = 0)]
    threads: usize,

    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
}

/// The switches that are keys of config.toml, by those names.
#[derive(Debug, Args, Serialize)]
struct Switches {
    /// The collection: a folder with corpus.jsonl, queries.jsonl and qrels/train.tsv
    #[arg(long, value_name = "DIR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<PathBuf>,

    /// The encoder: a model folder, or a name on the Hugging Face hub
    #[arg(long, value_name = "DIR|NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,

    /// Branch, tag or commit of a model on the hub
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<String>,

    /// Experts; 0 fine-tunes the encoder without a block [default: 6]
    #[arg(long, value_name = "N", help_heading = "Block")]
    #[serde(skip_serializing_if = "Option::is_none")]
    experts: Option<usize>,

    /// Width of each expert [default: half the hidden size]
    #[arg(long, value_name = "W", help_heading = "Block")]
    #[serde(skip_serializing_if = "Option::is_none")]
    expert_width: Option<usize>,

    /// How experts are weighed in training: noisy-top1, straight-through, soft, random or uniform [default: soft]
    #[arg(long, value_name = "GATE", help_heading = "Block")]
    #[serde(skip_serializing_if = "Option::is_none")]
    train_gate: Option<TrainGate>,

    /// How they are weighed in use: top1, all, random or uniform [default: what the training gate is meant for]
    #[arg(long, value_name = "GATE", help_heading = "Block")]
    #[serde(skip_serializing_if = "Option::is_none")]
    gate: Option<Gate>,

    /// How experts join the encoder's vector: normalize-mixture, normalize-experts or sum [default: normalize-mixture]
    #[arg(long, value_name = "HOW", help_heading = "Block")]
    #[serde(skip_serializing_if = "Option::is_none")]
    combine: Option<Combine>,

    /// Scale of the gate's training noise, 0 for none [default: 1 for noisy-top1, else 0]
    #[arg(long, value_name = "S", help_heading = "Block")]
    #[serde(skip_serializing_if = "Option::is_none")]
    gate_noise: Option<f64>,

    /// Weight of the load-balance term, 0 for none [default: 0]
    #[arg(long, value_name = "B", help_heading = "Block")]
    #[serde(skip_serializing_if = "Option::is_none")]
    balance: Option<f64>,

    /// Passes over the training queries [default: 30 with --freeze-encoder, else 10]
    #[arg(long, value_name = "E", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    epochs: Option<usize>,

    /// Queries a step [default: 64]
    #[arg(long, value_name = "B", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    batch_size: Option<usize>,

    /// Tokens at which texts are cut [default: the model's length, else 256]
    #[arg(long, value_name = "L", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_length: Option<usize>,

    /// Numbers that the encoder's products are computed in: f32, or bf16, which is faster where the level (SBMOE_SIMD) has
    /// an instruction for it [default: f32]
    #[arg(long, value_name = "NUMBERS", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    precision: Option<String>,

    /// Scores are divided by this in the loss [default: 1]
    #[arg(long, value_name = "T", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,

    /// Learning rate of the block [default: 1e-3]
    #[arg(long, value_name = "RATE", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    lr: Option<f64>,

    /// Learning rate of the encoder [default: 1e-4]
    #[arg(long, value_name = "RATE", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    encoder_lr: Option<f64>,

    /// Leave the encoder as it is and train the block on stored vectors
    #[arg(long, help_heading = "Training")]
    #[serde(skip_serializing_if = "is_off")]
    freeze_encoder: bool,

    /// How the rates move: constant, linear or cosine [default: constant]
    #[arg(long, value_name = "HOW", value_parser = ["constant", "linear", "cosine"], hide_possible_values = true)]
    #[arg(help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    schedule: Option<String>,

    /// Steps of linear growth of the rates at the start [default: 0]
    #[arg(long, value_name = "N", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    warmup_steps: Option<u64>,

    /// The largest norm of the gradient, 0 for no clipping [default: 0]
    #[arg(long, value_name = "NORM", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    clip: Option<f64>,

    /// Explicit negatives a query, where the collection has negatives.jsonl [default: 1]
    #[arg(long, value_name = "N", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    negatives: Option<usize>,

    /// The seed of every random draw [default: 42]
    #[arg(long, value_name = "S", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,

    /// The part of the training queries to hold out where there are no dev judgments; 0 trains on every query without
    /// validation [default: 0.05]
    #[arg(long, value_name = "FRACTION", help_heading = "Validation")]
    #[serde(skip_serializing_if = "Option::is_none")]
    validation: Option<f64>,

    /// Documents that validation queries are ranked over; all with a frozen encoder [default: 1000]
    #[arg(long, value_name = "N", help_heading = "Validation")]
    #[serde(skip_serializing_if = "Option::is_none")]
    validation_documents: Option<usize>,

    /// Stop after this many epochs in a row without a better nDCG@10, 0 for never [default: 0]
    #[arg(long, value_name = "N", help_heading = "Validation")]
    #[serde(skip_serializing_if = "Option::is_none")]
    patience: Option<usize>,

    /// Which state becomes RUN/model: best or last; the other one stays beside it, as RUN/last or RUN/best. Without
    /// validation there is only the last [default: best]
    #[arg(long, value_name = "WHICH", value_parser = ["best", "last"], hide_possible_values = true)]
    #[arg(help_heading = "Validation")]
    #[serde(skip_serializing_if = "Option::is_none")]
    keep: Option<String>,
}

impl Train {
    pub(super) fn run(self) -> Result<Verdict> {
        let request = TrainRequest {
            config: self.overrides().resolve()?,
            out: self.out.clone(),
            resume: self.resume,
            overwrite: self.overwrite,
            threads: self.threads,
        };
        let mut console = TrainingConsole::new(interrupt::watch()?);
        let report = training::run(&request, &mut |progress| console.observe(progress))?;
        console.finish();
        if self.json {
            print(serde_json::to_string_pretty(&report)?)?;
        } else if report.finished {
            summary(&report).iter().try_for_each(print)?;
        }
        if !report.finished {
            note(interrupted(&report));
            std::process::exit(interrupt::STOPPED);
        }
        Ok(Verdict::Good)
    }

    /// What was said, in layers. A resumed run takes its own values unless others are named as the ones to start from.
    fn overrides(&self) -> Overrides {
        let switches = serde_json::to_value(&*self.switches).expect("switches are plain data");
        let mut switches = switches.as_object().cloned().unwrap_or_else(Map::new);
        if self.no_dropout {
            switches.insert("dropout".to_owned(), Value::Bool(false));
        }
        let own = RunFolder::new(&self.out).config();
        let takes_own = self.resume && self.preset.is_none() && self.config.is_none() && own.is_file();
        let file = if takes_own { Some(own) } else { self.config.clone() };
        Overrides { preset: self.preset, file, switches, set: self.set.clone() }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_off(switch: &bool) -> bool {
    !switch
}

/// What a finished run says: the scores, where the model is, what to type next.
pub(super) fn summary(report: &TrainReport) -> Vec<String> {
    let mut lines = vec![format!("steps: {} in {:.0} s", report.steps, report.seconds)];
    if let (Some(best), Some(step)) = (report.best, report.best_step) {
        let before =
            report.encoder_alone.map_or(String::new(), |before| format!(" (encoder alone {before:.4})"));
        lines.push(format!("best {MEASURE}: {best:.4} at step {step}{before}, on the validation queries"));
    }
    let Some(model) = &report.model else { return lines };
    let (run, model, data) = (&report.run, shown(model), shown(&report.data));
    let (index, hits) = (shown(&run.join("index")), shown(&run.join("run.trec")));
    lines.push(format!("model: {model}"));
    if let Some(other) = &report.other {
        let name = other.file_name().unwrap_or_default().display();
        lines.push(format!("the {name} state: {}", shown(other)));
    }
    lines.push("next:".to_owned());
    lines.push(format!("  sbmoe encode --model {model} --corpus {data} --out {index}"));
    lines.push(format!(
        "  sbmoe search --index {index} --model {model} --queries {data} --split test --out {hits}"
    ));
    lines.push(format!("  sbmoe evaluate --qrels {data} --run {hits}"));
    lines
}

/// What an interrupted run says.
pub(super) fn interrupted(report: &TrainReport) -> String {
    if report.steps == 0 {
        return "interrupted before the first step; repeat the command to go on".to_owned();
    }
    let run = shown(&report.run);
    format!(
        "interrupted after step {}, which is saved; go on with: sbmoe train --out {run} --resume",
        report.steps
    )
}

/// A path as a shell reads it.
fn shown(path: &Path) -> String {
    quoted(&path.display().to_string())
}
