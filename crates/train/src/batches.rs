//! Which queries, positives and negatives make each batch: pure functions of the seed, the epoch and the place.

use std::collections::{BTreeMap, BTreeSet};

use sbmoe_kernels::{Key, Ops};

use crate::{Teacher, TrainConfig, near};

/// Training judgments by ordinal: what is relevant to each query, and its explicit negatives.
#[derive(Debug, Clone, Default)]
pub struct Examples {
    /// For each training query, its ordinal among the inputs' queries.
    pub queries: Vec<u32>,
    /// For each training query, its positive documents' ordinals; never empty.
    pub positives: Vec<Vec<u32>>,
    /// For each training query, its explicit negatives' ordinals; may be empty.
    pub negatives: Vec<Vec<u32>>,
    /// Pairs of the corpus with itself, (ordinal among the queries, ordinal among the documents): a document's title or
    /// beginning and the document. [`TrainConfig::anchor`] of them join each batch.
    pub anchors: Vec<(u32, u32)>,
    /// Whose scores are learned from where the run distils.
    pub teacher: Teacher,
}

/// One batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Ordinals among the inputs' queries: the training queries, then the anchors.
    pub queries: Vec<u32>,
    /// Ordinals among the inputs' documents: the positive of each query, in their order, then the explicit negatives.
    pub documents: Vec<u32>,
    /// (row, column) pairs of a query and a document that is not its negative.
    pub excluded: Vec<(u32, u32)>,
    /// `[queries, documents]`: the teacher's scores, NaN for a pair that it did not score; empty until [`Batches::teach`].
    pub targets: Vec<f32>,
}

/// The batches of a run.
#[derive(Debug)]
pub struct Batches<'a> {
    examples: &'a Examples,
    batch_size: usize,
    mask_positives: bool,
    negatives: usize,
    anchor: usize,
    /// The place of each query among the examples; empty where the run does not distil.
    taught: BTreeMap<u32, u32>,
    key: Key,
}

impl<'a> Batches<'a> {
    /// Batches of `examples` as `config` says.
    pub fn new(examples: &'a Examples, config: &TrainConfig) -> Self {
        let places = examples.queries.iter().copied().zip(0..);
        Self {
            examples,
            batch_size: config.batch_size.max(1),
            mask_positives: config.mask_positives,
            negatives: config.negatives,
            anchor: config.anchor.min(examples.anchors.len()),
            taught: if config.distill.is_some() { places.collect() } else { BTreeMap::new() },
            key: Key::new(config.seed).purpose("batches"),
        }
    }

    /// Batches an epoch; the last may be smaller.
    pub fn per_epoch(&self) -> usize {
        self.examples.queries.len().div_ceil(self.batch_size)
    }

    /// The batches of `epoch` (from 0), each query once, in an order of its own.
    pub fn epoch(&self, epoch: usize) -> Vec<Batch> {
        let key = self.key.with(epoch as u64);
        let mut order: Vec<u32> = (0..self.examples.queries.len() as u32).collect();
        key.purpose("order").shuffle(&mut order);
        self.cut(&order, key)
    }

    /// As [`Batches::epoch`], with near queries together: `vectors [training queries, hidden]` are the encoder's.
    pub fn near_epoch<O: Ops>(&self, ops: &O, vectors: &[f32], hidden: usize, epoch: usize) -> Vec<Batch> {
        let key = self.key.with(epoch as u64);
        self.cut(&near::order(ops, vectors, hidden, key), key)
    }

    fn cut(&self, order: &[u32], epoch: Key) -> Vec<Batch> {
        let mut anchors: Vec<u32> = (0..self.examples.anchors.len() as u32).collect();
        if self.anchor > 0 {
            epoch.purpose("anchors").shuffle(&mut anchors);
        }
        let mut anchors = anchors.into_iter().cycle();
        let batch = |examples: &[u32]| {
            let own: Vec<(u32, u32)> = anchors
                .by_ref()
                .take(self.anchor)
                .map(|place| self.examples.anchors[place as usize])
                .collect();
            self.batch(examples, &own, epoch)
        };
        order.chunks(self.batch_size).map(batch).collect()
    }

    /// Gives a batch its teacher's scores where the run distils. Those of an epoch together would be large, so each batch
    /// has them when its turn comes.
    pub fn teach<O: Ops>(&self, ops: &O, batch: &mut Batch) {
        if !self.taught.is_empty() {
            // The anchors, which no teacher knows, stand last.
            let examples: Vec<u32> =
                batch.queries.iter().map_while(|query| self.taught.get(query).copied()).collect();
            batch.targets = self.examples.teacher.targets(ops, &examples, &batch.documents);
            batch.targets.resize(batch.queries.len() * batch.documents.len(), f32::NAN);
        }
    }

    fn batch(&self, examples: &[u32], anchors: &[(u32, u32)], epoch: Key) -> Batch {
        let Examples { queries, positives, negatives, .. } = self.examples;
        let own = |example: &u32| *example as usize;
        let draw = epoch.purpose("positive");
        let positive = |example: &u32| {
            let choices = &positives[own(example)];
            choices[draw.with(u64::from(*example)).below(choices.len())]
        };
        let mut documents: Vec<u32> = examples.iter().map(positive).collect();
        documents.extend(anchors.iter().map(|(_, document)| document));
        let draw = epoch.purpose("negatives");
        for example in examples {
            let mut choices = negatives.get(own(example)).cloned().unwrap_or_default();
            draw.with(u64::from(*example)).shuffle(&mut choices);
            documents.extend(choices.iter().take(self.negatives));
        }
        let mut excluded = Vec::new();
        let relevant = examples.iter().map(|example| positives[own(example)].iter().copied().collect());
        let of_anchors = anchors.iter().map(|(_, document)| BTreeSet::from([*document]));
        let relevant: Vec<BTreeSet<u32>> = relevant.chain(of_anchors).collect();
        for (row, relevant) in (0..).zip(&relevant) {
            let masked = |(column, document): &(u32, &u32)| *column != row && relevant.contains(document);
            // An anchor's own document is never its negative: nobody judged it, it is the same text.
            if self.mask_positives || row as usize >= examples.len() {
                excluded.extend((0u32..).zip(&documents).filter(masked).map(|(column, _)| (row, column)));
            }
        }
        let queries = examples.iter().map(|example| queries[own(example)]);
        let queries = queries.chain(anchors.iter().map(|(query, _)| *query)).collect();
        Batch { queries, documents, excluded, targets: Vec::new() }
    }
}
