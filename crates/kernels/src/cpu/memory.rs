//! Aligned numbers, and the list of freed memory that spares each step its allocations.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::slice;
use std::sync::{Arc, Mutex, PoisonError};

use super::prepared::Prepared;
use crate::Numbers;

/// Numbers in a cache line, which is also one AVX-512 register.
const LINE: usize = 16;

/// A flat array of f32 that starts on a cache line, unless it is shared; dropping it returns the memory to its [`Cpu`](crate::Cpu).
#[derive(Debug)]
pub struct Buffer {
    place: Place,
    /// The numbers, or what they are rounded to, laid out for products; gone as soon as they may have changed.
    prepared: Option<Box<Prepared>>,
    home: Arc<Memory>,
}

/// Where a buffer's numbers are.
#[derive(Debug)]
enum Place {
    /// `len` numbers from `start` in memory of its own.
    Own { room: Vec<f32>, start: usize, len: usize },
    /// Somebody else's memory, until the first change.
    Shared(Arc<dyn Numbers>),
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
        match &self.place {
            Place::Own { room, start, len } => &room[*start..][..*len],
            Place::Shared(values) => values.numbers(),
        }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        self.prepared = None;
        if let Place::Shared(values) = &self.place {
            *self = self.home.copied(values.numbers());
        }
        match &mut self.place {
            Place::Own { room, start, len } => &mut room[*start..][..*len],
            Place::Shared(_) => unreachable!("shared numbers were copied"),
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Place::Own { room, .. } = &mut self.place {
            self.home.take_back(std::mem::take(room));
        }
    }
}

/// Freed memory by size.
///
/// What is held here and what is in use together never exceed the most that was in use at once.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<Lists>);

#[derive(Debug, Default)]
struct Lists {
    free: BTreeMap<usize, Vec<Vec<f32>>>,
    /// Numbers in `free`.
    held: usize,
    /// Numbers in buffers.
    used: usize,
    /// The most that `used` has been.
    most: usize,
}

impl Memory {
    /// `len` numbers: zeros when the memory is new, old contents when it is not.
    pub(super) fn scratch(self: &Arc<Self>, len: usize) -> Buffer {
        let room = self.take(len).unwrap_or_else(|| vec![0.0; room_of(len)]);
        self.buffer(room, len)
    }

    /// A copy of `values`; new memory is written once.
    pub(super) fn copied(self: &Arc<Self>, values: &[f32]) -> Buffer {
        let mut room = self.take(values.len()).unwrap_or_else(|| Vec::with_capacity(room_of(values.len())));
        let size = room.len().max(room_of(values.len()));
        room.clear();
        room.resize(start_of(&room), 0.0);
        room.extend_from_slice(values);
        room.resize(size, 0.0);
        self.buffer(room, values.len())
    }

    /// `len` zeros. The system hands out new ones without touching them: who writes first waits for their pages, on its
    /// own thread.
    pub(super) fn zeros(self: &Arc<Self>, len: usize) -> Buffer {
        match self.take(len) {
            Some(room) => {
                let mut buffer = self.buffer(room, len);
                buffer.fill(0.0);
                buffer
            }
            None => self.buffer(vec![0.0; room_of(len)], len),
        }
    }

    fn buffer(self: &Arc<Self>, room: Vec<f32>, len: usize) -> Buffer {
        let place = Place::Own { start: start_of(&room), room, len };
        Buffer { place, prepared: None, home: Arc::clone(self) }
    }

    /// Numbers that stay where they are until they are changed.
    pub(super) fn shared(self: &Arc<Self>, values: Arc<dyn Numbers>) -> Buffer {
        Buffer { place: Place::Shared(values), prepared: None, home: Arc::clone(self) }
    }

    /// Freed memory for `len` numbers; without any, the caller is trusted to make some.
    fn take(&self, len: usize) -> Option<Vec<f32>> {
        let size = room_of(len);
        let mut lists = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = lists
            .free
            .range(size..=size + size / 4)
            .find(|(_, free)| !free.is_empty())
            .map(|(&size, _)| size);
        let room = found.and_then(|size| lists.free.get_mut(&size)?.pop());
        let taken = room.as_ref().map_or(size, Vec::len);
        lists.held -= room.as_ref().map_or(0, Vec::len);
        lists.used += taken;
        lists.most = lists.most.max(lists.used);
        lists.trim();
        room
    }

    fn take_back(&self, room: Vec<f32>) {
        let mut lists = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lists.used -= room.len();
        lists.held += room.len();
        lists.free.entry(room.len()).or_default().push(room);
    }
}

impl Lists {
    /// Gives the largest pieces back to the system until the bound holds.
    fn trim(&mut self) {
        while self.held + self.used > self.most {
            let Some(mut entry) = self.free.last_entry() else { break };
            match entry.get_mut().pop() {
                Some(room) => self.held -= room.len(),
                None => drop(entry.remove()),
            }
        }
    }
}

/// Numbers to ask for where `len` are needed: sizes that differ little share memory, at most an eighth is added; then
/// there is room to begin on a line.
fn room_of(len: usize) -> usize {
    let lines = len.div_ceil(LINE);
    let step = (lines.max(1).next_power_of_two() / 16).max(1);
    lines.next_multiple_of(step) * LINE + LINE - 1
}

/// The first number that begins a line.
fn start_of(room: &[f32]) -> usize {
    room.as_ptr().align_offset(LINE * size_of::<f32>())
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
        assert!(lists.most <= room_of(49_000));
    }
}
