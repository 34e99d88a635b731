//! Word, position and type embeddings with their layer norm and dropout.

use std::ops::Range;

use sbmoe_kernels::{EmbeddingGradient, EmbeddingTables, NormOutput, Ops, Tokens};

use super::dropout::{DropoutPlan, Site};
use crate::folder::BertConfig;
use crate::parameters::{AffineIds, Layout, ParameterId, Span, Tensors};

#[derive(Debug, Clone)]
pub(super) struct Embeddings {
    /// The places of its parameters in the layout.
    pub(super) places: Range<usize>,
    word: ParameterId,
    position: ParameterId,
    token_type: ParameterId,
    norm: AffineIds,
    hidden: usize,
    epsilon: f64,
}

/// What backward reads: the sum before the norm, the norm's statistics, and the output that the first layer reads.
#[derive(Debug)]
pub(super) struct KeptEmbeddings<B> {
    sum: B,
    statistics: B,
    pub(super) output: B,
}

impl Embeddings {
    pub(super) fn new(config: &BertConfig, layout: &mut Layout) -> Self {
        let hidden = config.hidden_size;
        let first = layout.parameters().len();
        let mut table =
            |name: &str, rows| layout.add(format!("embeddings.{name}_embeddings.weight"), &[rows, hidden]);
        let mut embeddings = Self {
            places: first..first,
            word: table("word", config.vocab_size),
            position: table("position", config.max_position_embeddings),
            token_type: table("token_type", config.type_vocab_size),
            norm: layout.add_norm("embeddings.LayerNorm", hidden),
            hidden,
            epsilon: config.layer_norm_eps,
        };
        embeddings.places.end = layout.parameters().len();
        embeddings
    }

    pub(super) fn forward<O: Ops>(
        &self,
        ops: &O,
        parameters: &Tensors<O::Buffer>,
        tokens: &Tokens,
        dropout: &DropoutPlan,
    ) -> KeptEmbeddings<O::Buffer> {
        let size = tokens.n_tokens() * self.hidden;
        let mut kept = KeptEmbeddings {
            sum: ops.scratch(size),
            statistics: ops.scratch(2 * tokens.n_tokens()),
            output: ops.scratch(size),
        };
        let tables = EmbeddingTables {
            word: parameters.get(self.word),
            position: parameters.get(self.position),
            token_type: parameters.get(self.token_type),
            norm: parameters.affine(self.norm),
        };
        let out =
            NormOutput { sum: &mut kept.sum, statistics: &mut kept.statistics, output: &mut kept.output };
        ops.embed(tables, tokens, self.hidden, self.epsilon, dropout.at(Site::Embeddings), out);
        kept
    }

    pub(super) fn backward<O: Ops>(
        &self,
        ops: &O,
        parameters: &Tensors<O::Buffer>,
        tokens: &Tokens,
        dropout: &DropoutPlan,
        kept: &KeptEmbeddings<O::Buffer>,
        d_output: &O::Buffer,
        gradients: &mut Span<'_, O::Buffer>,
    ) {
        let [word, position, token_type, weight, bias] =
            gradients.many([self.word, self.position, self.token_type, self.norm.weight, self.norm.bias]);
        let norm = sbmoe_kernels::AffineGradient { weight, bias };
        ops.embed_backward(
            parameters.affine(self.norm),
            tokens,
            self.hidden,
            dropout.at(Site::Embeddings),
            &kept.sum,
            &kept.statistics,
            d_output,
            EmbeddingGradient { word, position, token_type, norm },
        );
    }
}
