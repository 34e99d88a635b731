//! [`Ops`] for the reference: each operator handed to the file that holds its formula.

use super::activation::{activate, derivative};
use super::{
    Float, Reference, adamw, attention, embedding, linear, mixture, norm, normalize, pooling, rows, softmax,
};
use crate::{
    Activation, AdamwStep, Affine, AffineGradient, AttentionInputs, Dropout, EmbeddingGradient,
    EmbeddingTables, LinearSize, NormOutput, Ops, Pooling, Tokens,
};

impl<F: Float> Ops for Reference<F> {
    type Buffer = Vec<F>;

    fn zeros(&self, len: usize) -> Vec<F> {
        vec![F::zero(); len]
    }

    fn upload(&self, values: &[f32]) -> Vec<F> {
        values.iter().map(|&value| F::of(f64::from(value))).collect()
    }

    fn download(&self, buffer: &Vec<F>) -> Vec<f32> {
        buffer.iter().map(|value| value.wide() as f32).collect()
    }

    fn len(&self, buffer: &Vec<F>) -> usize {
        buffer.len()
    }

    fn fill(&self, buffer: &mut Vec<F>, value: f32) {
        buffer.as_mut_slice().fill(F::of(f64::from(value)));
    }

    fn copy(&self, from: &Vec<F>, into: &mut Vec<F>) {
        into.copy_from_slice(from);
    }

    fn add(&self, from: &Vec<F>, into: &mut Vec<F>) {
        rows::add(from, into);
    }

    fn scale(&self, buffer: &mut Vec<F>, factor: f64) {
        for value in buffer {
            *value = *value * F::of(factor);
        }
    }

    fn sum_of_squares(&self, buffer: &Vec<F>) -> f64 {
        rows::sum_of_squares(buffer)
    }

    fn gather_rows(&self, columns: usize, rows: &[u32], from: &Vec<F>, out: &mut Vec<F>) {
        rows::gather(columns, rows, from, out);
    }

    fn scatter_add_rows(&self, columns: usize, rows: &[u32], from: &Vec<F>, into: &mut Vec<F>) {
        rows::scatter_add(columns, rows, from, into);
    }

    fn embed(
        &self,
        tables: EmbeddingTables<'_, Vec<F>>,
        tokens: &Tokens,
        hidden: usize,
        epsilon: f64,
        dropout: Dropout,
        out: NormOutput<'_, Vec<F>>,
    ) {
        embedding::forward(&tables, tokens, hidden, out.sum);
        norm_rows(tables.norm, hidden, epsilon, out.sum, out.statistics, out.output);
        norm::dropout(dropout, tokens, hidden, out.output);
    }

    fn embed_backward(
        &self,
        norm: Affine<'_, Vec<F>>,
        tokens: &Tokens,
        hidden: usize,
        dropout: Dropout,
        sum: &Vec<F>,
        statistics: &Vec<F>,
        d_output: &Vec<F>,
        gradient: EmbeddingGradient<'_, Vec<F>>,
    ) {
        let mut d_normed = d_output.clone();
        norm::dropout(dropout, tokens, hidden, &mut d_normed);
        let d_sum = norm_rows_backward(norm, hidden, sum, statistics, &d_normed, gradient.norm);
        embedding::backward(tokens, hidden, &d_sum, gradient.word, gradient.position, gradient.token_type);
    }

    fn linear(
        &self,
        size: LinearSize,
        x: &Vec<F>,
        layer: Affine<'_, Vec<F>>,
        activation: Activation,
        mut before: Option<&mut Vec<F>>,
        output: &mut Vec<F>,
    ) {
        for row in 0..size.rows {
            for column in 0..size.outputs {
                let element = linear::element(size, x, layer.weight, layer.bias, row, column);
                if let Some(before) = &mut before {
                    before[row * size.outputs + column] = element;
                }
                output[row * size.outputs + column] = activate(activation, element);
            }
        }
    }

    fn linear_backward_parameters(
        &self,
        size: LinearSize,
        x: &Vec<F>,
        d_output: &Vec<F>,
        gradient: AffineGradient<'_, Vec<F>>,
    ) {
        linear::backward_parameters(size, x, d_output, gradient);
    }

    fn linear_backward_input(&self, size: LinearSize, weight: &Vec<F>, d_output: &Vec<F>, dx: &mut Vec<F>) {
        dx.as_mut_slice().fill(F::zero());
        linear::backward_input_add(size, weight, d_output, dx);
    }

    fn linear_backward_input_add(
        &self,
        size: LinearSize,
        weight: &Vec<F>,
        d_output: &Vec<F>,
        dx: &mut Vec<F>,
    ) {
        linear::backward_input_add(size, weight, d_output, dx);
    }

    fn activate(&self, activation: Activation, before: &Vec<F>, output: &mut Vec<F>) {
        for (output, &before) in output.iter_mut().zip(before) {
            *output = activate(activation, before);
        }
    }

    fn activate_backward(&self, activation: Activation, before: &Vec<F>, gradient: &mut Vec<F>) {
        for (gradient, &before) in gradient.iter_mut().zip(before) {
            *gradient = *gradient * derivative(activation, before);
        }
    }

    fn attention(&self, inputs: AttentionInputs<'_, Vec<F>>, output: &mut Vec<F>, log_sums: &mut Vec<F>) {
        attention::forward(inputs, output, log_sums);
    }

    fn attention_backward(
        &self,
        inputs: AttentionInputs<'_, Vec<F>>,
        _output: &Vec<F>,
        log_sums: &Vec<F>,
        d_output: &Vec<F>,
        d_inputs: [&mut Vec<F>; 3],
    ) {
        attention::backward(inputs, log_sums, d_output, d_inputs);
    }

    fn residual_norm(
        &self,
        residual: &Vec<F>,
        norm: Affine<'_, Vec<F>>,
        tokens: &Tokens,
        hidden: usize,
        epsilon: f64,
        dropout: Dropout,
        out: NormOutput<'_, Vec<F>>,
    ) {
        norm::dropout(dropout, tokens, hidden, out.sum);
        rows::add(residual, out.sum);
        norm_rows(norm, hidden, epsilon, out.sum, out.statistics, out.output);
    }

    fn residual_norm_in_place(
        &self,
        residual: &Vec<F>,
        norm: Affine<'_, Vec<F>>,
        hidden: usize,
        epsilon: f64,
        x: &mut Vec<F>,
    ) {
        rows::add(residual, x);
        let (sum, mut statistics) = (x.clone(), vec![F::zero(); 2 * (x.len() / hidden)]);
        norm_rows(norm, hidden, epsilon, &sum, &mut statistics, x);
    }

    fn norm_output(
        &self,
        norm: Affine<'_, Vec<F>>,
        hidden: usize,
        sum: &Vec<F>,
        statistics: &Vec<F>,
        output: &mut Vec<F>,
    ) {
        let rows = sum.chunks_exact(hidden).zip(output.chunks_exact_mut(hidden));
        for ((sum, output), &statistics) in rows.zip(statistics.as_chunks::<2>().0) {
            norm::scale(sum, statistics, [norm.weight, norm.bias], output);
        }
    }

    fn residual_norm_backward(
        &self,
        norm: Affine<'_, Vec<F>>,
        tokens: &Tokens,
        hidden: usize,
        dropout: Dropout,
        sum: &Vec<F>,
        statistics: &Vec<F>,
        d_output: &Vec<F>,
        d_layer: &mut Vec<F>,
        d_residual: &mut Vec<F>,
        gradient: AffineGradient<'_, Vec<F>>,
    ) {
        let d_sum = norm_rows_backward(norm, hidden, sum, statistics, d_output, gradient);
        d_residual.copy_from_slice(&d_sum);
        d_layer.copy_from_slice(&d_sum);
        norm::dropout(dropout, tokens, hidden, d_layer);
    }

    fn pool(&self, pooling: Pooling, tokens: &Tokens, hidden: usize, x: &Vec<F>, output: &mut Vec<F>) {
        pooling::forward(pooling, tokens, hidden, x, output);
    }

    fn pool_backward(
        &self,
        pooling: Pooling,
        tokens: &Tokens,
        hidden: usize,
        x: &Vec<F>,
        d_output: &Vec<F>,
        dx: &mut Vec<F>,
    ) {
        pooling::backward(pooling, tokens, hidden, x, d_output, dx);
    }

    fn softmax(&self, columns: usize, logits: &Vec<F>, output: &mut Vec<F>) {
        for (row, output) in logits.chunks_exact(columns).zip(output.chunks_exact_mut(columns)) {
            softmax::forward(row, output);
        }
    }

    fn softmax_backward(&self, columns: usize, output: &Vec<F>, d_output: &Vec<F>, d_logits: &mut Vec<F>) {
        let rows = output.chunks_exact(columns).zip(d_output.chunks_exact(columns));
        for ((output, d_output), d_logits) in rows.zip(d_logits.chunks_exact_mut(columns)) {
            softmax::backward(output, d_output, d_logits);
        }
    }

    fn add_gate_noise(&self, epsilon: &Vec<F>, raw: &Vec<F>, logits: &mut Vec<F>) {
        mixture::add_noise(epsilon, raw, logits);
    }

    fn add_gate_noise_backward(&self, epsilon: &Vec<F>, raw: &Vec<F>, d_logits: &Vec<F>, d_raw: &mut Vec<F>) {
        mixture::add_noise_backward(epsilon, raw, d_logits, d_raw);
    }

    fn arg_max(&self, columns: usize, x: &Vec<F>) -> Vec<u32> {
        x.chunks_exact(columns).map(|row| rows::arg_max(row) as u32).collect()
    }

    fn take_columns(&self, columns: usize, choice: &[u32], x: &Vec<F>, out: &mut Vec<F>) {
        for (row, &column) in choice.iter().enumerate() {
            out[row] = x[row * columns + column as usize];
        }
    }

    fn take_columns_backward(&self, columns: usize, choice: &[u32], d_out: &Vec<F>, dx: &mut Vec<F>) {
        dx.as_mut_slice().fill(F::zero());
        for (row, &column) in choice.iter().enumerate() {
            dx[row * columns + column as usize] = d_out[row];
        }
    }

    fn mix(&self, columns: usize, weights: &Vec<F>, parts: &[Vec<F>], out: &mut Vec<F>) {
        mixture::mix(columns, weights, parts, out);
    }

    fn mix_backward_weights(&self, columns: usize, parts: &[Vec<F>], d_out: &Vec<F>, d_weights: &mut Vec<F>) {
        mixture::mix_backward_weights(columns, parts, d_out, d_weights);
    }

    fn mix_backward_part(
        &self,
        columns: usize,
        weights: &Vec<F>,
        part: usize,
        n_parts: usize,
        d_out: &Vec<F>,
        d_part: &mut Vec<F>,
    ) {
        mixture::mix_backward_part(columns, weights, part, n_parts, d_out, d_part);
    }

    fn normalize(&self, columns: usize, epsilon: f64, x: &Vec<F>, out: &mut Vec<F>, norms: &mut Vec<F>) {
        normalize::forward(columns, epsilon, x, out, norms);
    }

    fn normalize_backward(
        &self,
        columns: usize,
        epsilon: f64,
        out: &Vec<F>,
        norms: &Vec<F>,
        d_out: &Vec<F>,
        dx: &mut Vec<F>,
    ) {
        normalize::backward(columns, epsilon, out, norms, d_out, dx);
    }

    fn adamw(&self, step: AdamwStep, gradient: &Vec<F>, moments: [&mut Vec<F>; 2], parameter: &mut Vec<F>) {
        adamw::adamw(step, gradient, moments, parameter);
    }
}

fn norm_rows<F: Float>(
    norm: Affine<'_, Vec<F>>,
    hidden: usize,
    epsilon: f64,
    sum: &[F],
    statistics: &mut [F],
    output: &mut [F],
) {
    for (row, statistics) in statistics.chunks_exact_mut(2).enumerate() {
        let at = row * hidden..(row + 1) * hidden;
        let written = norm::forward(&sum[at.clone()], norm.weight, norm.bias, epsilon, &mut output[at]);
        statistics.copy_from_slice(&written);
    }
}

fn norm_rows_backward<F: Float>(
    norm: Affine<'_, Vec<F>>,
    hidden: usize,
    sum: &[F],
    statistics: &[F],
    d_output: &[F],
    AffineGradient { weight: d_gamma, bias: d_beta }: AffineGradient<'_, Vec<F>>,
) -> Vec<F> {
    let rows = sum.chunks_exact(hidden).zip(statistics.chunks_exact(2)).zip(d_output.chunks_exact(hidden));
    rows.flat_map(|((x, statistics), d_output)| {
        let statistics = [statistics[0], statistics[1]];
        norm::backward(x, statistics, norm.weight, d_output, d_gamma, d_beta)
    })
    .collect()
}
