//! `sbmoe data`: what is in a collection's folder, what is wrong with it, and one made of pairs.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};
use sbmoe_ir::collection::{
    CheckReport, check,
    check::{Findings, Severity, SplitReport, TextsReport},
};
use sbmoe_ir::pairs::to_beir;
use serde::Serialize;

use super::{
    Verdict, console,
    table::{Align, Table},
};
use crate::folder_lock::FolderLock;

/// How many examples of a finding the report for people shows; `--json` has all that were kept.
const SHOWN_EXAMPLES: usize = 5;

/// Look into collections, or make one of training pairs.
#[derive(Debug, Args)]
pub(super) struct Data {
    #[command(subcommand)]
    command: DataCommand,
}

#[derive(Debug, Subcommand)]
enum DataCommand {
    Check(Check),
    Pairs(Pairs),
}

/// Count what a collection holds and find what is wrong with it.
///
/// Reads every line of the folder's files, and reports counts and lengths of documents, queries and judgments,
/// malformed lines, duplicates, empty files and texts, and judgments that point nowhere, each with file and line. Errors
/// are what makes reading, training or judging fail or lose something; remarks are legal, but worth knowing.
///
/// Exit code: 0 when there are no errors, 1 when there are, 2 when the folder cannot be read.
#[derive(Debug, Args)]
#[command(after_long_help = "\
A collection is a folder, each file plain or gzipped:
  corpus.jsonl                  {\"_id\": \"d1\", \"title\": \"…\", \"text\": \"…\"} a line
  queries.jsonl                 {\"_id\": \"q1\", \"text\": \"…\"} a line
  qrels/{train,dev,test}.tsv    query-id <tab> corpus-id <tab> score, after a header line
  negatives.jsonl               {\"query-id\": \"q1\", \"corpus-ids\": [\"d7\"]} a line, if there are any")]
struct Check {
    /// The collection's folder.
    #[arg(value_name = "DIR")]
    folder: PathBuf,

    /// Print the report as JSON, up to 20 examples of each finding.
    #[arg(long)]
    json: bool,
}

/// Make a collection of training pairs or triplets, as many data sets come.
///
/// A row is a query's text, that of an answer, and perhaps texts that are none. Equal texts become one document or one
/// query; the collection holds `corpus.jsonl`, `queries.jsonl`, `qrels/train.tsv` and, where there are any,
/// `negatives.jsonl`. The same file gives the same bytes. Rows are streamed, and texts are not kept in memory.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Files, plain or gzipped:
  .jsonl, .ndjson, .json   {\"anchor\": \"…\", \"positive\": \"…\", \"negative\": \"…\"} a line,
                           or [\"anchor\", \"positive\", \"negative\", …] a line
  .csv                     a header line, then rows; fields in quotes may hold line breaks

Columns, and their other names; any other column is refused:
  anchor     query, question, sentence1
  positive   pos, answer, document, passage, sentence2 (in JSON also a list)
  negative   neg, negatives, negative_1, negative_2, … (in JSON also a list)

Examples:
  sbmoe data pairs triplets.jsonl.gz data/triplets
  sbmoe train --data data/triplets --model all-MiniLM-L6-v2 --out runs/triplets")]
struct Pairs {
    /// The file of pairs.
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// The collection's folder, which must be empty or not there.
    #[arg(value_name = "OUT")]
    folder: PathBuf,

    /// Print the counts as JSON.
    #[arg(long)]
    json: bool,
}

impl Pairs {
    fn run(self) -> Result<Verdict> {
        let _lock = FolderLock::beside(&self.folder)?;
        let report = to_beir(&self.file, &self.folder)?;
        if self.json {
            console::print(serde_json::to_string_pretty(&report)?)?;
        } else {
            let mut table = Table::new([("", Align::Left), ("", Align::Right)]);
            for (what, count) in [
                ("rows", report.rows),
                ("rows without text", report.blank),
                ("queries", report.queries),
                ("documents", report.documents),
                ("positives", report.positives),
                ("negatives", report.negatives),
            ] {
                table.push([what.to_owned(), count.to_string()]);
            }
            table.lines().skip(1).try_for_each(console::print)?;
        }
        let folder = self.folder.display();
        console::note(format!("the collection is in `{folder}`: `sbmoe train --data {folder}` trains on it"));
        Ok(Verdict::Good)
    }
}

impl Data {
    pub(super) fn run(self) -> Result<Verdict> {
        match self.command {
            DataCommand::Check(command) => command.run(),
            DataCommand::Pairs(command) => command.run(),
        }
    }
}

impl Check {
    fn run(self) -> Result<Verdict> {
        #[derive(Serialize)]
        struct Judged<'a> {
            sound: bool,
            #[serde(flatten)]
            report: &'a CheckReport,
        }
        let report = check(&self.folder)?;
        let sound = report.is_sound();
        if self.json {
            console::print(serde_json::to_string_pretty(&Judged { sound, report: &report })?)?;
        } else {
            readable(&report).iter().try_for_each(console::print)?;
        }
        Ok(if sound { Verdict::Good } else { Verdict::Faulty })
    }
}

/// The report as lines: what there is, what was found, and a last line that sums up.
fn readable(report: &CheckReport) -> Vec<String> {
    let mut lines: Vec<String> = texts(report).lines().collect();
    if !report.splits.is_empty() {
        lines.push(String::new());
        lines.extend(splits(&report.splits).lines());
    }
    if let Some(negatives) = &report.negatives {
        let (count, n_lines) = (negatives.negatives, negatives.lines);
        lines.push(String::new());
        lines.push(format!("negatives: {count} on {n_lines} lines of {}", negatives.path.display()));
    }
    lines.push(String::new());
    lines.extend(report.missing_files.iter().map(|name| format!("remark: there is no {name}")));
    for (place, what, severity, findings) in report.findings() {
        lines.extend(found(place, what, severity, findings));
    }
    if lines.last().is_some_and(|line| !line.is_empty()) {
        lines.push(String::new());
    }
    lines.push(summary(report));
    lines
}

/// Documents and queries: how many, and their lengths in words.
fn texts(report: &CheckReport) -> Table {
    let numbers = ["records", "min words", "median", "mean", "max"].map(|heading| (heading, Align::Right));
    let columns = [("texts", Align::Left)].into_iter().chain(numbers).chain([("file", Align::Left)]);
    let mut table = Table::new(columns);
    for (name, texts) in [("corpus", &report.documents), ("queries", &report.queries)] {
        if let Some(TextsReport { count, words, path, .. }) = texts {
            let lengths = words.map_or([const { String::new() }; 4], |words| {
                let mean = format!("{:.1}", words.mean);
                [words.min.to_string(), words.median.to_string(), mean, words.max.to_string()]
            });
            let cells = [name.to_owned(), count.to_string()].into_iter().chain(lengths);
            table.push(cells.chain([path.display().to_string()]));
        }
    }
    table
}

/// Judgments by split, with how many there are of each grade.
fn splits(reports: &[SplitReport]) -> Table {
    let (left, right) = (Align::Left, Align::Right);
    let columns =
        [("split", left), ("queries", right), ("judgments", right), ("grades", left), ("file", left)];
    let mut table = Table::new(columns);
    for SplitReport { split, path, queries, judgments, grades, .. } in reports {
        let grades: Vec<String> = grades.iter().map(|(grade, count)| format!("{grade}: {count}")).collect();
        let (queries, judgments) = (queries.to_string(), judgments.to_string());
        table.push([split.to_string(), queries, judgments, grades.join(", "), path.display().to_string()]);
    }
    table
}

/// A kind of finding, with its first examples.
fn found(place: &str, what: &str, severity: Severity, findings: &Findings) -> Vec<String> {
    if findings.count == 0 {
        return Vec::new();
    }
    let mut lines = vec![format!("{}: {place}: {what}: {}", severity_name(severity), findings.count)];
    lines.extend(findings.examples.iter().take(SHOWN_EXAMPLES).map(|finding| format!("  {finding}")));
    let shown = findings.examples.len().min(SHOWN_EXAMPLES) as u64;
    if findings.count > shown {
        lines.push(format!("  and {} more", findings.count - shown));
    }
    lines
}

fn summary(report: &CheckReport) -> String {
    let sum = |wanted: Severity| -> u64 {
        let counts = report.findings().filter(|(_, _, severity, _)| *severity == wanted);
        counts.map(|(_, _, _, findings)| findings.count).sum()
    };
    let remarks = sum(Severity::Remark) + report.missing_files.len() as u64;
    let verdict = if report.is_sound() { "sound" } else { "not sound" };
    format!("{verdict}: errors {}, remarks {remarks}", sum(Severity::Error))
}

fn severity_name(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Remark => "remark",
    }
}
