//! Rows that are made when they are read, some at a time, so that they never lie in memory as a whole.

use super::form::Form;
use super::memory::Buffer;
use super::{Cpu, activation, bf16_words, norm};
use crate::{Activation, Affine, LayerInput};

/// The rows of a right operand, of so many columns as a product says.
#[derive(Clone, Copy)]
pub(super) enum Source<'a> {
    /// What is in memory itself.
    Plain(&'a [f32]),
    /// An activation.
    Activated(Before<'a>),
    /// The output of a norm of what is in memory.
    Normed { parameters: [&'a [f32]; 2], sum: &'a [f32], statistics: &'a [f32] },
}

impl<'a> Source<'a> {
    /// A layer's input.
    pub(super) fn of(x: LayerInput<'a, Buffer>) -> Self {
        match x {
            LayerInput::Kept(x) => Self::Plain(x),
            LayerInput::Normed { norm: Affine { weight, bias }, sum, statistics } => {
                Self::Normed { parameters: [weight, bias], sum, statistics }
            }
        }
    }

    /// The same without the first rows.
    pub(super) fn from(self, row: usize, columns: usize) -> Self {
        match self {
            Self::Plain(values) => Self::Plain(&values[row * columns..]),
            Self::Activated(before) => Self::Activated(before.from(row)),
            Self::Normed { parameters, sum, statistics } => {
                Self::Normed { parameters, sum: &sum[row * columns..], statistics: &statistics[2 * row..] }
            }
        }
    }

    /// The room that so many numbers are made in: an activation takes as much again for what it is taken of.
    pub(super) fn room(self, numbers: usize) -> usize {
        match self {
            Self::Plain(_) => 0,
            Self::Activated(_) => 2 * numbers,
            Self::Normed { .. } => numbers,
        }
    }

    /// `n` rows from `first`.
    pub(super) fn rows<'b>(
        self,
        cpu: &Cpu,
        [first, n]: [usize; 2],
        columns: usize,
        room: &'b mut [f32],
    ) -> &'b [f32]
    where
        'a: 'b,
    {
        match self.from(first, columns) {
            Self::Plain(values) => &values[..n * columns],
            Self::Activated(before) => {
                let (numbers, activated) = room.split_at_mut(n * columns);
                let numbers = before.rows(cpu, n, numbers);
                activation::apply(cpu.level, before.activation, numbers, activated);
                activated
            }
            Self::Normed { parameters, sum, statistics } => {
                norm::output_tile(cpu.level, parameters, &sum[..n * columns], &statistics[..2 * n], room);
                room
            }
        }
    }
}

/// What an activation was taken of, as forward kept it: rows of f32, or of words of bf16.
#[derive(Clone, Copy)]
pub(super) struct Before<'a> {
    values: &'a [f32],
    form: Form,
    columns: usize,
    pub(super) activation: Activation,
}

impl<'a> Before<'a> {
    pub(super) fn new(values: &'a [f32], form: Form, columns: usize, activation: Activation) -> Self {
        Self { values, form, columns, activation }
    }

    /// The same without the first rows.
    pub(super) fn from(self, row: usize) -> Self {
        Self { values: &self.values[row * self.stride()..], ..self }
    }

    /// Words from row to row.
    pub(super) fn stride(self) -> usize {
        self.form.words(self.columns)
    }

    /// The first `n` rows as numbers.
    fn rows<'b>(self, cpu: &Cpu, n: usize, room: &'b mut [f32]) -> &'b [f32]
    where
        'a: 'b,
    {
        if self.form == Form::Single {
            return &self.values[..n * self.columns];
        }
        let words = self.values[..n * self.stride()].chunks_exact(self.stride());
        for (words, numbers) in words.zip(room.chunks_exact_mut(self.columns)) {
            bf16_words::numbers(cpu.level, words, numbers);
        }
        &room[..n * self.columns]
    }

    /// The words of some columns of a row, from a column that begins a word.
    pub(super) fn words(self, [row, column]: [usize; 2], columns: usize) -> &'a [f32] {
        &self.values[row * self.stride() + column / self.form.numbers()..][..self.form.words(columns)]
    }

    /// Such words as numbers.
    pub(super) fn numbers<'b>(self, cpu: &Cpu, words: &'b [f32], room: &'b mut [f32]) -> &'b [f32] {
        if self.form == Form::Single {
            return words;
        }
        bf16_words::numbers(cpu.level, words, room);
        room
    }
}
