//! AMX, by which Intel's Xeons multiply tiles: sixteen rows of sixteen words by sixteen words of a panel.
//!
//! Of the eight tiles four hold sums (32 rows by two panels), two words of the left operand, and two words of the right
//! one, whose panels need no other layout: sixteen of their rows are a tile.
//!
//! Sums are added in the order of the inner index, sixteen words an instruction. It takes numbers of bf16 below 2⁻¹²⁶ for zero.

use std::arch::asm;
use std::cell::RefCell;
use std::sync::LazyLock;

use super::form::Form;
use super::lanes::{LANES, Lanes};
use super::left::{Layout, Left};
use super::level::Level;
use super::packing::{Panels, Rows, pack_transposed};

/// Rows of a tile, and words of the inner index.
const SIDE: usize = 16;

/// Rows and panels whose sums the tiles hold.
const ROWS: usize = 2 * SIDE;

/// Whether the processor has tiles of bf16 and bytes, and the system lets this process use them.
pub(super) fn is_available() -> bool {
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
struct Tiles;

impl Tiles {
    /// # Safety
    /// The processor has tiles, and this process may use them.
    unsafe fn shape(&mut self, rows: usize, words: usize) {
        let shapes = Shapes::new(rows, words);
        // SAFETY: the caller's word; the shapes are ones that the processor takes.
        unsafe {
            asm!("ldtilecfg [{}]", in(reg) &raw const shapes, options(nostack, readonly, preserves_flags))
        };
    }
}

impl Drop for Tiles {
    fn drop(&mut self) {
        // SAFETY: the tiles were shaped, so the processor has them.
        unsafe { asm!("tilerelease", options(nostack, nomem, preserves_flags)) };
    }
}

/// Words of the left operand, with the distances in bytes from row to row and from tile to tile of the inner index.
#[derive(Clone, Copy)]
struct Words {
    start: *const f32,
    row: usize,
    tile: usize,
}

impl Words {
    /// Those of a row and an inner index, a multiple of a tile's.
    fn at(self, row: usize, word: usize) -> Self {
        Self { start: self.start.wrapping_byte_add(row * self.row + word / SIDE * self.tile), ..self }
    }
}

/// What the tiles are to compute beside the sums of sixteen rows and one panel.
const TALL: u32 = 1;
const WIDE: u32 = 2;
/// Whether sums are added to what is there.
const ADD: u32 = 4;

macro_rules! block {
    ($name:ident, $product:literal) => {
        /// Sums of up to 32 rows by two panels over `tiles` tiles of the inner index; rows of `out` are `stride` bytes apart.
        ///
        /// # Safety
        /// Tiles are shaped for these rows, and operands and sums lie in memory that may be read and written.
        unsafe fn $name(
            left: Words,
            right: [*const Lanes; 2],
            tiles: usize,
            out: *mut f32,
            stride: usize,
            what: u32,
        ) {
            // SAFETY: the caller's word. No tile is needed before or after.
            unsafe {
                asm!(
                    "test {what:e}, 4",
                    "jz 2f",
                    "tileloadd tmm0, [{out} + {stride}]",
                    "test {what:e}, 2",
                    "jz 3f",
                    "tileloadd tmm1, [{out} + {stride} + 64]",
                    "3:",
                    "test {what:e}, 1",
                    "jz 5f",
                    "tileloadd tmm2, [{low_out} + {stride}]",
                    "test {what:e}, 2",
                    "jz 5f",
                    "tileloadd tmm3, [{low_out} + {stride} + 64]",
                    "jmp 5f",
                    "2:",
                    "tilezero tmm0",
                    "test {what:e}, 2",
                    "jz 3f",
                    "tilezero tmm1",
                    "3:",
                    "test {what:e}, 1",
                    "jz 5f",
                    "tilezero tmm2",
                    "test {what:e}, 2",
                    "jz 5f",
                    "tilezero tmm3",

                    "5:",
                    "tileloadd tmm4, [{left} + {row}]",
                    "tileloadd tmm6, [{right} + {panel_row}]",
                    concat!($product, " tmm0, tmm4, tmm6"),
                    "test {what:e}, 2",
                    "jz 6f",
                    "tileloadd tmm7, [{next_right} + {panel_row}]",
                    concat!($product, " tmm1, tmm4, tmm7"),
                    "6:",
                    "test {what:e}, 1",
                    "jz 7f",
                    "tileloadd tmm5, [{low_left} + {row}]",
                    concat!($product, " tmm2, tmm5, tmm6"),
                    "test {what:e}, 2",
                    "jz 7f",
                    concat!($product, " tmm3, tmm5, tmm7"),
                    "7:",
                    "add {left}, {tile}",
                    "add {low_left}, {tile}",
                    "add {right}, 1024",
                    "add {next_right}, 1024",
                    "dec {tiles}",
                    "jnz 5b",

                    "tilestored [{out} + {stride}], tmm0",
                    "test {what:e}, 2",
                    "jz 8f",
                    "tilestored [{out} + {stride} + 64], tmm1",
                    "8:",
                    "test {what:e}, 1",
                    "jz 9f",
                    "tilestored [{low_out} + {stride}], tmm2",
                    "test {what:e}, 2",
                    "jz 9f",
                    "tilestored [{low_out} + {stride} + 64], tmm3",
                    "9:",
                    what = in(reg) what,
                    left = inout(reg) left.start => _,
                    low_left = inout(reg) left.start.wrapping_byte_add(SIDE * left.row) => _,
                    row = in(reg) left.row,
                    tile = in(reg) left.tile,
                    right = inout(reg) right[0] => _,
                    next_right = inout(reg) right[1] => _,
                    panel_row = in(reg) size_of::<Lanes>(),
                    tiles = inout(reg) tiles => _,
                    out = in(reg) out,
                    low_out = in(reg) out.wrapping_byte_add(SIDE * stride),
                    stride = in(reg) stride,
                    out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                    out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                    options(nostack),
                );
            }
        }
    };
}

block!(bf16, "tdpbf16ps");
block!(bytes, "tdpbusd");

/// [`multiply`](super::block::multiply) where [`is_available`] and the form is of bf16 or bytes.
pub(super) fn multiply(
    left: Left<'_>,
    n: usize,
    right: Panels<'_>,
    accumulate: bool,
    out: &mut [f32],
    stride: usize,
) {
    let depth = right.depth();
    if depth == 0 || n == 0 {
        return;
    }
    match left.layout {
        Layout::Rows(stride_of_left) => {
            assert!(left.values.len() >= (n - 1) * stride_of_left + depth, "{n} rows of {depth} words");
            let words = Words { start: left.values.as_ptr(), row: 4 * stride_of_left, tile: 4 * SIDE };
            // SAFETY: the level is one of a processor that has tiles; the operand's places were looked at.
            unsafe { in_tiles(words, n, right, accumulate, out, stride) };
        }
        Layout::Columns(stride_of_left) => ROOM.with_borrow_mut(|room| {
            // Packed as if it were a right operand, sixteen inner words of a row are a row of a tile.
            let rows = Rows { values: left.values, stride: stride_of_left, columns: n };
            room.resize(depth.next_multiple_of(SIDE) * n, 0.0);
            pack_transposed(Level::Amx, rows, depth, room);
            let words = Words { start: room.as_ptr(), row: 4 * SIDE, tile: 4 * SIDE * n };
            // SAFETY: as above.
            unsafe { in_tiles(words, n, right, accumulate, out, stride) };
        }),
    }
}

thread_local! {
    /// The words of a transposed left operand.
    static ROOM: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// # Safety
/// The processor has tiles, and `left` has `n` rows as deep as the panels.
unsafe fn in_tiles(
    left: Words,
    n: usize,
    right: Panels<'_>,
    accumulate: bool,
    out: &mut [f32],
    stride: usize,
) {
    let (panels, depth) = (right.len(), right.depth());
    assert!(stride >= panels * LANES && out.len() >= (n - 1) * stride + panels * LANES, "{n} rows of sums");
    let block = match right.form() {
        Form::Bytes => bytes,
        _ => bf16,
    };
    let (mut state, whole, whole_rows) = (Tiles, depth / SIDE * SIDE, n / ROWS * ROWS);
    for (first, words, tiles) in [(0, SIDE, depth / SIDE), (whole, depth - whole, 1)] {
        let add = if accumulate || first > 0 { ADD } else { 0 };
        for (start, end) in [(0, whole_rows), (whole_rows, n)] {
            if words * tiles == 0 || start == end {
                continue;
            }
            let rows = ROWS.min(end - start);
            let tall = if rows > SIDE { TALL } else { 0 };
            // SAFETY: the caller's word; a block's rows and panels are below those that were looked at.
            unsafe {
                state.shape(rows, words);
                for panel in (0..panels).step_by(2) {
                    let wide = if panel + 1 < panels { WIDE } else { 0 };
                    let right =
                        [panel, (panel + 1).min(panels - 1)].map(|panel| right.get(panel)[first..].as_ptr());
                    for row in (start..end).step_by(ROWS) {
                        let out = out.as_mut_ptr().add(row * stride + panel * LANES);
                        block(left.at(row, first), right, tiles, out, 4 * stride, tall | wide | add);
                    }
                }
            }
        }
    }
}
