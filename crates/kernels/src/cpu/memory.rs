//! Aligned numbers, in memory that a step's successor uses again.

use std::ops::{Deref, DerefMut};
use std::slice;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::arena::{Arena, Room};
use super::prepared::Prepared;
use crate::Numbers;

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
    /// The first `len` numbers of a room of its own, in this one of the arenas.
    Own { room: Room, len: usize, arena: usize },
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
pub(super) fn words_mut(values: &mut [f32]) -> &mut [i32] {
    // SAFETY: i32 has the size and the alignment of f32, every pattern of bits is one of either, and the borrow is
    // exclusive.
    unsafe { slice::from_raw_parts_mut(values.as_mut_ptr().cast(), values.len()) }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match &self.place {
            Place::Own { room, len, .. } => &room.numbers()[..*len],
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
            Place::Own { room, len, .. } => &mut room.numbers_mut()[..*len],
            Place::Shared(_) => unreachable!("shared numbers were copied"),
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Place::Own { room, arena, .. } = &self.place {
            self.home.arena(*arena).take_back(room);
        }
    }
}

/// As [`words_mut`], as bytes in the order of memory.
pub(super) fn bytes_mut(values: &mut [f32]) -> &mut [u8] {
    // SAFETY: four bytes are an f32, whatever they are; a byte has no alignment, and the borrow is exclusive.
    unsafe { slice::from_raw_parts_mut(values.as_mut_ptr().cast(), size_of_val(values)) }
}

/// The memory of all buffers of a [`Cpu`](crate::Cpu).
#[derive(Debug)]
pub(super) struct Memory {
    /// One a thread for what its tasks work in, and one for the rest.
    arenas: Vec<Mutex<Arena>>,
}

impl Memory {
    /// For so many threads.
    pub(super) fn new(threads: usize) -> Self {
        Self { arenas: (0..=threads).map(|_| Mutex::default()).collect() }
    }

    /// `len` numbers: zeros when the memory is new, old contents when it is not.
    pub(super) fn scratch(self: &Arc<Self>, len: usize) -> Buffer {
        self.take(len, self.common()).0
    }

    /// As [`Memory::scratch`], for what a task works in and gives back at its end: the thread is given what it had before,
    /// which its core's caches still hold. If two threads took turns with the same lines, each would wait for the
    /// other's cache.
    pub(super) fn near(self: &Arc<Self>, len: usize) -> Buffer {
        self.take(len, rayon::current_thread_index().unwrap_or(0) % self.common().max(1)).0
    }

    /// A copy of `values`.
    pub(super) fn copied(self: &Arc<Self>, values: &[f32]) -> Buffer {
        let mut buffer = self.scratch(values.len());
        buffer.copy_from_slice(values);
        buffer
    }

    /// A copy of rows from anywhere, one after another.
    pub(super) fn gathered(self: &Arc<Self>, rows: &[&[f32]]) -> Buffer {
        let mut buffer = self.scratch(rows.iter().map(|row| row.len()).sum());
        let mut rest = &mut buffer[..];
        for row in rows {
            let (own, after) = rest.split_at_mut(row.len());
            own.copy_from_slice(row);
            rest = after;
        }
        buffer
    }

    /// `len` zeros. New ones are not touched: who writes first waits for their pages, on its own thread.
    pub(super) fn zeros(self: &Arc<Self>, len: usize) -> Buffer {
        let (mut buffer, used) = self.take(len, self.common());
        buffer[..used].fill(0.0);
        buffer
    }

    /// Numbers that stay where they are until they are changed.
    pub(super) fn shared(self: &Arc<Self>, values: Arc<dyn Numbers>) -> Buffer {
        Buffer { place: Place::Shared(values), prepared: None, home: Arc::clone(self) }
    }

    /// `len` numbers of an arena, and how many of them were used before.
    fn take(self: &Arc<Self>, len: usize, arena: usize) -> (Buffer, usize) {
        let (room, used) = self.arena(arena).take(len);
        (Buffer { place: Place::Own { room, len, arena }, prepared: None, home: Arc::clone(self) }, used)
    }

    /// The arena that is no thread's own.
    fn common(&self) -> usize {
        self.arenas.len() - 1
    }

    fn arena(&self, number: usize) -> MutexGuard<'_, Arena> {
        self.arenas[number].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropped_memory_is_used_again_and_zeros_are_zeros() {
        let memory = Arc::new(Memory::new(1));
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
    fn a_thread_is_given_its_own_memory_again_whoever_gave_it_back() {
        let memory = Arc::new(Memory::new(2));
        // More threads than the memory knows of: two of them share.
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().expect("three threads");
        let mut taken = pool.broadcast(|_| memory.near(500));
        taken.push(memory.near(500));
        taken.iter_mut().enumerate().for_each(|(mark, buffer)| buffer.fill(mark as f32));
        for (mark, buffer) in taken.iter().enumerate() {
            assert!(
                buffer.iter().all(|x| x.to_bits() == (mark as f32).to_bits()),
                "nobody else writes there"
            );
        }
        let before: Vec<_> = taken.iter().map(|buffer| buffer.as_ptr() as usize).collect();
        drop(taken);
        // The first thread, the third and this one, which is none of the pool's, take from one arena: any of its three rooms.
        let again = pool.broadcast(|_| memory.near(500).as_ptr() as usize);
        assert_eq!(again[1], before[1], "the second thread has its own again, which this one gave back");
        for shared in [again[0], again[2]] {
            assert!(
                [before[0], before[2], before[3]].contains(&shared),
                "no new memory where some was given back"
            );
        }
    }
}
