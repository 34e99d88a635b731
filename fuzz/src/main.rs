//! Feeds mutated files to every parser and reports what panics, hangs or asks for too much memory.
//!
//! An input is a function of seed, target and number, so that a finding comes again with the same arguments. One thread
//! reads the inputs, on a stack as small as a thread pool's; the main thread watches it.
//! Left out: coverage, for which a fuzzer needs an instrumented compiler.

mod findings;
mod memory;
mod mutate;
mod random;
mod target;
mod targets;
mod watch;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use clap::Parser;

use self::findings::Findings;
use self::target::Target;
use self::watch::Watch;

#[global_allocator]
static ALLOCATOR: memory::Counting = memory::Counting;

/// What a thread of a pool has.
const STACK_BYTES: usize = 2 << 20;

/// Feeds mutated files to the parsers; exits with 1 when one of them panics, hangs or asks for too much memory.
#[derive(Parser)]
struct Arguments {
    /// Inputs for each target.
    #[arg(long, default_value_t = 10_000)]
    inputs: u64,
    /// Names the inputs: the same seed makes the same ones.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only this target; may be given several times. All of them when absent.
    #[arg(long, value_name = "NAME")]
    target: Vec<String>,
    /// Stop after so many minutes in all; every target gets its share.
    #[arg(long)]
    minutes: Option<f64>,
    /// Where inputs that are findings are saved.
    #[arg(long, value_name = "DIR", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/target/findings"))]
    findings: PathBuf,
    /// Read this saved input instead, with the one target that is named.
    #[arg(long, value_name = "FILE")]
    replay: Option<PathBuf>,
}

fn main() -> Result<ExitCode> {
    let arguments = Arc::new(Arguments::parse());
    let targets = chosen(&arguments.target)?;
    target::note_panics();
    let shared = Path::new("/dev/shm");
    let mut place = tempfile::Builder::new();
    place.prefix("sbmoe-fuzz-");
    let place = if shared.is_dir() { place.tempdir_in(shared) } else { place.tempdir() }?;
    println!("inputs pass through {}; what ends the program stays there", place.path().display());

    let watch = Arc::new(Watch::default());
    let reader = {
        let (arguments, watch, folder) =
            (Arc::clone(&arguments), Arc::clone(&watch), place.path().to_owned());
        let work = move || run(&arguments, &targets, &folder, &watch);
        std::thread::Builder::new().stack_size(STACK_BYTES).spawn(work)?
    };
    while !reader.is_finished() {
        std::thread::sleep(Duration::from_millis(100));
        if let Some((target, number, bytes)) = watch.stuck() {
            let path = findings::save(&arguments.findings, target, number, &bytes)?;
            println!("{target}: input {number} takes more than {:?}: {}", watch::STUCK, path.display());
            return Ok(ExitCode::FAILURE);
        }
    }
    let findings = reader.join().map_err(|_| anyhow!("a fault of this program: {:?}", target::noted()))??;
    for line in findings.lines() {
        println!("{line}");
    }
    let peak = memory::peak_resident().map_or_else(|| "unknown".to_owned(), |mib| format!("{mib} MiB"));
    println!("{} findings; peak memory {peak}", findings.count());
    Ok(if findings.count() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The targets of these names, or all.
fn chosen(names: &[String]) -> Result<Vec<Target>> {
    let mut targets = targets::all();
    for name in names {
        let known: Vec<&str> = targets.iter().map(|target| target.name).collect();
        ensure!(
            known.contains(&name.as_str()),
            "there is no target `{name}`; choose one of {}",
            known.join(", ")
        );
    }
    targets.retain(|target| names.is_empty() || names.iter().any(|name| name == target.name));
    Ok(targets)
}

/// Reads all inputs of all targets.
fn run(arguments: &Arguments, targets: &[Target], folder: &Path, watch: &Watch) -> Result<Findings> {
    let mut findings = Findings::new(&arguments.findings);
    let mut try_one = |target: &Target, folder: &Path, number: u64, bytes: Vec<u8>| -> Result<bool> {
        fs_err::write(folder.join(target.file), &bytes)?;
        watch.begin(target.name, number, bytes);
        let outcome = target.attempt(folder);
        let bytes = watch.end();
        let is_read = *outcome.as_ref().unwrap_or(&false);
        if let Err(fault) = outcome
            && let Some(path) = findings.add(target.name, number, &bytes, fault)?
        {
            println!("{}: input {number} is a finding: {}", target.name, path.display());
        }
        Ok(is_read)
    };
    let share =
        arguments.minutes.map(|minutes| Duration::from_secs_f64(60.0 * minutes / targets.len() as f64));
    for target in targets {
        let folder = folder.join(target.name);
        target.prepare(&folder)?;
        if let Some(path) = &arguments.replay {
            ensure!(targets.len() == 1, "`--replay` needs the one `--target` that reads the file");
            try_one(target, &folder, 0, fs_err::read(path)?)?;
            continue;
        }
        let start = Instant::now();
        let (mut number, mut read) = (0, 0);
        while number < arguments.inputs && share.is_none_or(|share| start.elapsed() < share) {
            let context = || format!("{}: input {number}", target.name);
            let bytes = target.input(arguments.seed, number);
            read += u64::from(try_one(target, &folder, number, bytes).with_context(context)?);
            number += 1;
        }
        let seconds = start.elapsed().as_secs_f64();
        println!("{}: {number} inputs in {seconds:.1} s, of which {read} were read to the end", target.name);
    }
    Ok(findings)
}
