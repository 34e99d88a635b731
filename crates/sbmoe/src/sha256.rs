//! SHA-256 of several parts, or of what is read, as hexadecimal digits.

use std::fmt::Write as _;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest as _, Sha256};

/// A hash of a sequence of parts; where one ends and the next begins counts.
#[derive(Default)]
pub(crate) struct Sha256Hex(Sha256);

impl Sha256Hex {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds a part.
    pub(crate) fn part(&mut self, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    /// 64 digits.
    pub(crate) fn finish(self) -> String {
        digits(self.0)
    }
}

/// The hash of what a reader has given so far.
#[derive(Clone)]
pub(crate) struct ReadChecksum(Arc<Mutex<Sha256>>);

impl ReadChecksum {
    /// 64 digits.
    pub(crate) fn finish(self) -> String {
        digits(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

/// What `reader` gives, hashed on its way.
pub(crate) fn hashed(reader: impl Read + Send + 'static) -> (impl Read + Send + 'static, ReadChecksum) {
    let hash = Arc::new(Mutex::new(Sha256::new()));
    (Hashed { reader, hash: Arc::clone(&hash) }, ReadChecksum(hash))
}

struct Hashed<R> {
    reader: R,
    hash: Arc<Mutex<Sha256>>,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.hash.lock().unwrap_or_else(PoisonError::into_inner).update(&buffer[..read]);
        Ok(read)
    }
}

fn digits(hash: Sha256) -> String {
    hash.finalize().iter().fold(String::with_capacity(64), |mut digits, byte| {
        // Writing to a `String` cannot fail.
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}
