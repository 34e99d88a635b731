//! Scoring held-out queries during training: in-batch loss and the caller's ranking measure.

use sbmoe_kernels::{ContrastiveInputs, Ops, Tokens};
use sbmoe_model::architecture::Architecture;
use sbmoe_model::moe::{Draws, Gate, Side, text_key};
use sbmoe_model::parameters::Tensors;
use sbmoe_model::parts::parts;

use crate::{Gain, Inputs, PooledTexts, TrainConfig};

/// Why a validation failed.
pub type ScoreError = Box<dyn std::error::Error + Send + Sync>;

/// The caller's measure: from query vectors and document vectors, both `[texts, hidden]` as they are compared, to each
/// query's nDCG@10.
pub(crate) type Score<'a> = dyn Fn(&[f32], &[f32]) -> Result<Vec<f64>, ScoreError> + 'a;

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
    /// What each query scores with the encoder as it came.
    pub baseline: Vec<f64>,
    /// Whether a query takes part in the choice among states: one whose positive is trained on says little.
    pub chooses: Vec<bool>,
    /// The ranking measure.
    pub score: Box<Score<'a>>,
}

/// What a validation found.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Validated {
    /// In-batch loss, in nats.
    pub(crate) loss: f64,
    /// The mean over the queries that choose.
    pub(crate) score: f64,
    /// Against the encoder as it came, over the same queries.
    pub(crate) gain: Gain,
    /// Each query's value.
    pub(crate) values: Vec<f64>,
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
    /// In-batch loss over batches of the training size, and the scores.
    pub(crate) fn run<O: Ops>(
        &self,
        ops: &O,
        architecture: &Architecture,
        parameters: &Tensors<O::Buffer>,
        inputs: &Inputs,
        config: &TrainConfig,
    ) -> Result<Validated, ScoreError> {
        let model = Model { ops, architecture, parameters, gate: self.gate };
        let (queries, documents) = match inputs {
            Inputs::Tokens { queries, documents } => (
                model.encode(queries, Side::Query, &self.queries, config.chunk_tokens),
                model.encode(documents, Side::Document, &self.documents, config.chunk_tokens),
            ),
            Inputs::Pooled { queries, documents } => (
                model.apply(queries, Side::Query, &self.queries),
                model.apply(documents, Side::Document, &self.documents),
            ),
        };
        let loss = self.loss(ops, architecture.hidden(), config, &queries, &documents);
        let values = (self.score)(&queries, &documents)?;
        if let Some(value) = values.iter().find(|value| !value.is_finite()) {
            return Err(format!("a held-out query scores {value}").into());
        }
        let (own, baseline) = (self.choosing(&values), self.choosing(&self.baseline));
        let score = own.iter().sum::<f64>() / own.len() as f64;
        let gain = Gain::of(&own, &baseline);
        if ![score, gain.difference, gain.standard_error].iter().all(|number| number.is_finite()) {
            // A state that says so could not be read again.
            return Err(format!("the mean of {} held-out queries is {score}", own.len()).into());
        }
        Ok(Validated { loss, score, gain, values })
    }

    /// The values of the queries that choose.
    fn choosing(&self, values: &[f64]) -> Vec<f64> {
        values.iter().zip(&self.chooses).filter(|(_, chooses)| **chooses).map(|(value, _)| *value).collect()
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
    fn encode(&self, texts: &[Vec<u32>], side: Side, ordinals: &[u32], budget: usize) -> Vec<f32> {
        let texts: Vec<&[u32]> = ordinals.iter().map(|&ordinal| texts[ordinal as usize].as_slice()).collect();
        let mut vectors = Vec::with_capacity(texts.len() * self.architecture.hidden());
        for part in parts(&texts, budget) {
            let texts = &texts[part];
            let x = self.architecture.pooled(self.ops, self.parameters, &Tokens::new(texts, 0));
            let keys: Vec<u64> = texts.iter().map(|ids| text_key(ids)).collect();
            vectors.extend(self.behind(&x, side, &keys));
        }
        vectors
    }

    fn apply(&self, texts: &PooledTexts, side: Side, ordinals: &[u32]) -> Vec<f32> {
        let rows: Vec<&[f32]> = texts.rows(ordinals, self.architecture.hidden()).collect();
        self.behind(&self.ops.upload_rows(&rows), side, &texts.keys_of(ordinals))
    }

    fn behind(&self, x: &O::Buffer, side: Side, keys: &[u64]) -> Vec<f32> {
        let Self { ops, architecture, parameters, gate } = *self;
        let block = architecture.block.as_ref();
        let draws = block.map_or_else(Draws::default, |block| Draws::in_use(block.config(), gate, keys));
        ops.download(&architecture.compared(ops, parameters, x, (side, gate), &draws).0)
    }
}
