//! Lines of a text file, plain or gzipped, with their numbers.
//!
//! Whether a file is gzipped is read from its first two bytes, not from its name. One line is in memory at a time.

use std::{
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use crate::{Error, gzip};

const BUFFER_BYTES: usize = 1 << 17;
const BYTE_ORDER_MARK: &str = "\u{feff}";

/// What a line should say, and what it says: an error that does not know yet where it stands.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) expected: String,
    pub(crate) found: String,
}

impl Fault {
    pub(crate) fn new(expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self { expected: expected.into(), found: found.into() }
    }
}

/// A text file being read line by line.
pub(crate) struct Lines {
    reader: Box<dyn BufRead + Send>,
    path: PathBuf,
    number: u64,
    buffer: Vec<u8>,
    ended: bool,
}

impl Lines {
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        Self::from_reader(fs_err::File::open(path)?, path)
    }

    /// The lines of what `reader` gives, which stands at `path`.
    pub(crate) fn from_reader(reader: impl Read + Send + 'static, path: &Path) -> Result<Self, Error> {
        let mut file = BufReader::with_capacity(BUFFER_BYTES, reader);
        let is_gzip = file.fill_buf()?.starts_with(&gzip::MAGIC);
        let reader: Box<dyn BufRead + Send> = if is_gzip {
            Box::new(BufReader::with_capacity(BUFFER_BYTES, gzip::Members::new(file)))
        } else {
            Box::new(file)
        };
        Ok(Self { reader, path: path.to_owned(), number: 0, buffer: Vec::new(), ended: false })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The number of the line that was read last, counted from 1; 0 before the first.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// The next line without its line ending, or `None` at the end.
    ///
    /// A line that is not UTF-8 is an error after which reading goes on; after a failure of the file itself nothing
    /// more comes.
    pub(crate) fn next_line(&mut self) -> Result<Option<&str>, Error> {
        if self.ended {
            return Ok(None);
        }
        self.buffer.clear();
        match self.reader.read_until(b'\n', &mut self.buffer) {
            Ok(0) => {
                self.ended = true;
                return Ok(None);
            }
            Ok(_) => self.number += 1,
            Err(source) => {
                self.ended = true;
                return Err(Error::Read { path: self.path.clone(), line: self.number + 1, source });
            }
        }
        match str::from_utf8(&self.buffer) {
            Ok(line) => {
                let line =
                    if self.number == 1 { line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line) } else { line };
                let line = line.strip_suffix('\n').unwrap_or(line);
                Ok(Some(line.strip_suffix('\r').unwrap_or(line)))
            }
            Err(error) => Err(self.malformed(Fault::new(
                "UTF-8 text",
                format!("an invalid byte at column {}", error.valid_up_to() + 1),
            ))),
        }
    }

    /// The error of a fault found on the line that was read last.
    pub(crate) fn malformed(&self, fault: Fault) -> Error {
        self.malformed_at(self.number, fault)
    }

    /// The error of a fault found on an earlier line.
    pub(crate) fn malformed_at(&self, line: u64, fault: Fault) -> Error {
        Error::Malformed { path: self.path.clone(), line, expected: fault.expected, found: fault.found }
    }
}
