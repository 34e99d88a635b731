//! One batch's loss and gradients, part by part.
//!
//! The pooled vectors of the whole batch are computed first, then block and loss see all of them; the encoder's backward
//! follows, chunk by chunk of as many parts as may be held. Those of the first chunk keep their activations; those of the
//! others are computed twice (Gao et al. 2021, gradient caching). Both give the same gradients, since every dropout
//! decision is keyed by the text's place.

use std::ops::Range;

use sbmoe_kernels::{ContrastiveInputs, DistillInputs, Key, Ops, Tokens};
use sbmoe_model::architecture::Architecture;
use sbmoe_model::bert::{DropoutPlan, Returning};
use sbmoe_model::moe::{Block, Draws, KeptBlock};
use sbmoe_model::parameters::Tensors;
use sbmoe_model::parts::{PART, parts, runs};

use crate::{Batch, Distill, Inputs, TrainConfig};

/// What one batch gave besides gradients.
#[derive(Debug, Clone, PartialEq)]
pub struct StepResult {
    /// Mean cross-entropy, without the load-balance term and distillation.
    pub loss: f64,
    /// The distillation loss before its weight; 0 where nothing is distilled.
    pub distill: f64,
    /// The load-balance term before its weight.
    pub balance: f64,
    /// Queries whose positive scored highest.
    pub correct: usize,
    /// Tokens of the batch's texts; where vectors are stored, the tokens that they were made of.
    pub tokens: usize,
    /// Which expert each text was routed to, queries first; empty without a block or a preference.
    pub routed: Vec<u32>,
}

/// Writes the gradients of one batch to `gradients`; `step` names the run and the step. Where vectors are stored, those
/// of the encoder stay as they are.
pub fn gradients<O: Ops>(
    ops: &O,
    architecture: &Architecture,
    parameters: &Tensors<O::Buffer>,
    (inputs, batch): (&Inputs, &Batch),
    config: &TrainConfig,
    step: Key,
    gradients: &mut Tensors<O::Buffer>,
) -> StepResult {
    match inputs {
        Inputs::Pooled { queries, documents } => {
            let hidden = architecture.hidden();
            let rows = queries.rows(&batch.queries, hidden).chain(documents.rows(&batch.documents, hidden));
            let x = ops.upload_rows(&rows.collect::<Vec<_>>());
            let head = Head { ops, architecture, parameters, batch, config };
            let result = head.run(&x, step, gradients, None);
            let tokens = queries.tokens_of(&batch.queries) + documents.tokens_of(&batch.documents);
            StepResult { tokens, ..result }
        }
        Inputs::Tokens { queries, documents } => {
            let own = |texts: &'_ [Vec<u32>], ordinal: &u32| texts[*ordinal as usize].clone();
            let texts: Vec<Vec<u32>> = (batch.queries.iter().map(|q| own(queries, q)))
                .chain(batch.documents.iter().map(|d| own(documents, d)))
                .collect();
            let head = Head { ops, architecture, parameters, batch, config };
            token_gradients(&head, &texts, step, gradients)
        }
    }
}

fn token_gradients<O: Ops>(
    head: &Head<'_, O>,
    texts: &[Vec<u32>],
    step: Key,
    gradients: &mut Tensors<O::Buffer>,
) -> StepResult {
    let Head { ops, architecture, parameters, config, .. } = *head;
    let block = architecture.block.as_ref().map_or(0..0, Block::places);
    gradients.clear_where(ops, |id| !block.contains(&id.index()));
    let hidden = architecture.hidden();
    let dropout = if config.dropout {
        let rates = &architecture.config;
        let key = step.purpose("dropout");
        DropoutPlan::new(rates.hidden_dropout_prob, rates.attention_probs_dropout_prob, key)
    } else {
        DropoutPlan::off()
    };
    let parts = parts(texts, config.chunk_tokens.min(PART));
    let tokens: Vec<Tokens> =
        parts.iter().map(|part| Tokens::new(&texts[part.clone()], part.start as u32)).collect();
    let forward = |tokens| architecture.forward_pooled(ops, parameters, tokens, &dropout);
    let rows = |part: &Range<usize>| (part.start as u32..part.end as u32).collect::<Vec<u32>>();

    // Parts whose activations may be held together. Those of the first chunk stay until backward.
    let chunks = runs(tokens.iter().map(Tokens::n_tokens), config.chunk_tokens);
    let stay = chunks.first().map_or(0, |chunk| chunk.end);
    let outputs = ops.side_by_side(tokens.iter().enumerate().collect(), |(part, tokens)| {
        let (pooled, activations) = forward(tokens);
        (pooled, (part < stay).then_some(activations))
    });
    let mut x = ops.zeros(texts.len() * hidden);
    let mut kept = Vec::with_capacity(parts.len());
    for (part, (pooled, activations)) in parts.iter().zip(outputs) {
        ops.scatter_add_rows(hidden, &rows(part), &pooled, &mut x);
        kept.extend(activations);
    }
    let mut dx = ops.zeros(ops.len(&x));
    let result = head.run(&x, step, gradients, Some(&mut dx));
    for chunk in chunks {
        if chunk.start > 0 {
            kept = ops.side_by_side(tokens[chunk.clone()].iter().collect(), |tokens| forward(tokens).1);
        }
        let returning = chunk.zip(kept.drain(..)).map(|(part, kept)| {
            let mut d_pooled = ops.scratch(parts[part].len() * hidden);
            ops.gather_rows(hidden, &rows(&parts[part]), &dx, &mut d_pooled);
            Returning { tokens: &tokens[part], kept, gradient: d_pooled }
        });
        architecture.backward_pooled(ops, parameters, &dropout, returning, gradients);
    }
    StepResult { tokens: texts.iter().map(Vec::len).sum(), ..result }
}

/// What follows the pooled vectors: block and loss.
struct Head<'a, O: Ops> {
    ops: &'a O,
    architecture: &'a Architecture,
    parameters: &'a Tensors<O::Buffer>,
    batch: &'a Batch,
    config: &'a TrainConfig,
}

impl<O: Ops> Head<'_, O> {
    /// Loss of the whole batch; writes the gradients of the block's parameters, and adds that of the pooled vectors to
    /// `dx` if it is there.
    fn run(
        &self,
        x: &O::Buffer,
        step: Key,
        gradients: &mut Tensors<O::Buffer>,
        dx: Option<&mut O::Buffer>,
    ) -> StepResult {
        let Self { ops, architecture, parameters, batch, config } = *self;
        let n_queries = batch.queries.len();
        let draws = architecture.block.as_ref().map_or_else(Draws::default, |block| {
            let config = block.config();
            let rows = architecture.block_rows(n_queries, n_queries + batch.documents.len()).len();
            Draws::for_training(config.train_gate, config.gate_noise, rows, config.experts, step)
        });
        let (z, kept) = architecture.forward_compared(ops, parameters, x, n_queries, &draws);
        let (result, d_z) = self.loss(&z, kept.block.as_ref());
        architecture.backward_compared(ops, parameters, (x, &z), &kept, &d_z, config.balance, gradients, dx);
        result
    }

    fn loss(&self, y: &O::Buffer, kept: Option<&KeptBlock<O::Buffer>>) -> (StepResult, O::Buffer) {
        let inputs = ContrastiveInputs {
            vectors: y,
            n_queries: self.batch.queries.len(),
            n_documents: self.batch.documents.len(),
            hidden: self.architecture.hidden(),
            temperature: self.config.temperature,
            excluded: &self.batch.excluded,
            directions: self.config.directions,
        };
        let mut d_y = self.ops.scratch(self.ops.len(y));
        let agreement = self.ops.contrastive(inputs, &mut d_y);
        let distill = self.distill(inputs, &mut d_y);
        let result = StepResult {
            loss: agreement.loss,
            distill,
            correct: agreement.correct,
            balance: kept.map_or(0.0, |kept| kept.balance),
            tokens: 0,
            routed: kept.map(|kept| kept.routed.clone()).unwrap_or_default(),
        };
        (result, d_y)
    }

    /// The distillation loss over what the contrastive one reads, before its weight; adds its gradients to `d_vectors`.
    fn distill(&self, inputs: ContrastiveInputs<'_, O::Buffer>, d_vectors: &mut O::Buffer) -> f64 {
        let targets = &self.batch.targets;
        let Some(Distill { loss, weight }) = self.config.distill.filter(|_| !targets.is_empty()) else {
            return 0.0;
        };
        let ContrastiveInputs { vectors, n_queries, n_documents, hidden, temperature, .. } = inputs;
        let inputs =
            DistillInputs { vectors, n_queries, n_documents, hidden, temperature, targets, loss, weight };
        self.ops.distill(inputs, d_vectors)
    }
}
