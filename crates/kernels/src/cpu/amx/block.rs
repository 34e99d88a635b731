//! The innermost loop over tiles.

use std::arch::asm;

use super::SIDE;
use crate::cpu::lanes::Lanes;

/// Words of the left operand, with the distances in bytes from row to row and from tile to tile of the inner index.
#[derive(Clone, Copy)]
pub(super) struct Words {
    pub(super) start: *const f32,
    pub(super) row: usize,
    pub(super) tile: usize,
}

impl Words {
    /// Those of a row and an inner index, a multiple of a tile's.
    pub(super) fn at(self, row: usize, word: usize) -> Self {
        Self { start: self.start.wrapping_byte_add(row * self.row + word / SIDE * self.tile), ..self }
    }
}

/// More than sixteen rows.
pub(super) const TALL: u32 = 1;
/// Two panels.
pub(super) const WIDE: u32 = 2;
/// Sums are added to what is there.
pub(super) const ADD: u32 = 4;

macro_rules! block {
    ($name:ident, $product:literal) => {
        /// Sums of up to 32 rows by two panels over `tiles` tiles of the inner index; rows of `out` are `stride` bytes apart.
        ///
        /// # Safety
        /// Tiles are shaped for these rows, and operands and sums lie in memory that may be read and written.
        pub(super) unsafe fn $name(
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
                    "test {what:e}, {ADD}",
                    "jz 2f",
                    "tileloadd tmm0, [{out} + {stride}]",
                    "test {what:e}, {WIDE}",
                    "jz 3f",
                    "tileloadd tmm1, [{out} + {stride} + 64]",
                    "3:",
                    "test {what:e}, {TALL}",
                    "jz 5f",
                    "tileloadd tmm2, [{low_out} + {stride}]",
                    "test {what:e}, {WIDE}",
                    "jz 5f",
                    "tileloadd tmm3, [{low_out} + {stride} + 64]",
                    "jmp 5f",
                    "2:",
                    "tilezero tmm0",
                    "test {what:e}, {WIDE}",
                    "jz 3f",
                    "tilezero tmm1",
                    "3:",
                    "test {what:e}, {TALL}",
                    "jz 5f",
                    "tilezero tmm2",
                    "test {what:e}, {WIDE}",
                    "jz 5f",
                    "tilezero tmm3",

                    "5:",
                    "tileloadd tmm4, [{left} + {row}]",
                    "tileloadd tmm6, [{right} + {panel_row}]",
                    concat!($product, " tmm0, tmm4, tmm6"),
                    "test {what:e}, {WIDE}",
                    "jz 6f",
                    "tileloadd tmm7, [{next_right} + {panel_row}]",
                    concat!($product, " tmm1, tmm4, tmm7"),
                    "6:",
                    "test {what:e}, {TALL}",
                    "jz 7f",
                    "tileloadd tmm5, [{low_left} + {row}]",
                    concat!($product, " tmm2, tmm5, tmm6"),
                    "test {what:e}, {WIDE}",
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
                    "test {what:e}, {WIDE}",
                    "jz 8f",
                    "tilestored [{out} + {stride} + 64], tmm1",
                    "8:",
                    "test {what:e}, {TALL}",
                    "jz 9f",
                    "tilestored [{low_out} + {stride}], tmm2",
                    "test {what:e}, {WIDE}",
                    "jz 9f",
                    "tilestored [{low_out} + {stride} + 64], tmm3",
                    "9:",
                    TALL = const TALL,
                    WIDE = const WIDE,
                    ADD = const ADD,
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
