//! The `sbmoe` program: parse, run, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    sbmoe::cli::main()
}
