//! Whether the operands of attention's products are rounded.

use super::bf16_words;
use super::columns::Columns;
use super::form::Form;
use super::level::Level;
use super::packing::{Panels, Rows};
use crate::Precision;

/// In f32 operands are read where they lie; in bf16 they are rounded into room of their own first.
#[derive(Clone, Copy)]
pub(super) struct Arithmetic {
    level: Level,
    is_rounded: bool,
}

impl Arithmetic {
    /// What goes with the products of an encoder: beside integers, attention is computed in bf16 where that is faster.
    pub(super) fn new(level: Level, precision: Precision) -> Self {
        let is_rounded = match precision {
            Precision::F32 => false,
            Precision::Bf16 => true,
            Precision::Int8 => Form::of_bf16(level) == Form::Bf16,
        };
        Self { level, is_rounded }
    }

    fn form(self) -> Form {
        if self.is_rounded { Form::of_bf16(self.level) } else { Form::Single }
    }

    /// Whether words of powers are written where the powers are computed ([`powers`](super::powers)).
    pub(super) fn rounds_powers(self) -> bool {
        self.form() == Form::Bf16
    }

    /// Words that so many numbers of the inner index take.
    pub(super) fn words(self, numbers: usize) -> usize {
        self.form().words(numbers)
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

    /// Packed panels of `height` rows of words.
    pub(super) fn panels(self, values: &[f32], height: usize) -> Panels<'_> {
        Panels::new(self.form(), values, height)
    }
}
