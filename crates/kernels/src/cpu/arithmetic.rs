//! Whether the operands of attention's products are rounded.

use super::bf16_words;
use super::columns::Columns;
use super::form::Form;
use super::level::Level;
use super::packing::{Panels, Rows};
use crate::Precision;

/// In f32 operands are read where they lie; in bf16 so are queries, keys and values that are kept as words, and what else is
/// multiplied is rounded into room of its own first.
#[derive(Clone, Copy)]
pub(super) struct Arithmetic {
    level: Level,
    form: Form,
    is_rounded: bool,
}

impl Arithmetic {
    /// What goes with the products of an encoder: beside integers, attention is computed in bf16 where that is faster.
    pub(super) fn new(level: Level, precision: Precision) -> Self {
        let form = Form::beside(precision, level);
        Self { level, form, is_rounded: precision == Precision::Bf16 || form == Form::Bf16 }
    }

    /// Of the words of operands, and of queries, keys and values as they are kept.
    pub(super) fn form(self) -> Form {
        self.form
    }

    /// Whether words of powers are written where the powers are computed, which AVX-512 alone does (`powers.rs`): true only
    /// where the level, and so the processor, has AVX512-BF16.
    pub(super) fn rounds_powers(self) -> bool {
        self.form == Form::Bf16
    }

    /// Words that so many numbers of the inner index take.
    pub(super) fn words(self, numbers: usize) -> usize {
        self.form.words(numbers)
    }

    /// The room that `words` words need.
    pub(super) fn room(self, words: usize) -> usize {
        if self.is_rounded { words } else { 0 }
    }

    /// `n` rows whose columns are the inner index: rows of words.
    pub(super) fn along<'a>(self, rows: Rows<'a>, n: usize, room: &'a mut [f32]) -> Rows<'a> {
        if !self.is_rounded {
            return rows;
        }
        let columns = self.words(rows.columns);
        bf16_words::along(self.level, rows, n, &mut Columns::whole(room, columns));
        Rows { values: room, stride: columns, columns }
    }

    /// `n` rows that are the inner index: so many words of rows.
    pub(super) fn across<'a>(self, rows: Rows<'a>, n: usize, room: &'a mut [f32]) -> Rows<'a> {
        if !self.is_rounded {
            return rows;
        }
        bf16_words::across(self.level, rows, n, &mut Columns::whole(room, rows.columns));
        Rows { values: room, stride: rows.columns, columns: rows.columns }
    }

    /// As [`along`](Self::along) for rows of queries, keys or values, which are kept in this form.
    pub(super) fn along_kept<'a>(self, rows: Rows<'a>, n: usize, room: &'a mut [f32]) -> Rows<'a> {
        if self.form == Form::Bf16 { rows } else { self.along(rows, n, room) }
    }

    /// As [`across`](Self::across) for such rows.
    pub(super) fn across_kept<'a>(self, rows: Rows<'a>, n: usize, room: &'a mut [f32]) -> Rows<'a> {
        if self.form != Form::Bf16 {
            return self.across(rows, n, room);
        }
        let columns = rows.columns * self.form.numbers();
        bf16_words::across_words(self.level, rows, n, &mut Columns::whole(room, columns));
        Rows { values: room, stride: columns, columns }
    }

    /// Packed panels of `height` rows of words.
    pub(super) fn panels(self, values: &[f32], height: usize) -> Panels<'_> {
        Panels::new(self.form, values, height)
    }
}
