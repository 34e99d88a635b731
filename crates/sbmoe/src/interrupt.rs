//! Ctrl-C: the first asks the command to stop where nothing is lost, the second stops the program at once.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result};

static ASKED: AtomicBool = AtomicBool::new(false);
static WATCHED: OnceLock<()> = OnceLock::new();

/// Exit code of a program that a signal stopped: 128 + SIGINT.
pub const STOPPED: u8 = 130;

/// Whether the user asked to stop.
#[derive(Debug, Clone, Copy)]
pub struct Interrupt(());

impl Interrupt {
    /// Whether Ctrl-C was pressed, or the program was told to end, since [`watch`].
    pub fn is_asked(self) -> bool {
        ASKED.load(Ordering::Relaxed)
    }
}

/// Watches for Ctrl-C from here on; may be called more than once.
///
/// # Errors
/// The system refuses the handler.
pub fn watch() -> Result<Interrupt> {
    if WATCHED.set(()).is_ok() {
        ctrlc::set_handler(|| {
            if ASKED.swap(true, Ordering::Relaxed) {
                std::process::exit(STOPPED.into());
            }
        })
        .context("Ctrl-C cannot be watched for")?;
    }
    Ok(Interrupt(()))
}
