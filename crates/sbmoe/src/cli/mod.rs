//! The command line: one file a command, each with its arguments and what it does.
//!
//! Data goes to standard output, everything else to standard error.
//! Exit codes: 0 done, 1 ran but found what it was asked to look for (a faulty collection), 2 error, 130 stopped on request.

mod console;
mod data;
mod encode;
mod evaluate;
mod import;
mod index;
mod judgments;
mod mine;
mod model_arguments;
mod query_maker;
mod quickstart;
mod search;
mod shell;
mod table;
mod threads;
mod train;
mod vector_arguments;

use std::process::ExitCode;
#[cfg(unix)]
use std::sync::{Arc, atomic::AtomicBool};

use clap::{Parser, Subcommand};

use crate::interrupt;

const START: &str =
    "Start with `sbmoe quickstart`: five minutes from nothing to a trained retriever and its scores.";

const ENVIRONMENT: &str = "\
Environment variables:
  SBMOE_SIMD      vector instructions: scalar, avx2, avx512, avx512bf16, amx, neon
                  (unset: the machine's best)
  HF_HOME         where models from the hub are kept (unset: ~/.cache/huggingface)
  HF_TOKEN        the token for private models of the hub
  HF_ENDPOINT     the hub's address, to name a mirror (unset: https://huggingface.co)
  HF_HUB_OFFLINE  1 asks nothing of the network";

/// Adapt, judge and run dense retrievers with a mixture-of-experts block.
///
/// The path of the data: collection → train → encode → search → evaluate. Collections are BEIR folders, models are
/// Hugging Face or sentence-transformers folders, runs and judgments are TREC files.
#[derive(Debug, Parser)]
#[command(
    version,
    max_term_width = 110,
    after_help = START,
    after_long_help = format!("{START}\n\n{ENVIRONMENT}")
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Quickstart(quickstart::Quickstart),
    Train(train::Train),
    Encode(encode::Encode),
    Search(search::Search),
    Evaluate(evaluate::Evaluate),
    Mine(mine::Mine),
    Data(data::Data),
    Index(index::Index),
    Import(import::Import),
}

/// What a command found, when nothing went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Done, nothing to report: exit code 0.
    Good,
    /// The command ran and found faults: exit code 1.
    Faulty,
    /// The user asked to stop; what was done is saved: exit code 130, as of a program that SIGINT ends.
    Stopped,
}

/// A file that grows beyond the user's limit (`ulimit -f`) is an error with a message, not the end of the program.
#[cfg(unix)]
fn told_by_errors() {
    // Without the handler the limit still ends the program, as it would any other.
    let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::new(AtomicBool::new(false)));
}

/// There is no such limit.
#[cfg(not(unix))]
fn told_by_errors() {}

/// Parses the arguments, runs the command and turns its end into an exit code.
pub fn main() -> ExitCode {
    told_by_errors();
    let result = match Cli::parse().command {
        Command::Quickstart(command) => command.run(),
        Command::Train(command) => command.run(),
        Command::Encode(command) => command.run(),
        Command::Search(command) => command.run(),
        Command::Evaluate(command) => command.run(),
        Command::Mine(command) => command.run(),
        Command::Data(command) => command.run(),
        Command::Index(command) => command.run(),
        Command::Import(command) => command.run(),
    };
    match result {
        Ok(Verdict::Good) => ExitCode::SUCCESS,
        Ok(Verdict::Faulty) => ExitCode::from(1),
        Ok(Verdict::Stopped) => ExitCode::from(interrupt::STOPPED),
        Err(error) if console::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            console::error(&error);
            ExitCode::from(2)
        }
    }
}
