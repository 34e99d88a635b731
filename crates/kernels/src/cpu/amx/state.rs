//! Whether there are tiles, and their shapes: a state of each thread.

use std::arch::asm;
use std::sync::LazyLock;

use super::SIDE;
use crate::cpu::lanes::LANES;

/// Whether the processor has tiles of bf16 and bytes, and the system lets this process use them.
pub(in crate::cpu) fn is_available() -> bool {
    static IS_AVAILABLE: LazyLock<bool> = LazyLock::new(|| {
        // Bits of leaf 7: AMX-BF16, AMX-TILE and AMX-INT8.
        let needed = 1 << 22 | 1 << 24 | 1 << 25;
        let highest = std::arch::x86_64::__cpuid(0).eax;
        highest >= 7 && std::arch::x86_64::__cpuid_count(7, 0).edx & needed == needed && is_granted()
    });
    *IS_AVAILABLE
}

/// Asks the system for the state of the tiles, which no thread has without asking; it holds for all threads.
#[cfg(target_os = "linux")]
fn is_granted() -> bool {
    const ARCH_PRCTL: i64 = 158;
    const REQUEST_PERMISSION: u64 = 0x1023;
    const TILE_DATA: u64 = 18;
    let mut result = ARCH_PRCTL;
    // SAFETY: the call changes what the process may do, and none of its memory; it destroys two registers.
    unsafe {
        asm!("syscall", inlateout("rax") result, in("rdi") REQUEST_PERMISSION, in("rsi") TILE_DATA,
            out("rcx") _, out("r11") _, options(nostack));
    }
    result == 0
}

/// Other systems are not asked.
#[cfg(not(target_os = "linux"))]
fn is_granted() -> bool {
    false
}

/// The shapes of the tiles, as the processor reads them.
#[repr(C, align(64))]
struct Shapes([u8; 64]);

impl Shapes {
    /// For so many rows and words of the inner index at a time.
    fn new(rows: usize, words: usize) -> Self {
        let (upper, lower) = (rows.min(SIDE), rows.saturating_sub(SIDE));
        let mut bytes = [0; 64];
        bytes[0] = 1;
        let sums = [upper, upper, lower, lower].map(|rows| (rows, LANES));
        let operands = [(upper, words), (lower, words), (words, LANES), (words, LANES)];
        for (tile, (rows, words)) in sums.into_iter().chain(operands).enumerate() {
            // A tile without rows must have no columns either.
            bytes[16 + 2 * tile] = if rows > 0 { 4 * words as u8 } else { 0 };
            bytes[48 + tile] = rows as u8;
        }
        Self(bytes)
    }
}

/// The state of this thread's tiles, given back when it is dropped: the system then has none to save.
pub(super) struct Tiles;

impl Tiles {
    /// Tiles for so many rows and words of the inner index at a time.
    ///
    /// # Safety
    /// The processor has tiles, this process may use them, and the thread has none.
    pub(super) unsafe fn shaped(rows: usize, words: usize) -> Self {
        let shapes = Shapes::new(rows, words);
        // SAFETY: the caller's word; the shapes are ones that the processor takes.
        unsafe {
            asm!("ldtilecfg [{}]", in(reg) &raw const shapes, options(nostack, readonly, preserves_flags));
        }
        Self
    }
}

impl Drop for Tiles {
    fn drop(&mut self) {
        // SAFETY: the tiles were shaped, so the processor has them.
        unsafe { asm!("tilerelease", options(nostack, nomem, preserves_flags)) };
    }
}
