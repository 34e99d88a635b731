//! [`Ops`] for processors: each operator handed to the file that holds it.

use std::sync::Arc;

use super::mask::{Mask, row_keys};
use super::memory::Buffer;
use super::norm::Norm;
use super::prepared::Prepared;
use super::{
    Cpu, SMALL, TILE, activation, adamw, attention, attention_backward, embedding, feed_forward,
    feed_forward_backward, linear, linear_backward, mixture, norm, normalize, pooling, projection, rows,
    softmax,
};
use crate::{
    Activation, AdamwStep, Affine, AffineGradient, AttentionInputs, Dropout, EmbeddingGradient,
    EmbeddingTables, FeedForwardBackward, LayerInput, LinearBackward, LinearSize, NormOutput, Numbers, Ops,
    Passes, Pooling, Precision, Tokens,
};

impl Ops for Cpu {
    type Buffer = Buffer;

    fn zeros(&self, len: usize) -> Buffer {
        self.memory.zeros(len)
    }

    fn scratch(&self, len: usize) -> Buffer {
        self.memory.scratch(len)
    }

    /// On a thread of the pool: from there an operator hands out its tiles without waking anybody first.
    fn within<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        if self.threads == 1 { work() } else { self.pool.install(work) }
    }

    fn side_by_side<T: Send, R: Send>(&self, items: Vec<T>, work: impl Fn(T) -> R + Send + Sync) -> Vec<R> {
        self.map(SMALL, items.into_iter(), work)
    }

    fn both<A: Send, B: Send>(
        &self,
        first: impl FnOnce() -> A + Send,
        second: impl FnOnce() -> B + Send,
    ) -> (A, B) {
        self.join(first, second)
    }

    fn share(&self, values: Arc<dyn Numbers>) -> Buffer {
        self.memory.shared(values)
    }

    fn upload(&self, values: &[f32]) -> Buffer {
        self.memory.copied(values)
    }

    fn upload_rows(&self, rows: &[&[f32]]) -> Buffer {
        self.memory.gathered(rows)
    }

    fn download(&self, buffer: &Buffer) -> Vec<f32> {
        buffer.to_vec()
    }

    fn len(&self, buffer: &Buffer) -> usize {
        <[f32]>::len(buffer)
    }

    fn fill(&self, buffer: &mut Buffer, value: f32) {
        self.each(<[f32]>::len(buffer), buffer.chunks_mut(TILE), |tile| tile.fill(value));
    }

    fn copy(&self, from: &Buffer, into: &mut Buffer) {
        rows::copy(self, from, into);
    }

    fn add(&self, from: &Buffer, into: &mut Buffer) {
        rows::add(self, from, into);
    }

    fn scale(&self, buffer: &mut Buffer, factor: f64) {
        rows::scale(self, buffer, factor);
    }

    fn sum_of_squares(&self, buffer: &Buffer) -> f64 {
        rows::sum_of_squares(self, buffer)
    }

    fn gather_rows(&self, columns: usize, rows: &[u32], from: &Buffer, out: &mut Buffer) {
        rows::gather(self, columns, rows, from, out);
    }

    fn scatter_add_rows(&self, columns: usize, rows: &[u32], from: &Buffer, into: &mut Buffer) {
        rows::scatter_add(self, columns, rows, from, into);
    }

    fn embed(
        &self,
        tables: EmbeddingTables<'_, Buffer>,
        tokens: &Tokens,
        hidden: usize,
        epsilon: f64,
        dropout: Dropout,
        out: NormOutput<'_, Buffer>,
    ) {
        let keys = row_keys(dropout, tokens);
        embedding::forward(self, &tables, tokens, hidden, epsilon, Mask::new(dropout, &keys), out);
    }

    fn embed_backward(
        &self,
        norm: Affine<'_, Buffer>,
        tokens: &Tokens,
        hidden: usize,
        dropout: Dropout,
        sum: &Buffer,
        statistics: &Buffer,
        d_output: &Buffer,
        gradient: EmbeddingGradient<'_, Buffer>,
    ) {
        let kept = [sum, statistics].map(|buffer| &buffer[..]);
        embedding::backward(self, norm.weight, tokens, hidden, dropout, kept, d_output, gradient);
    }

    fn prepare_weight(&self, shape: [usize; 2], precision: Precision, passes: Passes, weight: &mut Buffer) {
        Prepared::keep(self, shape, precision, passes, weight);
    }

    fn linear(
        &self,
        size: LinearSize,
        x: &Buffer,
        layer: Affine<'_, Buffer>,
        activation: Activation,
        before: Option<&mut Buffer>,
        output: &mut Buffer,
    ) {
        let input = linear::Input::new(self, size, x);
        linear::forward(self, size, &input, layer, activation, before.map(|before| &mut before[..]), output);
    }

    fn kept_len(&self, size: LinearSize) -> usize {
        projection::kept_len(self, size)
    }

    fn project(
        &self,
        size: LinearSize,
        x: &Buffer,
        layers: [Affine<'_, Buffer>; 3],
        outputs: [&mut Buffer; 3],
    ) {
        projection::project(self, size, x, layers, outputs);
    }

    fn linear_backward_parameters_set(
        &self,
        size: LinearSize,
        x: &Buffer,
        d_output: &Buffer,
        gradient: AffineGradient<'_, Buffer>,
    ) {
        linear_backward::parameters(self, size, x, d_output, false, gradient);
    }

    fn linear_backward_parameters(
        &self,
        size: LinearSize,
        x: &Buffer,
        d_output: &Buffer,
        gradient: AffineGradient<'_, Buffer>,
    ) {
        linear_backward::parameters(self, size, x, d_output, true, gradient);
    }

    fn linear_backward_input(&self, size: LinearSize, weight: &Buffer, d_output: &Buffer, dx: &mut Buffer) {
        linear_backward::input(self, size, weight, d_output, false, dx);
    }

    fn linear_backward_input_add(
        &self,
        size: LinearSize,
        weight: &Buffer,
        d_output: &Buffer,
        dx: &mut Buffer,
    ) {
        linear_backward::input(self, size, weight, d_output, true, dx);
    }

    fn linears_backward<const N: usize>(
        &self,
        size: LinearSize,
        x: LayerInput<'_, Buffer>,
        layers: [LinearBackward<'_, Buffer>; N],
        adds: bool,
        dx: &mut Buffer,
    ) {
        linear_backward::backward(self, size, x, layers, adds, dx);
    }

    fn feed_forward(
        &self,
        size: LinearSize,
        x: &Buffer,
        layers: [Affine<'_, Buffer>; 2],
        activation: Activation,
        before: Option<&mut Buffer>,
        output: &mut Buffer,
    ) {
        let before = before.map(|before| &mut before[..]);
        feed_forward::forward(self, size, x, layers, activation, before, output);
    }

    fn feed_forward_backward_add(
        &self,
        size: LinearSize,
        activation: Activation,
        layers: FeedForwardBackward<'_, Buffer>,
        dx: &mut Buffer,
    ) {
        feed_forward_backward::backward_add(self, size, activation, layers, dx);
    }

    fn activate(&self, activation: Activation, before: &Buffer, output: &mut Buffer) {
        activation::activate(self, activation, before, output);
    }

    fn activate_backward(&self, activation: Activation, before: &Buffer, gradient: &mut Buffer) {
        activation::backward(self, activation, before, gradient);
    }

    fn attention(&self, inputs: AttentionInputs<'_, Buffer>, output: &mut Buffer, log_sums: &mut Buffer) {
        attention::forward(self, inputs, output, log_sums);
    }

    fn attention_backward(
        &self,
        inputs: AttentionInputs<'_, Buffer>,
        output: &Buffer,
        log_sums: &Buffer,
        d_output: &Buffer,
        d_inputs: [&mut Buffer; 3],
    ) {
        attention_backward::backward(self, inputs, output, log_sums, d_output, d_inputs);
    }

    fn residual_norm(
        &self,
        residual: &Buffer,
        norm: Affine<'_, Buffer>,
        tokens: &Tokens,
        _hidden: usize,
        epsilon: f64,
        dropout: Dropout,
        out: NormOutput<'_, Buffer>,
    ) {
        let keys = row_keys(dropout, tokens);
        norm::residual(self, Norm::new(norm, epsilon), Mask::new(dropout, &keys), residual, out);
    }

    fn residual_norm_in_place(
        &self,
        residual: &Buffer,
        norm: Affine<'_, Buffer>,
        _hidden: usize,
        epsilon: f64,
        x: &mut Buffer,
    ) {
        norm::residual_in_place(self, Norm::new(norm, epsilon), residual, x);
    }

    fn norm_output(
        &self,
        norm: Affine<'_, Buffer>,
        _hidden: usize,
        sum: &Buffer,
        statistics: &Buffer,
        output: &mut Buffer,
    ) {
        norm::output(self, norm, sum, statistics, output);
    }

    fn residual_norm_backward(
        &self,
        norm: Affine<'_, Buffer>,
        tokens: &Tokens,
        _hidden: usize,
        dropout: Dropout,
        sum: &Buffer,
        statistics: &Buffer,
        d_output: &Buffer,
        d_layer: &mut Buffer,
        d_residual: &mut Buffer,
        gradient: AffineGradient<'_, Buffer>,
    ) {
        let keys = row_keys(dropout, tokens);
        let masks = [Mask::new(dropout, &keys), Mask::new(Dropout::NONE, &[])];
        norm::backward(
            self,
            norm.weight,
            masks,
            sum,
            statistics,
            d_output,
            d_residual,
            Some(d_layer),
            gradient,
        );
    }

    fn pool(&self, pooling: Pooling, tokens: &Tokens, hidden: usize, x: &Buffer, output: &mut Buffer) {
        pooling::forward(self, pooling, tokens, hidden, x, output);
    }

    fn pool_backward(
        &self,
        pooling: Pooling,
        tokens: &Tokens,
        hidden: usize,
        x: &Buffer,
        d_output: &Buffer,
        dx: &mut Buffer,
    ) {
        pooling::backward(self, pooling, tokens, hidden, x, d_output, dx);
    }

    fn softmax(&self, columns: usize, logits: &Buffer, output: &mut Buffer) {
        softmax::forward(self, columns, logits, output);
    }

    fn softmax_backward(&self, columns: usize, output: &Buffer, d_output: &Buffer, d_logits: &mut Buffer) {
        softmax::backward(self, columns, output, d_output, d_logits);
    }

    fn add_gate_noise(&self, epsilon: &Buffer, raw: &Buffer, logits: &mut Buffer) {
        mixture::add_noise(epsilon, raw, logits);
    }

    fn add_gate_noise_backward(&self, epsilon: &Buffer, raw: &Buffer, d_logits: &Buffer, d_raw: &mut Buffer) {
        mixture::add_noise_backward(epsilon, raw, d_logits, d_raw);
    }

    fn arg_max(&self, columns: usize, x: &Buffer) -> Vec<u32> {
        mixture::arg_max(columns, x)
    }

    fn take_columns(&self, columns: usize, choice: &[u32], x: &Buffer, out: &mut Buffer) {
        mixture::take_columns(columns, choice, x, out);
    }

    fn take_columns_backward(&self, columns: usize, choice: &[u32], d_out: &Buffer, dx: &mut Buffer) {
        mixture::take_columns_backward(columns, choice, d_out, dx);
    }

    fn mix(&self, columns: usize, weights: &Buffer, parts: &[Buffer], out: &mut Buffer) {
        mixture::mix(self, columns, weights, parts, out);
    }

    fn mix_backward_weights(&self, columns: usize, parts: &[Buffer], d_out: &Buffer, d_weights: &mut Buffer) {
        mixture::mix_backward_weights(self, columns, parts, d_out, d_weights);
    }

    fn mix_backward_part(
        &self,
        columns: usize,
        weights: &Buffer,
        part: usize,
        n_parts: usize,
        d_out: &Buffer,
        d_part: &mut Buffer,
    ) {
        mixture::mix_backward_part(self, columns, |row| weights[row * n_parts + part], d_out, d_part);
    }

    fn normalize(&self, columns: usize, epsilon: f64, x: &Buffer, out: &mut Buffer, norms: &mut Buffer) {
        normalize::forward(self, columns, epsilon, x, out, norms);
    }

    fn normalize_backward(
        &self,
        columns: usize,
        epsilon: f64,
        out: &Buffer,
        norms: &Buffer,
        d_out: &Buffer,
        dx: &mut Buffer,
    ) {
        normalize::backward(self, columns, epsilon, [out, norms, d_out], dx);
    }

    fn adamw(&self, step: AdamwStep, gradient: &Buffer, moments: [&mut Buffer; 2], parameter: &mut Buffer) {
        adamw::adamw(self, step, gradient, moments, parameter);
    }
}
