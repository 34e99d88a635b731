//! How much memory an input asks for: an allocator that counts, and the kernel's own word at the end.
//!
//! A header that claims a million million numbers asks for memory that the system promises and never has to give, so that
//! only the request shows it. What is mapped from files is not counted.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The bytes beyond which nothing more is given: a program that asks ends there, and the machine lives on.
const MOST_BYTES: usize = 4 << 30;

static NOW: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator, with a count of what is in use.
pub struct Counting;

// SAFETY: all blocks come from the system's allocator and go back to it with the layout that they came with.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract of the system's allocator.
        counted(layout.size(), || unsafe { System.alloc(layout) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        counted(layout.size(), || unsafe { System.alloc_zeroed(layout) })
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }
}

fn counted(bytes: usize, allocate: impl FnOnce() -> *mut u8) -> *mut u8 {
    let now = NOW.fetch_add(bytes, Relaxed).saturating_add(bytes);
    MOST.fetch_max(now, Relaxed);
    let block = if now > MOST_BYTES { std::ptr::null_mut() } else { allocate() };
    if block.is_null() {
        NOW.fetch_sub(bytes, Relaxed);
    }
    block
}

/// Begins to watch: what is in use from now on counts.
pub fn begin() -> usize {
    let now = NOW.load(Relaxed);
    MOST.store(now, Relaxed);
    now
}

/// The most bytes beyond those at the beginning that were asked for since.
pub fn most_since(beginning: usize) -> usize {
    MOST.load(Relaxed).saturating_sub(beginning)
}

/// The most memory that this process ever had, in MiB, as the kernel counts it; `None` where it does not say.
pub fn peak_resident() -> Option<u64> {
    let status = fs_err::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? / 1024)
}
