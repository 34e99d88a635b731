//! Where the heads of a batch's texts lie: what attention's tasks are, forward and backward.

use super::columns::Columns;
use super::form::Form;
use super::lanes::LANES;
use super::memory::Buffer;
use super::packing::{Rows, panels};
use crate::{AttentionInputs, Dropout, Tokens};

/// Scores of a block: half of a small second cache.
const SCORES: usize = 1 << 15;

/// One head of one text.
#[derive(Clone, Copy)]
pub(super) struct Head<'a> {
    pub(super) text: usize,
    pub(super) index: usize,
    /// Columns of the head.
    pub(super) width: usize,
    pub(super) hidden: usize,
    pub(super) dropout: Dropout,
    pub(super) tokens: &'a Tokens,
}

impl<'a> Head<'a> {
    pub(super) fn len(self) -> usize {
        self.tokens.range(self.text).len()
    }

    /// The text's first token.
    pub(super) fn start(self) -> usize {
        self.tokens.range(self.text).start
    }

    /// The head's rows of a `[tokens, hidden]` buffer.
    pub(super) fn rows(self, values: &[f32]) -> Rows<'_> {
        self.kept_rows(Form::Single, values)
    }

    /// The head's rows of queries, keys or values, in words of a form that none of them shares with another head.
    pub(super) fn kept_rows(self, form: Form, values: &[f32]) -> Rows<'_> {
        let (columns, range) = (form.words(self.width), self.tokens.range(self.text));
        let stride = self.hidden / self.width * columns;
        let values = &values[range.start * stride + self.index * columns..range.end * stride];
        Rows { values, stride, columns }
    }

    /// The text's part of a row of `[heads, tokens]`.
    pub(super) fn log_sums(self, log_sums: &'a [f32]) -> &'a [f32] {
        &log_sums[self.index * self.tokens.n_tokens()..][self.tokens.range(self.text)]
    }

    /// Elements from one row of scores to the next: an odd number of cache lines, so that a column of scores does not
    /// crowd into a few sets of the cache.
    pub(super) fn score_stride(self) -> usize {
        (panels(self.len()) | 1) * LANES
    }

    /// The scores of some query rows.
    pub(super) fn score_rows(self, scores: &[f32]) -> Rows<'_> {
        Rows { values: scores, stride: self.score_stride(), columns: self.len() }
    }

    /// 1/√d.
    pub(super) fn scale(self) -> f32 {
        (1.0 / (self.width as f64).sqrt()) as f32
    }

    /// Rows of queries whose scores are computed together.
    pub(super) fn block(self) -> usize {
        (SCORES / self.score_stride()).next_multiple_of(12).clamp(12, self.len().next_multiple_of(12).max(12))
    }

    /// The keys of the masks of all query rows; none when nothing is dropped.
    pub(super) fn keys(self) -> Vec<[u32; 2]> {
        if !self.dropout.is_active() {
            return Vec::new();
        }
        let place = self.tokens.places()[self.text];
        (0..self.len()).map(|row| self.dropout.row(place, self.index, row)).collect()
    }
}

/// All heads of all texts in the order of the buffers.
pub(super) fn heads<'a>(inputs: &AttentionInputs<'a, Buffer>) -> impl Iterator<Item = Head<'a>> + use<'a> {
    let AttentionInputs { tokens, heads, hidden, dropout, .. } = *inputs;
    assert!(hidden.is_multiple_of(heads), "{hidden} columns of {heads} heads");
    (0..tokens.n_texts()).flat_map(move |text| {
        (0..heads).map(move |index| Head { text, index, width: hidden / heads, hidden, dropout, tokens })
    })
}

/// The columns of all heads of all texts, in the order of [`heads`].
pub(super) fn split<'a>(
    inputs: &AttentionInputs<'_, Buffer>,
    mut values: &'a mut [f32],
) -> impl Iterator<Item = Columns<'a>> {
    let (hidden, width) = (inputs.hidden, inputs.hidden / inputs.heads);
    let lengths: Vec<usize> =
        (0..inputs.tokens.n_texts()).map(|text| inputs.tokens.range(text).len()).collect();
    lengths.into_iter().flat_map(move |len| {
        let (text, rest) = std::mem::take(&mut values).split_at_mut(len * hidden);
        values = rest;
        Columns::split(text, hidden, width)
    })
}

/// Elements that a batch's attention is worth, for the decision to wake other threads.
pub(super) fn size(inputs: &AttentionInputs<'_, Buffer>) -> usize {
    inputs.tokens.n_tokens() * inputs.hidden * inputs.tokens.longest() / 16
}
