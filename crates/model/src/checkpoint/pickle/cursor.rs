//! Reading the operands of pickle instructions, with the position for errors.

use super::PickleError;

/// A position in a pickle's bytes.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Cursor<'a> {
    /// A cursor at `position`, which may lie behind the end.
    pub(super) fn new(bytes: &'a [u8], position: usize) -> Self {
        Self { bytes, position }
    }

    pub(super) fn position(&self) -> usize {
        self.position
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], PickleError> {
        let end = self.position.checked_add(count).filter(|end| *end <= self.bytes.len());
        let Some(end) = end else {
            return Err(PickleError::Truncated { offset: self.bytes.len() });
        };
        let taken = &self.bytes[self.position..end];
        self.position = end;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], PickleError> {
        Ok(*self.take(N)?.first_chunk().expect("`take` returns as many bytes as asked for"))
    }

    pub(super) fn byte(&mut self) -> Result<u8, PickleError> {
        Ok(self.array::<1>()?[0])
    }

    pub(super) fn u16(&mut self) -> Result<u16, PickleError> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(super) fn u32(&mut self) -> Result<u32, PickleError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(super) fn u64(&mut self) -> Result<u64, PickleError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// A string of `count` bytes; bytes that are not UTF-8 are refused.
    pub(super) fn text(&mut self, count: usize) -> Result<&'a str, PickleError> {
        let offset = self.position;
        let bytes = self.take(count)?;
        std::str::from_utf8(bytes)
            .map_err(|error| PickleError::Malformed { offset, reason: format!("a string that is {error}") })
    }

    /// The rest of the line, without its end.
    pub(super) fn line(&mut self) -> Result<&'a str, PickleError> {
        let rest = self.bytes.get(self.position..).unwrap_or_default();
        let Some(length) = rest.iter().position(|byte| *byte == b'\n') else {
            return Err(PickleError::Truncated { offset: self.bytes.len() });
        };
        let line = self.text(length)?;
        self.position += 1;
        Ok(line.strip_suffix('\r').unwrap_or(line))
    }

    /// A signed integer of `count` bytes, little-endian; `None` if it does not fit `i64`.
    pub(super) fn integer(&mut self, count: usize) -> Result<Option<i64>, PickleError> {
        let bytes = self.take(count)?;
        let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
        let filler = if negative { 0xff } else { 0 };
        let mut wide = [filler; 8];
        let kept = count.min(8);
        wide[..kept].copy_from_slice(&bytes[..kept]);
        let value = i64::from_le_bytes(wide);
        let fits = bytes[kept..].iter().all(|byte| *byte == filler) && (value < 0) == negative;
        Ok(fits.then_some(value))
    }
}
