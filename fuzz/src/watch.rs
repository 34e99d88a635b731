//! What the watchdog looks at: the input that is being read, and since when.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The time after which an input is given up, and with it the run: a loop that does not end cannot be left otherwise.
pub const STUCK: Duration = Duration::from_secs(10);

/// The input under test; shared by the thread that reads it and the one that watches.
#[derive(Default)]
pub struct Watch(Mutex<Option<Current>>);

struct Current {
    target: &'static str,
    number: u64,
    bytes: Vec<u8>,
    since: Instant,
}

impl Watch {
    /// An input begins.
    pub fn begin(&self, target: &'static str, number: u64, bytes: Vec<u8>) {
        *self.current() = Some(Current { target, number, bytes, since: Instant::now() });
    }

    /// The input is done; its bytes come back.
    pub fn end(&self) -> Vec<u8> {
        self.current().take().map(|current| current.bytes).unwrap_or_default()
    }

    /// Target, number and bytes of an input that takes too long.
    pub fn stuck(&self) -> Option<(&'static str, u64, Vec<u8>)> {
        let current = self.current();
        let current = current.as_ref().filter(|current| current.since.elapsed() > STUCK)?;
        Some((current.target, current.number, current.bytes.clone()))
    }

    fn current(&self) -> MutexGuard<'_, Option<Current>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
