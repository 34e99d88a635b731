//! `sbmoe train`: arguments to a request, what happens to the console, the end to a summary.

mod console;
mod switches;

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use sbmoe_ir::{Collection, Split};
use serde_json::{Map, Value};

pub(super) use self::console::TrainingConsole;
use self::switches::Switches;
use super::Verdict;
use super::console::{note, print};
use super::shell::quoted;
use super::threads::threads;
use crate::interrupt;
use crate::training::{self, Kept, MEASURE, Overrides, Part, Preset, RunFolder, TrainReport, TrainRequest};

/// Train a retriever on a collection
///
/// Adapts an encoder to a collection's training judgments, with a mixture-of-experts block behind it or without, and
/// leaves a folder: RUN/model is the trained model, RUN/config.toml every value of the run, RUN/train.jsonl a line a
/// step. With `--freeze-encoder` only the block is trained, on vectors that are computed once; that takes seconds.
///
/// The encoder as it came is scored first, by its own similarity, on held-out queries (dev judgments, else training
/// queries whose answers are not trained on), and every epoch is told as a difference from it. If no epoch is better
/// beyond its noise, RUN/model is the encoder unchanged and RUN/best the best trained state; else RUN/model is the best
/// state, and RUN/last the last where that is another.
///
/// Besides the judgments, a teacher can be learned from: a file of its scores (`--distill`) or another model (`--teacher`).
///
/// Values come from the defaults, then the preset, then the file, then the switches and `--set`, each over the one
/// before. Ctrl-C saves and says how to go on.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
#[command(after_long_help = "\
Examples:
  sbmoe train --data scifact --model all-MiniLM-L6-v2 --out runs/scifact --freeze-encoder
  sbmoe train --data scifact --model all-MiniLM-L6-v2 --out runs/linear --freeze-encoder --block linear
  sbmoe train --data scifact --model all-MiniLM-L6-v2 --out runs/full --experts 0
  sbmoe train --pairs triplets.jsonl.gz --model all-MiniLM-L6-v2 --out runs/triplets --experts 0
  sbmoe train --data scifact --model all-MiniLM-L6-v2 --out runs/taught --distill scores.tsv --negatives 7
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
    #[arg(long, value_name = "N", default_value = "0", value_parser = threads)]
    threads: usize,

    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
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
            return Ok(Verdict::Stopped);
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

/// What a finished run says: the scores, where the model is, what to type next.
pub(super) fn summary(report: &TrainReport) -> Vec<String> {
    let mut lines = vec![format!("steps: {} in {:.0} s", report.steps, report.seconds)];
    if let (Some(baseline), Some(best), Some(gain)) = (report.baseline, report.best, report.gain) {
        let [low, high] = gain.interval();
        let epoch = report.best_epoch.map_or(String::new(), |epoch| format!(", after epoch {epoch}"));
        lines
            .push(format!("{MEASURE} of the held-out queries: encoder {baseline:.4}, best {best:.4}{epoch}"));
        lines.push(format!("the difference: {:+.4}, within [{low:+.4}, {high:+.4}] (95 %)", gain.difference));
    }
    let parts = [("whose answers are trained on", report.seen), ("unseen in training", report.unseen)];
    for (kind, part) in parts {
        if let Some(Part { queries, baseline, best }) = part {
            lines.push(format!("  {queries} queries {kind}: encoder {baseline:.4}, best {best:.4}"));
        }
    }
    let Some(model) = &report.model else { return lines };
    let (run, model, data) = (&report.run, shown(model), shown(&report.data));
    let index = shown(&run.join("index"));
    lines.push(format!("model: {model}"));
    if let Some(other) = &report.other {
        let name = match report.kept {
            Some(Kept::Encoder) => "best trained".to_owned(),
            _ => other.file_name().unwrap_or_default().display().to_string(),
        };
        lines.push(format!("the {name} state: {}", shown(other)));
    }
    lines.push("next:".to_owned());
    lines.push(format!("  sbmoe encode --model {model} --corpus {data} --out {index}"));
    lines.extend(judging(report, &index, &model));
    if report.kept == Some(Kept::Encoder) {
        lines.push(
            "kept: the encoder as it came, since no trained state was better beyond its noise; try more judged queries, \
             `--block linear`, training the encoder itself (without --freeze-encoder), or `--keep last` for the trained \
             state all the same"
                .to_owned(),
        );
    }
    lines
}

/// What to type once there is an index: a search that the test judgments are compared with, or one text where the collection
/// has none, as one that was made of pairs.
fn judging(report: &TrainReport, index: &str, model: &str) -> Vec<String> {
    let has_test =
        Collection::open(&report.data).is_ok_and(|collection| collection.qrels_file(Split::Test).is_ok());
    let search = format!("  sbmoe search --index {index} --model {model} --queries");
    if !has_test {
        return vec![format!("{search} 'the text of a query'")];
    }
    let (data, hits) = (shown(&report.data), shown(&report.run.join("run.trec")));
    vec![
        format!("{search} {data} --split test --out {hits}"),
        format!("  sbmoe evaluate --qrels {data} --run {hits}"),
    ]
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
