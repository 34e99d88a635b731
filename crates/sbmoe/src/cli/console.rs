//! What people read: errors, warnings, notes and progress bars on standard error; results on standard output.

use std::borrow::Cow;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// Prints one line of results; a reader that went away is an error that [`is_broken_pipe`] knows.
pub(crate) fn print(line: impl AsRef<str>) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{}", line.as_ref())
}

/// Says something on standard error.
pub(crate) fn note(line: impl AsRef<str>) {
    // Nobody is left to tell when standard error is closed.
    let _ = writeln!(io::stderr().lock(), "{}", line.as_ref());
}

/// Warns on standard error.
pub(crate) fn warn(line: impl AsRef<str>) {
    note(format!("warning: {}", line.as_ref()));
}

/// Prints an error with its causes on one line.
pub(crate) fn error(error: &anyhow::Error) {
    let mut text = String::from("error");
    for cause in error.chain() {
        let cause = cause.to_string();
        // Wrappers such as fs-err repeat their source.
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    note(text);
}

/// Whether the error is a reader of standard output that went away, as `head` does.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let broken = |cause: &(dyn std::error::Error + 'static)| {
        cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    };
    error.chain().any(broken)
}

/// A progress bar of `total` units on standard error, silent when that is no terminal.
pub(crate) fn bar(total: u64, what: impl Into<Cow<'static, str>>) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{prefix} [{bar:32}] {human_pos}/{human_len} {msg} {eta} left")
        .expect("the template is constant")
        .progress_chars("=> ");
    let bar = ProgressBar::new(total).with_style(style).with_prefix(what);
    bar.enable_steady_tick(Duration::from_millis(250));
    bar
}
