//! The processor as the commands use it: threads and SIMD level from flags and environment.

use anyhow::{Context as _, Result};
use sbmoe_kernels::{Cpu, Level};

use crate::environment;

/// The processor with `threads` threads (0: one a core) at the level that `SBMOE_SIMD` names, else its best.
///
/// # Errors
/// An unknown level, or one that this machine does not have.
pub fn open(threads: usize) -> Result<Cpu> {
    let Some(name) = environment::simd() else { return Ok(Cpu::new(threads)) };
    let level: Level =
        name.parse().map_err(anyhow::Error::msg).context("environment variable `SBMOE_SIMD`")?;
    Ok(Cpu::with_level(threads, level))
}
