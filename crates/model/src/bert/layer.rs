//! One Transformer layer: self-attention, residual and norm; feed-forward, residual and norm.

use std::ops::Range;

use sbmoe_kernels::{
    Activation, Affine, AttentionInputs, FeedForwardBackward, LayerInput, LinearBackward, LinearSize,
    NormOutput, Ops, Passes, Precision, Tokens,
};

use super::dropout::{DropoutPlan, Site};
use crate::folder::BertConfig;
use crate::parameters::{AffineIds, Layout, Span, Tensors};

#[derive(Debug, Clone)]
pub(super) struct Layer {
    number: usize,
    /// The places of its parameters in the layout.
    pub(super) places: Range<usize>,
    query: AffineIds,
    key: AffineIds,
    value: AffineIds,
    attention_dense: AffineIds,
    attention_norm: AffineIds,
    intermediate: AffineIds,
    output_dense: AffineIds,
    output_norm: AffineIds,
    activation: Activation,
    hidden: usize,
    intermediate_size: usize,
    heads: usize,
    epsilon: f64,
    /// Of the products; everything else is computed in f32.
    pub(super) precision: Precision,
}

/// What backward reads. The activation and the norms' outputs are computed again: that costs less than the memory.
#[derive(Debug)]
pub(super) struct KeptLayer<B> {
    attention: Attended<B>,
    attention_norm: KeptNorm<B>,
    before_activation: B,
    output: KeptNorm<B>,
}

/// What attention read and wrote.
#[derive(Debug)]
struct Attended<B> {
    query: B,
    key: B,
    value: B,
    context: B,
    log_sums: B,
}

/// A residual norm's input sum and statistics, from which its output is made again.
#[derive(Debug)]
pub(super) struct KeptNorm<B> {
    sum: B,
    statistics: B,
}

impl<B> KeptNorm<B> {
    fn again<'a>(&'a self, norm: Affine<'a, B>) -> LayerInput<'a, B> {
        LayerInput::Normed { norm, sum: &self.sum, statistics: &self.statistics }
    }
}

impl Layer {
    pub(super) fn new(config: &BertConfig, number: usize, layout: &mut Layout) -> Self {
        let (hidden, intermediate_size) = (config.hidden_size, config.intermediate_size);
        let name = |part: &str| format!("encoder.layer.{number}.{part}");
        let first = layout.parameters().len();
        let mut layer = Self {
            number,
            places: first..first,
            query: layout.add_linear(&name("attention.self.query"), hidden, hidden),
            key: layout.add_linear(&name("attention.self.key"), hidden, hidden),
            value: layout.add_linear(&name("attention.self.value"), hidden, hidden),
            attention_dense: layout.add_linear(&name("attention.output.dense"), hidden, hidden),
            attention_norm: layout.add_norm(&name("attention.output.LayerNorm"), hidden),
            intermediate: layout.add_linear(&name("intermediate.dense"), hidden, intermediate_size),
            output_dense: layout.add_linear(&name("output.dense"), intermediate_size, hidden),
            output_norm: layout.add_norm(&name("output.LayerNorm"), hidden),
            activation: config.hidden_act.activation(),
            hidden,
            intermediate_size,
            heads: config.num_attention_heads,
            epsilon: config.layer_norm_eps,
            precision: Precision::F32,
        };
        layer.places.end = layout.parameters().len();
        layer
    }

    /// Lays out the weights that products take, until they change.
    pub(super) fn prepare_weights<O: Ops>(
        &self,
        ops: &O,
        passes: Passes,
        parameters: &mut Tensors<O::Buffer>,
    ) {
        let (hidden, inner) = (self.hidden, self.intermediate_size);
        let squares = [self.query, self.key, self.value, self.attention_dense].map(|ids| (ids, [hidden; 2]));
        let others = [(self.intermediate, [inner, hidden]), (self.output_dense, [hidden, inner])];
        for (ids, shape) in squares.into_iter().chain(others) {
            ops.prepare_weight(shape, self.precision, passes, parameters.get_mut(ids.weight));
        }
    }

    /// The layer's output without dropout. What is no longer needed is freed at once: what is computed next is written
    /// where the caches are warm.
    pub(super) fn output<O: Ops>(
        &self,
        ops: &O,
        parameters: &Tensors<O::Buffer>,
        tokens: &Tokens,
        x: O::Buffer,
    ) -> O::Buffer {
        let Attended { context, .. } = self.attend(ops, parameters, tokens, &DropoutPlan::off(), &x);
        let mut attended = self.dense(ops, parameters, tokens, self.attention_dense, &context);
        drop(context);
        let norm = parameters.affine(self.attention_norm);
        ops.residual_norm_in_place(&x, norm, self.hidden, self.epsilon, &mut attended);
        drop(x);
        let mut output = ops.scratch(tokens.n_tokens() * self.hidden);
        self.feed_forward(ops, parameters, tokens, &attended, None, &mut output);
        let norm = parameters.affine(self.output_norm);
        ops.residual_norm_in_place(&attended, norm, self.hidden, self.epsilon, &mut output);
        output
    }

    /// The layer's output, and what backward reads.
    pub(super) fn forward<O: Ops>(
        &self,
        ops: &O,
        parameters: &Tensors<O::Buffer>,
        tokens: &Tokens,
        dropout: &DropoutPlan,
        x: &O::Buffer,
    ) -> (O::Buffer, KeptLayer<O::Buffer>) {
        let attention = self.attend(ops, parameters, tokens, dropout, x);
        let projected = self.dense(ops, parameters, tokens, self.attention_dense, &attention.context);
        let site = Site::AttentionOutput(self.number);
        let (attended, attention_norm) =
            self.norm(ops, parameters, tokens, dropout, (self.attention_norm, site), projected, x);

        let mut before_activation = ops.scratch(ops.kept_len(self.widening(tokens)));
        let mut narrowed = ops.scratch(tokens.n_tokens() * self.hidden);
        let before = Some(&mut before_activation);
        self.feed_forward(ops, parameters, tokens, &attended, before, &mut narrowed);
        let site = Site::Output(self.number);
        let (y, output) =
            self.norm(ops, parameters, tokens, dropout, (self.output_norm, site), narrowed, &attended);
        (y, KeptLayer { attention, attention_norm, before_activation, output })
    }

    /// Query, key and value of `x`, and what attention makes of them.
    fn attend<O: Ops>(
        &self,
        ops: &O,
        parameters: &Tensors<O::Buffer>,
        tokens: &Tokens,
        dropout: &DropoutPlan,
        x: &O::Buffer,
    ) -> Attended<O::Buffer> {
        let size = self.square(tokens);
        let mut projections = [(); 3].map(|()| ops.scratch(ops.kept_len(size)));
        let layers = [self.query, self.key, self.value].map(|ids| parameters.affine(ids));
        ops.project(size, x, layers, projections.each_mut());
        let [query, key, value] = projections;
        let mut context = ops.scratch(tokens.n_tokens() * self.hidden);
        let mut log_sums = ops.scratch(tokens.n_tokens() * self.heads);
        ops.attention(self.attention(&query, &key, &value, tokens, dropout), &mut context, &mut log_sums);
        Attended { query, key, value, context, log_sums }
    }

    fn feed_forward<O: Ops>(
        &self,
        ops: &O,
        parameters: &Tensors<O::Buffer>,
        tokens: &Tokens,
        x: &O::Buffer,
        before: Option<&mut O::Buffer>,
        output: &mut O::Buffer,
    ) {
        let layers = [self.intermediate, self.output_dense].map(|ids| parameters.affine(ids));
        ops.feed_forward(self.widening(tokens), x, layers, self.activation, before, output);
    }

    /// The layer's output as the next one's input, from what was kept.
    pub(super) fn output_again<'a, B>(
        &self,
        parameters: &'a Tensors<B>,
        kept: &'a KeptLayer<B>,
    ) -> LayerInput<'a, B> {
        kept.output.again(parameters.affine(self.output_norm))
    }

    /// Adds the parameters' gradients and returns that of `x`.
    pub(super) fn backward<O: Ops>(
        &self,
        ops: &O,
        parameters: &Tensors<O::Buffer>,
        tokens: &Tokens,
        dropout: &DropoutPlan,
        x: LayerInput<'_, O::Buffer>,
        kept: &KeptLayer<O::Buffer>,
        d_output: &O::Buffer,
        gradients: &mut Span<'_, O::Buffer>,
    ) -> O::Buffer {
        let d_attention =
            self.feed_forward_backward(ops, parameters, tokens, dropout, kept, d_output, gradients);
        self.attention_backward(ops, parameters, tokens, dropout, x, kept, &d_attention, gradients)
    }

    /// From the gradient of the layer's output to that of the attention block's output.
    fn feed_forward_backward<O: Ops>(
        &self,
        ops: &O,
        parameters: &Tensors<O::Buffer>,
        tokens: &Tokens,
        dropout: &DropoutPlan,
        kept: &KeptLayer<O::Buffer>,
        d_output: &O::Buffer,
        gradients: &mut Span<'_, O::Buffer>,
    ) -> O::Buffer {
        let site = Site::Output(self.number);
        let (d_narrowed, mut d_attention) = self.norm_backward(
            ops,
            parameters,
            tokens,
            dropout,
            (self.output_norm, site),
            &kept.output,
            d_output,
            gradients,
        );
        let ids = [self.intermediate, self.output_dense];
        let mut own = gradients.affines(&ids).into_iter();
        let layers = FeedForwardBackward {
            x: kept.attention_norm.again(parameters.affine(self.attention_norm)),
            before: &kept.before_activation,
            d_output: &d_narrowed,
            weights: ids.map(|ids| parameters.get(ids.weight)),
            gradients: ids.map(|_| own.next().expect("one a layer")),
        };
        ops.feed_forward_backward_add(self.widening(tokens), self.activation, layers, &mut d_attention);
        d_attention
    }

    /// From the gradient of the attention block's output to that of the layer's input.
    fn attention_backward<O: Ops>(
        &self,
        ops: &O,
        parameters: &Tensors<O::Buffer>,
        tokens: &Tokens,
        dropout: &DropoutPlan,
        x: LayerInput<'_, O::Buffer>,
        kept: &KeptLayer<O::Buffer>,
        d_attention: &O::Buffer,
        gradients: &mut Span<'_, O::Buffer>,
    ) -> O::Buffer {
        let site = Site::AttentionOutput(self.number);
        let (d_projected, mut dx) = self.norm_backward(
            ops,
            parameters,
            tokens,
            dropout,
            (self.attention_norm, site),
            &kept.attention_norm,
            d_attention,
            gradients,
        );
        let (size, length) = (self.square(tokens), tokens.n_tokens() * self.hidden);
        let mut d_context = ops.scratch(length);
        let layer = backward_of(parameters, [(self.attention_dense, &d_projected)], gradients);
        let Attended { query, key, value, context, log_sums } = &kept.attention;
        ops.linears_backward(size, LayerInput::Kept(context), layer, false, &mut d_context);
        let [mut d_query, mut d_key, mut d_value] =
            [ops.scratch(length), ops.scratch(length), ops.scratch(length)];
        ops.attention_backward(
            self.attention(query, key, value, tokens, dropout),
            context,
            log_sums,
            &d_context,
            [&mut d_query, &mut d_key, &mut d_value],
        );
        let layers = [(self.query, &d_query), (self.key, &d_key), (self.value, &d_value)];
        ops.linears_backward(size, x, backward_of(parameters, layers, gradients), true, &mut dx);
        dx
    }

    fn dense<O: Ops>(
        &self,
        ops: &O,
        parameters: &Tensors<O::Buffer>,
        tokens: &Tokens,
        ids: AffineIds,
        x: &O::Buffer,
    ) -> O::Buffer {
        let mut output = ops.scratch(tokens.n_tokens() * self.hidden);
        ops.linear(self.square(tokens), x, parameters.affine(ids), Activation::Identity, None, &mut output);
        output
    }

    fn norm<O: Ops>(
        &self,
        ops: &O,
        parameters: &Tensors<O::Buffer>,
        tokens: &Tokens,
        dropout: &DropoutPlan,
        (ids, site): (AffineIds, Site),
        mut sum: O::Buffer,
        residual: &O::Buffer,
    ) -> (O::Buffer, KeptNorm<O::Buffer>) {
        let mut statistics = ops.scratch(2 * tokens.n_tokens());
        let mut output = ops.scratch(tokens.n_tokens() * self.hidden);
        let out = NormOutput { sum: &mut sum, statistics: &mut statistics, output: &mut output };
        let norm = parameters.affine(ids);
        ops.residual_norm(residual, norm, tokens, self.hidden, self.epsilon, dropout.at(site), out);
        (output, KeptNorm { sum, statistics })
    }

    /// Gradients of what entered the norm: the layer's output, and the residual.
    fn norm_backward<O: Ops>(
        &self,
        ops: &O,
        parameters: &Tensors<O::Buffer>,
        tokens: &Tokens,
        dropout: &DropoutPlan,
        (ids, site): (AffineIds, Site),
        kept: &KeptNorm<O::Buffer>,
        d_output: &O::Buffer,
        gradients: &mut Span<'_, O::Buffer>,
    ) -> (O::Buffer, O::Buffer) {
        let length = tokens.n_tokens() * self.hidden;
        let (mut d_layer, mut d_residual) = (ops.scratch(length), ops.scratch(length));
        ops.residual_norm_backward(
            parameters.affine(ids),
            tokens,
            self.hidden,
            dropout.at(site),
            &kept.sum,
            &kept.statistics,
            d_output,
            &mut d_layer,
            &mut d_residual,
            gradients.affine(ids),
        );
        (d_layer, d_residual)
    }

    fn attention<'a, B>(
        &self,
        query: &'a B,
        key: &'a B,
        value: &'a B,
        tokens: &'a Tokens,
        dropout: &DropoutPlan,
    ) -> AttentionInputs<'a, B> {
        let dropout = dropout.at(Site::Probabilities(self.number));
        let Self { heads, hidden, precision, .. } = *self;
        AttentionInputs { query, key, value, tokens, heads, hidden, dropout, precision }
    }

    fn square(&self, tokens: &Tokens) -> LinearSize {
        self.size(tokens, self.hidden, self.hidden)
    }

    fn widening(&self, tokens: &Tokens) -> LinearSize {
        self.size(tokens, self.hidden, self.intermediate_size)
    }

    fn size(&self, tokens: &Tokens, inputs: usize, outputs: usize) -> LinearSize {
        LinearSize { rows: tokens.n_tokens(), inputs, outputs, precision: self.precision }
    }
}

/// What backward of some layers takes besides their input: each with the gradient of its output.
fn backward_of<'a, B, const N: usize>(
    parameters: &'a Tensors<B>,
    layers: [(AffineIds, &'a B); N],
    gradients: &'a mut Span<'_, B>,
) -> [LinearBackward<'a, B>; N] {
    let mut own = gradients.affines(&layers.map(|(ids, _)| ids)).into_iter();
    layers.map(|(ids, d_output)| LinearBackward {
        weight: parameters.get(ids.weight),
        d_output,
        gradient: own.next().expect("one a layer"),
    })
}
