//! Ragged multi-head attention (Vaswani et al. 2017), one query row at a time.

use super::float::{Float, dot};
use super::softmax;
use crate::{AttentionInputs, Dropout, Tokens};

/// One head of one text: which part of the `[tokens, hidden]` buffers it is.
struct Head<'a> {
    text: usize,
    index: usize,
    columns: usize,
    hidden: usize,
    tokens: &'a Tokens,
}

impl Head<'_> {
    fn len(&self) -> usize {
        self.tokens.range(self.text).len()
    }

    /// The head's part of row `row` of the text.
    fn at(&self, row: usize) -> std::ops::Range<usize> {
        let start = (self.tokens.range(self.text).start + row) * self.hidden + self.index * self.columns;
        start..start + self.columns
    }

    /// Where the row's logarithm stands in `[heads, tokens]`.
    fn log_sum(&self, row: usize) -> usize {
        self.index * self.tokens.n_tokens() + self.tokens.range(self.text).start + row
    }

    /// What the probabilities of a query row are multiplied by: 0 or the scale.
    fn mask(&self, dropout: Dropout, row: usize) -> Vec<f64> {
        let key = dropout.row(self.tokens.places()[self.text], self.index, row);
        let keeps = |column| !dropout.is_active() || dropout.keeps(key, column);
        (0..self.len()).map(|column| if keeps(column) { dropout.scale() } else { 0.0 }).collect()
    }

    fn scores<F: Float>(&self, query: &[F], key: &[F], row: usize) -> Vec<F> {
        let scale = F::of(1.0 / (self.columns as f64).sqrt());
        (0..self.len()).map(|column| dot(&query[self.at(row)], &key[self.at(column)]) * scale).collect()
    }
}

fn heads<'a, F>(inputs: &AttentionInputs<'a, Vec<F>>) -> Vec<Head<'a>> {
    let columns = inputs.hidden / inputs.heads;
    let (heads, hidden, tokens) = (inputs.heads, inputs.hidden, inputs.tokens);
    (0..tokens.n_texts())
        .flat_map(|text| (0..heads).map(move |index| Head { text, index, columns, hidden, tokens }))
        .collect()
}

pub(super) fn forward<F: Float>(inputs: AttentionInputs<'_, Vec<F>>, output: &mut [F], log_sums: &mut [F]) {
    for head in heads(&inputs) {
        for row in 0..head.len() {
            let scores = head.scores(inputs.query, inputs.key, row);
            let log_sum = softmax::log_sum(&scores);
            log_sums[head.log_sum(row)] = log_sum;
            let mask = head.mask(inputs.dropout, row);
            let output = &mut output[head.at(row)];
            output.fill(F::zero());
            for column in 0..head.len() {
                let probability = (scores[column] - log_sum).map(f64::exp) * F::of(mask[column]);
                for (output, &value) in output.iter_mut().zip(&inputs.value[head.at(column)]) {
                    *output += probability * value;
                }
            }
        }
    }
}

pub(super) fn backward<F: Float>(
    inputs: AttentionInputs<'_, Vec<F>>,
    log_sums: &[F],
    d_output: &[F],
    [d_query, d_key, d_value]: [&mut Vec<F>; 3],
) {
    for d_input in [&mut *d_query, &mut *d_key, &mut *d_value] {
        d_input.fill(F::zero());
    }
    for head in heads(&inputs) {
        let scale = F::of(1.0 / (head.columns as f64).sqrt());
        for row in 0..head.len() {
            let scores = head.scores(inputs.query, inputs.key, row);
            let mask = head.mask(inputs.dropout, row);
            let d_row = &d_output[head.at(row)];
            let mut probabilities = Vec::new();
            let mut d_probabilities = Vec::new();
            for column in 0..head.len() {
                probabilities.push((scores[column] - log_sums[head.log_sum(row)]).map(f64::exp));
                d_probabilities.push(dot(d_row, &inputs.value[head.at(column)]) * F::of(mask[column]));
            }
            let mut d_scores = vec![F::zero(); head.len()];
            softmax::backward(&probabilities, &d_probabilities, &mut d_scores);
            for column in 0..head.len() {
                let dropped = probabilities[column] * F::of(mask[column]);
                let d_score = d_scores[column] * scale;
                for i in 0..head.columns {
                    let (at_row, at_column) = (head.at(row).start + i, head.at(column).start + i);
                    d_value[at_column] += dropped * d_output[at_row];
                    d_query[at_row] += d_score * inputs.key[at_column];
                    d_key[at_column] += d_score * inputs.query[at_row];
                }
            }
        }
    }
}
