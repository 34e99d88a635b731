//! Scoring held-out queries during training: in-batch loss and the caller's ranking measure.

use sbmoe_kernels::{ContrastiveInputs, Ops, Tokens};
use sbmoe_model::architecture::Architecture;
use sbmoe_model::moe::{Draws, Gate, text_key};
use sbmoe_model::parameters::Tensors;
use sbmoe_model::parts::parts;

use crate::{Inputs, PooledTexts, TrainConfig};

/// The caller's measure: from query vectors and document vectors, both `[texts, hidden]`, to nDCG@10. A number that is
/// not finite says that it failed: the run ends there without saving.
pub(crate) type Score<'a> = dyn Fn(&[f32], &[f32]) -> f64 + 'a;

/// Held-out queries and the documents they are ranked over.
pub struct Validation<'a> {
    /// Ordinals among the inputs' queries.
    pub queries: Vec<u32>,
    /// Ordinals among the inputs' documents.
    pub documents: Vec<u32>,
    /// For each query, the place of one positive within `documents`.
    pub positives: Vec<u32>,
    /// How the block is used here.
    pub gate: Gate,
    /// The ranking measure.
    pub score: Box<Score<'a>>,
}

impl std::fmt::Debug for Validation<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { queries, documents, .. } = self;
        f.debug_struct("Validation")
            .field("queries", &queries.len())
            .field("documents", &documents.len())
            .finish()
    }
}

impl Validation<'_> {
    /// In-batch loss over batches of the training size, and the score.
    pub(crate) fn run<O: Ops>(
        &self,
        ops: &O,
        architecture: &Architecture,
        parameters: &Tensors<O::Buffer>,
        inputs: &Inputs,
        config: &TrainConfig,
    ) -> (f64, f64) {
        let model = Model { ops, architecture, parameters, gate: self.gate };
        let (queries, documents) = match inputs {
            Inputs::Tokens { queries, documents } => (
                model.encode(queries, &self.queries, config.chunk_tokens),
                model.encode(documents, &self.documents, config.chunk_tokens),
            ),
            Inputs::Pooled { queries, documents } => {
                (model.apply(queries, &self.queries), model.apply(documents, &self.documents))
            }
        };
        (
            self.loss(ops, architecture.hidden(), config, &queries, &documents),
            (self.score)(&queries, &documents),
        )
    }

    fn loss<O: Ops>(
        &self,
        ops: &O,
        hidden: usize,
        config: &TrainConfig,
        queries: &[f32],
        documents: &[f32],
    ) -> f64 {
        let mut sum = 0.0;
        for (queries, positives) in
            queries.chunks(config.batch_size * hidden).zip(self.positives.chunks(config.batch_size))
        {
            let n = positives.len();
            let own = positives.iter().map(|&p| &documents[p as usize * hidden..][..hidden]);
            let rows: Vec<&[f32]> = queries.chunks_exact(hidden).chain(own).collect();
            let inputs = ContrastiveInputs {
                vectors: &ops.upload_rows(&rows),
                n_queries: n,
                n_documents: n,
                hidden,
                temperature: config.temperature,
                excluded: &[],
                directions: config.directions,
            };
            let mut d_vectors = ops.scratch(2 * n * hidden);
            sum += ops.contrastive(inputs, &mut d_vectors).loss * n as f64;
        }
        sum / self.positives.len().max(1) as f64
    }
}

struct Model<'a, O: Ops> {
    ops: &'a O,
    architecture: &'a Architecture,
    parameters: &'a Tensors<O::Buffer>,
    gate: Gate,
}

impl<O: Ops> Model<'_, O> {
    /// Vectors as they are in use; inference holds one layer's activations, so parts may have `chunk_tokens`. Large
    /// ones are few, and each lays the weights out, which training changes too often to keep a layout.
    fn encode(&self, texts: &[Vec<u32>], ordinals: &[u32], budget: usize) -> Vec<f32> {
        let texts: Vec<&[u32]> = ordinals.iter().map(|&ordinal| texts[ordinal as usize].as_slice()).collect();
        let mut vectors = Vec::with_capacity(texts.len() * self.architecture.hidden());
        for part in parts(&texts, budget) {
            let texts = &texts[part];
            let x = self.architecture.pooled(self.ops, self.parameters, &Tokens::new(texts, 0));
            let keys: Vec<u64> = texts.iter().map(|ids| text_key(ids)).collect();
            vectors.extend(self.behind(&x, &keys));
        }
        vectors
    }

    fn apply(&self, texts: &PooledTexts, ordinals: &[u32]) -> Vec<f32> {
        let rows: Vec<&[f32]> = texts.rows(ordinals, self.architecture.hidden()).collect();
        self.behind(&self.ops.upload_rows(&rows), &texts.keys_of(ordinals))
    }

    fn behind(&self, x: &O::Buffer, keys: &[u64]) -> Vec<f32> {
        let Some(block) = &self.architecture.block else { return self.ops.download(x) };
        let config = block.config();
        let draws = match self.gate {
            Gate::Random => Draws::for_use(config.seed, keys, config.experts),
            Gate::Top1 | Gate::All | Gate::Uniform => Draws::default(),
        };
        self.ops.download(&block.apply(self.ops, self.parameters, x, self.gate, &draws).0)
    }
}
