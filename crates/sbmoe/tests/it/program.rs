//! The program under test, run as its users run it.

use std::path::Path;
use std::process::{Command, Output};

/// The program, with nothing of this machine's settings.
pub(crate) fn sbmoe() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sbmoe"));
    for variable in ["HF_HOME", "HF_HUB_CACHE", "HF_ENDPOINT", "HF_TOKEN", "SBMOE_SIMD"] {
        command.env_remove(variable);
    }
    command.env("HF_HUB_OFFLINE", "1");
    command
}

/// What the program wrote to standard error.
pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What the program wrote to standard output.
pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs a command that must succeed, and returns what it wrote.
#[track_caller]
pub(crate) fn succeeds(command: &mut Command) -> Output {
    let output = command.output().expect("the program starts");
    assert!(output.status.success(), "{command:?}: {}\n{}", output.status, stderr(&output));
    output
}

/// Runs a command that must fail with exit code 2, and returns what it wrote to standard error.
#[track_caller]
pub(crate) fn fails(command: &mut Command) -> String {
    let output = command.output().expect("the program starts");
    assert_eq!(output.status.code(), Some(2), "{command:?}: {}\n{}", stdout(&output), stderr(&output));
    stderr(&output)
}

/// The bytes of a file that must be there.
#[track_caller]
pub(crate) fn bytes(path: &Path) -> Vec<u8> {
    fs_err::read(path).expect("the file is there")
}
