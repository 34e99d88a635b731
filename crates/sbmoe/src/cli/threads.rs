//! The value of `--threads`.

use std::thread::available_parallelism;

use super::console;

/// Reads a number of threads: as many as the machine runs at once at most, since more would only wait for each other, and
/// thousands would take minutes to start.
pub(super) fn threads(text: &str) -> Result<usize, String> {
    let asked: usize =
        text.parse().map_err(|_| "expected a whole number of threads, 0 for one a core".to_owned())?;
    let most = available_parallelism().map_or(asked, usize::from);
    if asked > most {
        console::warn(format!(
            "`--threads {asked}`: the machine runs {most} at once, so that {most} are used"
        ));
    }
    Ok(asked.min(most))
}
