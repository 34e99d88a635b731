//! [`Objectives`] for the reference: each loss handed to the file that holds its formula.

use super::{Float, Reference, contrastive, distill};
use crate::{Agreement, ContrastiveInputs, DistillInputs, Objectives};

impl<F: Float> Objectives<Vec<F>> for Reference<F> {
    fn contrastive(&self, inputs: ContrastiveInputs<'_, Vec<F>>, d_vectors: &mut Vec<F>) -> Agreement {
        contrastive::contrastive(inputs, d_vectors)
    }

    fn distill(&self, inputs: DistillInputs<'_, Vec<F>>, d_vectors: &mut Vec<F>) -> f64 {
        distill::distill(inputs, d_vectors)
    }
}
