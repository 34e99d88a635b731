//! The operator set: what a device must be able to do for the model and its training.
//!
//! Every matrix is row-major and lives in a flat [`Ops::Buffer`].
//! Gradients of parameters are added to what is there unless the name says `set`; gradients of activations replace it
//! unless the name says `add`.
//! Sizes are the caller's word: an implementation may panic when a buffer is too short, never read beyond it.

use std::sync::Arc;

use crate::compose;
use crate::{
    Activation, AdamwStep, Affine, AffineGradient, AttentionInputs, Dropout, EmbeddingGradient,
    EmbeddingTables, FeedForwardBackward, LayerInput, LinearBackward, LinearSize, NormOutput, Numbers,
    Objectives, Passes, Pooling, Precision, Tokens,
};

/// The operator set of one device; the losses are in [`Objectives`].
pub trait Ops: Send + Sync + Objectives<<Self as Ops>::Buffer> {
    /// A flat array of numbers on the device.
    type Buffer: Send + Sync;

    // Memory.

    /// `len` zeros.
    fn zeros(&self, len: usize) -> Self::Buffer;
    /// `len` numbers that the caller overwrites before reading; an implementation may leave old contents there.
    fn scratch(&self, len: usize) -> Self::Buffer {
        self.zeros(len)
    }
    /// Runs `work`, a sequence of operators, where they start soonest: a device may move it to a thread of its own.
    fn within<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        work()
    }

    /// `work` on every item, with the results in the items' order. No item waits for another: a device may work on several
    /// at once.
    fn side_by_side<T: Send, R: Send>(&self, items: Vec<T>, work: impl Fn(T) -> R + Send + Sync) -> Vec<R> {
        items.into_iter().map(work).collect()
    }

    /// As [`Ops::side_by_side`] for two pieces of work that are not alike.
    fn both<A: Send, B: Send>(
        &self,
        first: impl FnOnce() -> A + Send,
        second: impl FnOnce() -> B + Send,
    ) -> (A, B) {
        (first(), second())
    }

    /// A copy of `values` on the device.
    fn upload(&self, values: &[f32]) -> Self::Buffer;
    /// As [`Ops::upload`] for rows from anywhere on the host, one after another.
    fn upload_rows(&self, rows: &[&[f32]]) -> Self::Buffer {
        self.upload(&rows.concat())
    }
    /// As [`Ops::upload`] for numbers that may be shared, such as those of a mapped file: a device that can read them
    /// where they are copies them only when the buffer is changed.
    fn share(&self, values: Arc<dyn Numbers>) -> Self::Buffer {
        self.upload(values.numbers())
    }
    /// A copy of the buffer on the host.
    fn download(&self, buffer: &Self::Buffer) -> Vec<f32>;
    /// Number of elements.
    fn len(&self, buffer: &Self::Buffer) -> usize;
    /// Sets every element.
    fn fill(&self, buffer: &mut Self::Buffer, value: f32);

    // Elementwise and rows.

    /// `into = from`.
    fn copy(&self, from: &Self::Buffer, into: &mut Self::Buffer);
    /// `into += from`.
    fn add(&self, from: &Self::Buffer, into: &mut Self::Buffer);
    /// `buffer *= factor`.
    fn scale(&self, buffer: &mut Self::Buffer, factor: f64);
    /// Σ of squares, added in a fixed order in f64.
    fn sum_of_squares(&self, buffer: &Self::Buffer) -> f64;
    /// `out[i] = from[rows[i]]` for rows of `columns` elements.
    fn gather_rows(&self, columns: usize, rows: &[u32], from: &Self::Buffer, out: &mut Self::Buffer);
    /// `into[rows[i]] += from[i]`, in the order of `i`.
    fn scatter_add_rows(&self, columns: usize, rows: &[u32], from: &Self::Buffer, into: &mut Self::Buffer);

    // Encoder.

    /// Embedding, layer norm with `epsilon`, dropout: `output = dropout(norm(word + position + type))`.
    fn embed(
        &self,
        tables: EmbeddingTables<'_, Self::Buffer>,
        tokens: &Tokens,
        hidden: usize,
        epsilon: f64,
        dropout: Dropout,
        out: NormOutput<'_, Self::Buffer>,
    );
    /// Backward of [`Ops::embed`]: `sum` and `statistics` are what forward wrote.
    fn embed_backward(
        &self,
        norm: Affine<'_, Self::Buffer>,
        tokens: &Tokens,
        hidden: usize,
        dropout: Dropout,
        sum: &Self::Buffer,
        statistics: &Self::Buffer,
        d_output: &Self::Buffer,
        gradient: EmbeddingGradient<'_, Self::Buffer>,
    );

    /// Lays out the weight `[outputs, inputs]` of a linear layer for all of its products of these `passes` in `precision`
    /// until the weight changes; results are the same without. It may take the weight's memory again for each pass; an
    /// implementation may have nothing to lay out.
    fn prepare_weight(
        &self,
        [outputs, inputs]: [usize; 2],
        precision: Precision,
        passes: Passes,
        weight: &mut Self::Buffer,
    ) {
        let _ = (outputs, inputs, precision, passes, weight);
    }
    /// `output = activation(x · weightᵀ + bias)`; `before`, when asked for, receives what the activation was taken of.
    fn linear(
        &self,
        size: LinearSize,
        x: &Self::Buffer,
        layer: Affine<'_, Self::Buffer>,
        activation: Activation,
        before: Option<&mut Self::Buffer>,
        output: &mut Self::Buffer,
    );
    /// Elements of a layer's outputs as a device keeps them for its own operators alone: in f32 `[rows, outputs]`, below it a
    /// form of its own. A device that changes it changes what projects, attention, the feed-forward and their backward.
    fn kept_len(&self, size: LinearSize) -> usize {
        size.rows * size.outputs
    }
    /// Query, key and value of the same `x`, each as by [`Ops::linear`] without an activation, kept for attention:
    /// [`Ops::kept_len`] elements each.
    fn project(
        &self,
        size: LinearSize,
        x: &Self::Buffer,
        layers: [Affine<'_, Self::Buffer>; 3],
        outputs: [&mut Self::Buffer; 3],
    ) {
        compose::project(self, size, x, layers, outputs);
    }
    /// Gradients of the weight and the bias of `x · weightᵀ + bias`, in the place of what is there. There are none in
    /// eight-bit integers.
    fn linear_backward_parameters_set(
        &self,
        size: LinearSize,
        x: &Self::Buffer,
        d_output: &Self::Buffer,
        gradient: AffineGradient<'_, Self::Buffer>,
    ) {
        self.fill(gradient.weight, 0.0);
        self.fill(gradient.bias, 0.0);
        self.linear_backward_parameters(size, x, d_output, gradient);
    }
    /// As [`Ops::linear_backward_parameters_set`], added to what is there.
    fn linear_backward_parameters(
        &self,
        size: LinearSize,
        x: &Self::Buffer,
        d_output: &Self::Buffer,
        gradient: AffineGradient<'_, Self::Buffer>,
    );
    /// Gradient of the input of `x · weightᵀ + bias`.
    fn linear_backward_input(
        &self,
        size: LinearSize,
        weight: &Self::Buffer,
        d_output: &Self::Buffer,
        dx: &mut Self::Buffer,
    );
    /// As [`Ops::linear_backward_input`], added to what is there.
    fn linear_backward_input_add(
        &self,
        size: LinearSize,
        weight: &Self::Buffer,
        d_output: &Self::Buffer,
        dx: &mut Self::Buffer,
    );
    /// Backward of layers of one size that read the same `x`: adds the parameters' gradients, and writes that of `x`, or
    /// `adds` it.
    fn linears_backward<const N: usize>(
        &self,
        size: LinearSize,
        x: LayerInput<'_, Self::Buffer>,
        layers: [LinearBackward<'_, Self::Buffer>; N],
        adds: bool,
        dx: &mut Self::Buffer,
    ) {
        compose::linears_backward(self, size, x, layers, adds, dx);
    }
    /// `output = activation(x · W₁ᵀ + b₁) · W₂ᵀ + b₂`: a layer of this `size`, and one back to its inputs. `before`, when
    /// asked for, keeps what the activation was taken of for [`Ops::feed_forward_backward_add`]: [`Ops::kept_len`]
    /// elements. Eight-bit integers have no backward: nothing may be asked for.
    fn feed_forward(
        &self,
        size: LinearSize,
        x: &Self::Buffer,
        layers: [Affine<'_, Self::Buffer>; 2],
        activation: Activation,
        before: Option<&mut Self::Buffer>,
        output: &mut Self::Buffer,
    ) {
        compose::feed_forward(self, size, x, layers, activation, before, output);
    }
    /// Backward of [`Ops::feed_forward`]: adds the parameters' gradients, and that of `x` to `dx`.
    fn feed_forward_backward_add(
        &self,
        size: LinearSize,
        activation: Activation,
        layers: FeedForwardBackward<'_, Self::Buffer>,
        dx: &mut Self::Buffer,
    ) {
        compose::feed_forward_backward_add(self, size, activation, layers, dx);
    }
    /// `output = activation(before)`.
    fn activate(&self, activation: Activation, before: &Self::Buffer, output: &mut Self::Buffer);
    /// `gradient *= activation'(before)`.
    fn activate_backward(&self, activation: Activation, before: &Self::Buffer, gradient: &mut Self::Buffer);

    /// Ragged multi-head attention: each token attends to the tokens of its own text,
    /// `output = dropout(softmax(q kᵀ / √d)) v`.
    /// `log_sums` `[heads, tokens]` receives the logarithm of each row's softmax denominator, which backward reads.
    fn attention(
        &self,
        inputs: AttentionInputs<'_, Self::Buffer>,
        output: &mut Self::Buffer,
        log_sums: &mut Self::Buffer,
    );
    /// Backward of [`Ops::attention`]; recomputes the probabilities. `d_inputs` are query, key, value.
    fn attention_backward(
        &self,
        inputs: AttentionInputs<'_, Self::Buffer>,
        output: &Self::Buffer,
        log_sums: &Self::Buffer,
        d_output: &Self::Buffer,
        d_inputs: [&mut Self::Buffer; 3],
    );

    /// Residual, dropout and layer norm: `sum = dropout(sum) + residual`, `output = norm(sum)`.
    fn residual_norm(
        &self,
        residual: &Self::Buffer,
        norm: Affine<'_, Self::Buffer>,
        tokens: &Tokens,
        hidden: usize,
        epsilon: f64,
        dropout: Dropout,
        out: NormOutput<'_, Self::Buffer>,
    );
    /// As [`Ops::residual_norm`] without dropout, for no backward: `x = norm(x + residual)`, to the byte.
    fn residual_norm_in_place(
        &self,
        residual: &Self::Buffer,
        norm: Affine<'_, Self::Buffer>,
        hidden: usize,
        epsilon: f64,
        x: &mut Self::Buffer,
    );
    /// The output of a norm without dropout once more, from what forward wrote: to the byte what forward gave.
    fn norm_output(
        &self,
        norm: Affine<'_, Self::Buffer>,
        hidden: usize,
        sum: &Self::Buffer,
        statistics: &Self::Buffer,
        output: &mut Self::Buffer,
    );
    /// Backward of [`Ops::residual_norm`]: gradients of the layer's output (`d_layer`) and of the residual.
    #[expect(clippy::too_many_arguments, reason = "what forward read and wrote, and where the gradients go")]
    fn residual_norm_backward(
        &self,
        norm: Affine<'_, Self::Buffer>,
        tokens: &Tokens,
        hidden: usize,
        dropout: Dropout,
        sum: &Self::Buffer,
        statistics: &Self::Buffer,
        d_output: &Self::Buffer,
        d_layer: &mut Self::Buffer,
        d_residual: &mut Self::Buffer,
        gradient: AffineGradient<'_, Self::Buffer>,
    );

    /// `[tokens, hidden]` → `[texts, hidden]`.
    fn pool(
        &self,
        pooling: Pooling,
        tokens: &Tokens,
        hidden: usize,
        x: &Self::Buffer,
        output: &mut Self::Buffer,
    );
    /// Backward of [`Ops::pool`]; `x` is what was pooled.
    fn pool_backward(
        &self,
        pooling: Pooling,
        tokens: &Tokens,
        hidden: usize,
        x: &Self::Buffer,
        d_output: &Self::Buffer,
        dx: &mut Self::Buffer,
    );

    // Block.

    /// Softmax over each row of `columns` elements.
    fn softmax(&self, columns: usize, logits: &Self::Buffer, output: &mut Self::Buffer);
    /// Backward of [`Ops::softmax`]; `output` is what forward wrote.
    fn softmax_backward(
        &self,
        columns: usize,
        output: &Self::Buffer,
        d_output: &Self::Buffer,
        d_logits: &mut Self::Buffer,
    );
    /// `logits += epsilon ⊙ softplus(raw)`: the noise of a noisy gate.
    fn add_gate_noise(&self, epsilon: &Self::Buffer, raw: &Self::Buffer, logits: &mut Self::Buffer);
    /// Gradient of `raw` in [`Ops::add_gate_noise`]; that of `logits` passes unchanged.
    fn add_gate_noise_backward(
        &self,
        epsilon: &Self::Buffer,
        raw: &Self::Buffer,
        d_logits: &Self::Buffer,
        d_raw: &mut Self::Buffer,
    );
    /// The column of the largest element of each row; the first of equals.
    fn arg_max(&self, columns: usize, x: &Self::Buffer) -> Vec<u32>;
    /// `out[row] = x[row, choice[row]]`.
    fn take_columns(&self, columns: usize, choice: &[u32], x: &Self::Buffer, out: &mut Self::Buffer);
    /// Backward of [`Ops::take_columns`]: `dx[row, choice[row]] = d_out[row]`, 0 elsewhere.
    fn take_columns_backward(
        &self,
        columns: usize,
        choice: &[u32],
        d_out: &Self::Buffer,
        dx: &mut Self::Buffer,
    );
    /// `out[row] = Σ_i weights[row, i] · parts[i][row]` for rows of `columns` elements.
    fn mix(&self, columns: usize, weights: &Self::Buffer, parts: &[Self::Buffer], out: &mut Self::Buffer);
    /// Gradient of the weights in [`Ops::mix`].
    fn mix_backward_weights(
        &self,
        columns: usize,
        parts: &[Self::Buffer],
        d_out: &Self::Buffer,
        d_weights: &mut Self::Buffer,
    );
    /// Gradient of part `part` of `n_parts` in [`Ops::mix`].
    fn mix_backward_part(
        &self,
        columns: usize,
        weights: &Self::Buffer,
        part: usize,
        n_parts: usize,
        d_out: &Self::Buffer,
        d_part: &mut Self::Buffer,
    );
    /// `out = x / max(‖x‖₂, epsilon)` for each row; `norms` receives the ‖x‖₂.
    fn normalize(
        &self,
        columns: usize,
        epsilon: f64,
        x: &Self::Buffer,
        out: &mut Self::Buffer,
        norms: &mut Self::Buffer,
    );
    /// Backward of [`Ops::normalize`]; `out` and `norms` are what forward wrote.
    fn normalize_backward(
        &self,
        columns: usize,
        epsilon: f64,
        out: &Self::Buffer,
        norms: &Self::Buffer,
        d_out: &Self::Buffer,
        dx: &mut Self::Buffer,
    );

    // Training.

    /// One optimiser step over every element of a parameter; `moments` are the first and the second.
    fn adamw(
        &self,
        step: AdamwStep,
        gradient: &Self::Buffer,
        moments: [&mut Self::Buffer; 2],
        parameter: &mut Self::Buffer,
    );
}
