//! Large pieces of the system's memory, handed out in cache lines and never given back before the end.
//!
//! A step asks for the same gigabytes as the one before it, in other sizes: lists of freed memory by size would send
//! half of it back to the system and fetch it again, page by page. Here, neighbours that are free grow together, and
//! what was touched once stays.

use std::alloc::{Layout, handle_alloc_error};
use std::collections::BTreeMap;
use std::ptr::NonNull;
use std::slice;

use memmap2::{MmapMut, MmapRaw};

/// Numbers in a cache line, which is also one AVX-512 register.
pub(super) const LINE: usize = 16;

/// Bytes of a cache line.
const BYTES: usize = LINE * size_of::<f32>();

/// Bytes of the first slab. Memory that nobody touched is only a range of addresses.
const FIRST: usize = 64 << 20;

/// The processor's large pages: a slab is a whole number of them.
const LARGE_PAGE: usize = 2 << 20;

/// Lines that somebody has to himself until he gives them back.
#[derive(Debug)]
pub(super) struct Room {
    start: NonNull<f32>,
    slab: usize,
    first: usize,
    lines: usize,
}

// SAFETY: a room is the only one of its lines, as a `Vec` is of its elements; the numbers have no thread of their own.
unsafe impl Send for Room {}
// SAFETY: as above; shared rooms are only read.
unsafe impl Sync for Room {}

impl Room {
    pub(super) fn numbers(&self) -> &[f32] {
        // SAFETY: the lines lie in a mapping that its owner keeps, were zeros at first, and belong to this room alone.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.lines * LINE) }
    }

    pub(super) fn numbers_mut(&mut self) -> &mut [f32] {
        // SAFETY: as in `numbers`; the borrow is exclusive.
        unsafe { slice::from_raw_parts_mut(self.start.as_ptr(), self.lines * LINE) }
    }
}

/// The slabs. Rooms point into them: the arena has to outlive them all.
#[derive(Debug, Default)]
pub(super) struct Arena(Vec<Slab>);

#[derive(Debug)]
struct Slab {
    /// An address, never a borrow of the whole: rooms in it are written by others meanwhile.
    memory: MmapRaw,
    /// Free lines: how many, by the first.
    holes: BTreeMap<usize, usize>,
    /// Lines from here on were never handed out.
    touched: usize,
}

impl Arena {
    /// Room for `len` numbers, and how many of them were used before; the others are zeros that nobody touched.
    pub(super) fn take(&mut self, len: usize) -> (Room, usize) {
        let lines = len.div_ceil(LINE).max(1);
        let found = (self.0.iter_mut().enumerate())
            .find_map(|(index, slab)| slab.take(lines).map(|(first, used)| (index, first, used)));
        let (slab, first, used) = found.unwrap_or_else(|| {
            self.0.push(Slab::new(lines.max(self.lines())));
            let (first, used) =
                self.0.last_mut().and_then(|slab| slab.take(lines)).expect("a slab that was made for it");
            (self.0.len() - 1, first, used)
        });
        let start = self.0[slab].line(first);
        (Room { start, slab, first, lines }, (used * LINE).min(len))
    }

    /// Lines that others may have from now on: the caller drops the room.
    pub(super) fn take_back(&mut self, room: &Room) {
        self.0[room.slab].take_back(room.first, room.lines);
    }

    /// Lines of all slabs.
    fn lines(&self) -> usize {
        self.0.iter().map(|slab| slab.memory.len() / BYTES).sum()
    }
}

impl Slab {
    fn new(lines: usize) -> Self {
        let bytes = (lines * BYTES).max(FIRST).next_multiple_of(LARGE_PAGE);
        let Ok(memory) = MmapMut::map_anon(bytes).map(MmapRaw::from) else {
            handle_alloc_error(
                Layout::from_size_align(bytes, BYTES).expect("a slab is smaller than the addresses"),
            )
        };
        // Where the system has no large pages to give, small ones serve as well, only slower. Miri has no such call.
        #[cfg(all(target_os = "linux", not(miri)))]
        let _ = memory.advise(memmap2::Advice::HugePage);
        Self { memory, holes: BTreeMap::from([(0, bytes / BYTES)]), touched: 0 }
    }

    /// Where a line begins.
    fn line(&self, number: usize) -> NonNull<f32> {
        let byte = number * BYTES;
        assert!(byte < self.memory.len(), "line {number} of {} bytes", self.memory.len());
        // SAFETY: the byte lies in the mapping, which is one allocation.
        let start = unsafe { self.memory.as_mut_ptr().add(byte) };
        NonNull::new(start).expect("a mapping is not at address 0").cast()
    }

    /// The first of `lines` free ones, and how many of these were used before. The lowest hole is taken: what lives long
    /// gathers below, and the upper end stays whole.
    fn take(&mut self, lines: usize) -> Option<(usize, usize)> {
        let (&first, &size) = self.holes.iter().find(|&(_, &size)| size >= lines)?;
        self.holes.remove(&first);
        if size > lines {
            self.holes.insert(first + lines, size - lines);
        }
        let used = self.touched.saturating_sub(first).min(lines);
        self.touched = self.touched.max(first + lines);
        Some((first, used))
    }

    /// Free lines, grown together with their free neighbours.
    fn take_back(&mut self, mut first: usize, mut lines: usize) {
        if let Some(next) = self.holes.remove(&(first + lines)) {
            lines += next;
        }
        if let Some((&before, &size)) = self.holes.range(..first).next_back()
            && before + size == first
        {
            (first, lines) = (before, lines + size);
        }
        self.holes.insert(first, lines);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rooms_never_overlap_and_all_that_is_given_back_is_one_hole_again() {
        let (mut arena, mut rooms) = (Arena::default(), Vec::new());
        let mut dice = 7_u64;
        for turn in 0..if cfg!(miri) { 60 } else { 4000_u32 } {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let roll = (dice >> 33) as usize;
            if roll % 5 < 2 && !rooms.is_empty() {
                let (mark, room): (u32, Room) = rooms.swap_remove(roll % rooms.len());
                assert!(
                    room.numbers().iter().all(|x| x.to_bits() == mark),
                    "somebody else wrote into a room"
                );
                arena.take_back(&room);
            } else {
                let (mut room, _) = arena.take(roll % 3000);
                assert_eq!(room.numbers().as_ptr() as usize % BYTES, 0);
                room.numbers_mut().fill(f32::from_bits(turn));
                rooms.push((turn, room));
            }
        }
        for (_, room) in rooms {
            arena.take_back(&room);
        }
        let whole: Vec<_> = arena.0[0].holes.iter().map(|(&first, &lines)| (first, lines)).collect();
        assert_eq!(whole, [(0, FIRST / BYTES)]);
    }

    #[test]
    fn the_numbers_that_are_not_used_ones_are_zeros() {
        let mut arena = Arena::default();
        let (mut room, used) = arena.take(100);
        assert_eq!(used, 0);
        room.numbers_mut().fill(1.0);
        arena.take_back(&room);
        let (room, used) = arena.take(1000);
        assert_eq!(used, 7 * LINE);
        assert!(room.numbers()[used..].iter().all(|&x| x.to_bits() == 0));
    }

    #[test]
    fn what_no_slab_holds_gets_one_that_does() {
        let mut arena = Arena::default();
        let (small, _) = arena.take(10);
        let (mut large, used) = arena.take(FIRST);
        assert_eq!((large.slab, used), (1, 0));
        large.numbers_mut()[FIRST - 1] = 1.0;
        arena.take_back(&small);
        arena.take_back(&large);
        assert_eq!(arena.take(FIRST).1, FIRST);
    }
}
