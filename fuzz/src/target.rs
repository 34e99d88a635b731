//! A parser under test, and its trial of one input.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::{memory, mutate::mutate, random::Random};

/// The time beyond which an input is a finding: what is this small should take milliseconds.
const SLOW: Duration = Duration::from_secs(2);

/// The memory beyond which an input is a finding, in bytes: no format here means that much in so few bytes.
const LARGE: usize = 512 << 20;

/// Names and contents of files.
pub type Files = Vec<(&'static str, Vec<u8>)>;

/// A parser: which file of a folder is mutated, and how the folder is read.
pub struct Target {
    /// Its name on the command line.
    pub name: &'static str,
    /// The mutated file's name.
    pub file: &'static str,
    /// The valid files beside it.
    pub beside: Files,
    /// Valid inputs, at least one.
    pub seeds: Vec<Vec<u8>>,
    /// What the format calls its parts.
    pub dictionary: Vec<Vec<u8>>,
    /// Makes the file of an input: the identity, or what has to be right for a reader to look at the rest.
    pub frame: fn(Vec<u8>) -> Vec<u8>,
    /// Reads the folder, and uses what it read as the program does; `None` where it is refused.
    pub read: fn(&Path) -> Option<()>,
}

/// What was wrong with an input.
pub struct Fault {
    /// Faults of one kind have one of these: the place of the panic.
    pub kind: String,
    /// What it said, or the time or memory that it took.
    pub detail: String,
}

/// The last panic on any thread: its place and what it said.
static PANIC: Mutex<Option<(String, String)>> = Mutex::new(None);

/// Notes panics instead of printing them: those that a parser catches itself are no findings.
pub fn note_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let said = panic.payload_as_str().unwrap_or_default().to_owned();
        *PANIC.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some((place, said));
    }));
}

/// Takes the last panic: its place and what it said.
pub fn noted() -> Option<(String, String)> {
    PANIC.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take()
}

impl Target {
    /// The input of this number, as the bytes of the file.
    pub fn input(&self, seed: u64, number: u64) -> Vec<u8> {
        let mut random = Random::of(seed, self.name, number);
        (self.frame)(mutate(&mut random, &self.seeds, &self.dictionary))
    }

    /// Writes the files that are not mutated.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn prepare(&self, folder: &Path) -> std::io::Result<()> {
        for (name, content) in self.beside.iter().chain([&(self.file, Vec::new())]) {
            let path = folder.join(name);
            fs_err::create_dir_all(path.parent().unwrap_or(folder))?;
            fs_err::write(path, content)?;
        }
        Ok(())
    }

    /// Reads a folder whose mutated file is in place.
    ///
    /// # Errors
    /// What was wrong with the parser; a file that is refused as it should be is `false`.
    pub fn attempt(&self, folder: &Path) -> Result<bool, Fault> {
        let (beginning, start) = (memory::begin(), Instant::now());
        let outcome = catch_unwind(AssertUnwindSafe(|| (self.read)(folder)));
        let (time, bytes) = (start.elapsed(), memory::most_since(beginning));
        let noted = noted();
        let Ok(read) = outcome else {
            let (kind, detail) = noted.unwrap_or_default();
            return Err(Fault { kind: format!("panic at {kind}"), detail });
        };
        if time > SLOW {
            Err(Fault { kind: "slow".to_owned(), detail: format!("{:.1} s", time.as_secs_f64()) })
        } else if bytes > LARGE {
            Err(Fault { kind: "memory".to_owned(), detail: format!("{} MiB", bytes >> 20) })
        } else {
            Ok(read.is_some())
        }
    }
}
