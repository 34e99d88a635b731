//! Gzip files as `gzip -d` reads them: any number of members, and zero bytes behind the last.
//!
//! Tapes and some stores pad a file with zero bytes to a whole block; flate2's own reader of several members takes them for
//! a broken header.

use std::io::{self, BufRead, Read};

use flate2::bufread::GzDecoder;

/// The first bytes of a gzip member (RFC 1952, section 2.3.1).
pub(crate) const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The text of all members of a gzip file.
pub(crate) struct Members<R> {
    /// The member being read; `None` after the last.
    member: Option<GzDecoder<R>>,
}

impl<R: BufRead> Members<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self { member: Some(GzDecoder::new(reader)) }
    }
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            let read = member.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            let mut reader = self.member.take().expect("a member was just read").into_inner();
            if skip_zeros(&mut reader)? {
                self.member = Some(GzDecoder::new(reader));
            }
        }
        Ok(0)
    }
}

/// Passes over zero bytes; whether anything follows.
fn skip_zeros(reader: &mut impl BufRead) -> io::Result<bool> {
    loop {
        let bytes = reader.fill_buf()?;
        if bytes.is_empty() {
            return Ok(false);
        }
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        let is_over = zeros < bytes.len();
        reader.consume(zeros);
        if is_over {
            return Ok(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Write as _};

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn member(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    fn read(bytes: &[u8]) -> io::Result<String> {
        let mut text = String::new();
        // A small buffer, so that the padding spans several.
        Members::new(BufReader::with_capacity(64, bytes)).read_to_string(&mut text)?;
        Ok(text)
    }

    #[test]
    fn members_and_padding_are_read_as_gzip_reads_them() {
        let (padding, two) = (vec![0; 512], [member("one\n"), member("two\n")].concat());
        assert_eq!(read(&member("one\n")).unwrap(), "one\n");
        assert_eq!(read(&[two.clone(), padding.clone()].concat()).unwrap(), "one\ntwo\n");
        assert_eq!(read(&[member(""), padding.clone(), member("two\n")].concat()).unwrap(), "two\n");
        read(&[two.clone(), padding, b"garbage".to_vec()].concat()).expect_err("what follows is no gzip");
        read(&two[..two.len() - 3]).expect_err("the second member is cut short");
    }
}
