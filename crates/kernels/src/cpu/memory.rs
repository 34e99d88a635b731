//! Aligned numbers, and the list of freed memory that spares each step its allocations.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::slice;
use std::sync::{Arc, Mutex, PoisonError};

use super::prepared::Prepared;

/// Numbers in a line.
const LINE: usize = 16;

/// One cache line, which is also one AVX-512 register.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; LINE]);

/// A flat array of f32 that starts on a cache line; dropping it returns the memory to its [`Cpu`](crate::Cpu).
#[derive(Debug)]
pub struct Buffer {
    lines: Vec<Line>,
    len: usize,
    /// The numbers, or what they are rounded to, laid out for products; gone as soon as they may have changed.
    prepared: Option<Box<Prepared>>,
    home: Arc<Memory>,
}

impl Buffer {
    /// The layout for products, if one was made since the last change.
    pub(super) fn prepared(&self) -> Option<&Prepared> {
        self.prepared.as_deref()
    }

    /// Keeps a layout for products until the next change.
    pub(super) fn set_prepared(&mut self, prepared: Prepared) {
        self.prepared = Some(Box::new(prepared));
    }
}

/// The numbers as 32-bit words, for scratch memory that holds integers.
pub(super) fn words(values: &[f32]) -> &[i32] {
    // SAFETY: i32 has the size and the alignment of f32, and every pattern of bits is one.
    unsafe { slice::from_raw_parts(values.as_ptr().cast(), values.len()) }
}

/// As [`words`], to write.
pub(super) fn words_mut(values: &mut [f32]) -> &mut [i32] {
    // SAFETY: as in `words`; every pattern of bits is an f32 too, and the borrow is exclusive.
    unsafe { slice::from_raw_parts_mut(values.as_mut_ptr().cast(), values.len()) }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        // SAFETY: `lines` holds at least `len` initialised f32 side by side (`Line` is `repr(C)` without padding), and
        // the slice borrows `self`.
        unsafe { slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        self.prepared = None;
        // SAFETY: as in `deref`; the borrow of `self` is exclusive.
        unsafe { slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.home.take_back(std::mem::take(&mut self.lines));
    }
}

/// Freed memory by size.
///
/// What is held here and what is in use together never exceed the most that was in use at once.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<Lists>);

#[derive(Debug, Default)]
struct Lists {
    free: BTreeMap<usize, Vec<Vec<Line>>>,
    /// Lines in `free`.
    held: usize,
    /// Lines in buffers.
    used: usize,
    /// The most that `used` has been.
    most: usize,
}

impl Memory {
    /// `len` numbers: zeros when the memory is new, old contents when it is not.
    pub(super) fn scratch(self: &Arc<Self>, len: usize) -> Buffer {
        let size = rounded(len.div_ceil(LINE));
        let lines = self.take(size).unwrap_or_else(|| vec![Line([0.0; LINE]); size]);
        Buffer { lines, len, prepared: None, home: Arc::clone(self) }
    }

    /// A copy of `values`; new memory is written once.
    pub(super) fn copied(self: &Arc<Self>, values: &[f32]) -> Buffer {
        let size = rounded(values.len().div_ceil(LINE));
        let mut lines = self.take(size).unwrap_or_else(|| Vec::with_capacity(size));
        let size = lines.len().max(size);
        lines.clear();
        let (whole, rest) = values.as_chunks();
        lines.extend(whole.iter().map(|line| Line(*line)));
        if !rest.is_empty() {
            let mut last = Line([0.0; LINE]);
            last.0[..rest.len()].copy_from_slice(rest);
            lines.push(last);
        }
        lines.resize(size, Line([0.0; LINE]));
        Buffer { lines, len: values.len(), prepared: None, home: Arc::clone(self) }
    }

    /// `len` zeros.
    pub(super) fn zeros(self: &Arc<Self>, len: usize) -> Buffer {
        let mut buffer = self.scratch(len);
        buffer.fill(0.0);
        buffer
    }

    fn take(&self, size: usize) -> Option<Vec<Line>> {
        let mut lists = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = lists
            .free
            .range(size..=size + size / 4)
            .find(|(_, free)| !free.is_empty())
            .map(|(&size, _)| size);
        let lines = found.and_then(|size| lists.free.get_mut(&size)?.pop());
        let taken = lines.as_ref().map_or(size, Vec::len);
        lists.held -= lines.as_ref().map_or(0, Vec::len);
        lists.used += taken;
        lists.most = lists.most.max(lists.used);
        lists.trim();
        lines
    }

    fn take_back(&self, lines: Vec<Line>) {
        let mut lists = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lists.used -= lines.len();
        lists.held += lines.len();
        if !lines.is_empty() {
            lists.free.entry(lines.len()).or_default().push(lines);
        }
    }
}

impl Lists {
    /// Gives the largest pieces back to the system until the bound holds.
    fn trim(&mut self) {
        while self.held + self.used > self.most {
            let Some(mut entry) = self.free.last_entry() else { break };
            match entry.get_mut().pop() {
                Some(lines) => self.held -= lines.len(),
                None => drop(entry.remove()),
            }
        }
    }
}

/// Sizes that differ little share memory: at most an eighth is added.
fn rounded(size: usize) -> usize {
    let step = (size.max(1).next_power_of_two() / 16).max(1);
    size.next_multiple_of(step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropped_memory_is_used_again_and_zeros_are_zeros() {
        let memory = Arc::new(Memory::default());
        let mut first = memory.scratch(1000);
        first.fill(3.0);
        let address = first.as_ptr();
        assert_eq!(address as usize % 64, 0);
        drop(first);
        let second = memory.scratch(999);
        assert_eq!(second.as_ptr(), address);
        assert_eq!(second.len(), 999);
        drop(second);
        assert!(memory.zeros(990).iter().all(|&x| x.to_bits() == 0));
    }

    #[test]
    fn memory_held_is_bounded_by_the_most_in_use_at_once() {
        let memory = Arc::new(Memory::default());
        for size in 1..50 {
            drop(memory.scratch(size * 1000));
        }
        let lists = memory.0.lock().expect("no thread panicked");
        assert_eq!(lists.used, 0);
        assert!(lists.held <= lists.most);
        assert!(lists.most <= rounded(49_000_usize.div_ceil(LINE)));
    }
}
