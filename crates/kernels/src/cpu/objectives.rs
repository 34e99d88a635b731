//! [`Objectives`] for processors: each loss handed to the file that holds it, and what the losses share.

use super::memory::Buffer;
use super::product::{Operand, product_add, product_into};
use super::{Cpu, contrastive, distill};
use crate::{Agreement, ContrastiveInputs, DistillInputs, Objectives};

impl Objectives<Buffer> for Cpu {
    fn contrastive(&self, inputs: ContrastiveInputs<'_, Buffer>, d_vectors: &mut Buffer) -> Agreement {
        contrastive::contrastive(self, inputs, d_vectors)
    }

    fn distill(&self, inputs: DistillInputs<'_, Buffer>, d_vectors: &mut Buffer) -> f64 {
        distill::distill(self, inputs, d_vectors)
    }
}

/// The vectors of a batch, from which scores are made and to which their gradients go back.
#[derive(Clone, Copy)]
pub(super) struct Pairs<'a> {
    queries: &'a [f32],
    documents: &'a [f32],
    n_queries: usize,
    n_documents: usize,
    hidden: usize,
}

impl<'a> Pairs<'a> {
    /// Of `[n_queries + n_documents, hidden]`.
    pub(super) fn new(vectors: &'a [f32], [n_queries, n_documents, hidden]: [usize; 3]) -> Self {
        let (queries, documents) = vectors.split_at(n_queries * hidden);
        Self { queries, documents, n_queries, n_documents, hidden }
    }

    /// `queries · documentsᵀ`, `[n_queries, n_documents]`.
    pub(super) fn scores(self, cpu: &Cpu) -> Buffer {
        let mut scores = cpu.memory.scratch(self.n_queries * self.n_documents);
        let size = [self.n_queries, self.n_documents, self.hidden];
        product_into(
            cpu,
            size,
            Operand::plain(self.queries),
            Operand::transposed(self.documents),
            &mut scores,
        );
        scores
    }

    /// Writes the gradients of all vectors, from those of the scores.
    pub(super) fn backward(self, cpu: &Cpu, d_scores: &[f32], d_vectors: &mut [f32]) {
        for (size, [left, right], out) in self.products(d_scores, d_vectors) {
            product_into(cpu, size, left, right, out);
        }
    }

    /// As [`Pairs::backward`], added to what is there.
    pub(super) fn backward_add(self, cpu: &Cpu, d_scores: &[f32], d_vectors: &mut [f32]) {
        for (size, [left, right], out) in self.products(d_scores, d_vectors) {
            product_add(cpu, size, left, right, out);
        }
    }

    /// The products that give the gradients of the queries and of the documents, each with its place.
    fn products<'b>(
        self,
        d_scores: &'b [f32],
        d_vectors: &'b mut [f32],
    ) -> [([usize; 3], [Operand<'b>; 2], &'b mut [f32]); 2]
    where
        'a: 'b,
    {
        let Self { queries, documents, n_queries, n_documents, hidden } = self;
        let (d_queries, d_documents) = d_vectors.split_at_mut(n_queries * hidden);
        let of_queries = [Operand::plain(d_scores), Operand::plain(documents)];
        let of_documents = [Operand::transposed(d_scores), Operand::plain(queries)];
        [
            ([n_queries, hidden, n_documents], of_queries, d_queries),
            ([n_documents, hidden, n_queries], of_documents, d_documents),
        ]
    }
}
