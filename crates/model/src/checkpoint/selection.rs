//! Taking from a checkpoint exactly the tensors that a model needs.

use std::collections::BTreeMap;

use super::names::{canonical, is_dispensable};
use super::{Checkpoint, CheckpointError, Misshapen, Tensor};

/// A tensor that a model needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its canonical name ([`canonical`]).
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
}

/// The tensors that a model needs, and the names of those that nobody asked for.
#[derive(Clone, Debug)]
pub struct Selection<'a> {
    checkpoint: &'a Checkpoint,
    /// The names, as the file spells them, of the wanted tensors in their order.
    found: Vec<&'a str>,
    /// The names, as the file spells them, of tensors that the model has no place for; worth a warning.
    /// Pre-training heads (`cls.`), the pooler and the positions' buffer are not listed.
    pub unexpected: Vec<String>,
}

impl Selection<'_> {
    /// Reads one tensor for each wanted one, in their order and one at a time.
    ///
    /// # Errors
    /// Of each tensor, those of [`Checkpoint::get`].
    pub fn tensors(&self) -> impl Iterator<Item = Result<Tensor, CheckpointError>> {
        self.found.iter().map(|name| self.checkpoint.get(name))
    }
}

impl Checkpoint {
    /// Finds the tensors that are wanted, whatever prefix and layer-norm names the file uses.
    ///
    /// # Errors
    /// One [`CheckpointError::Mismatch`] that lists every absent and every mis-shaped tensor.
    pub fn select(&self, wanted: &[Wanted]) -> Result<Selection<'_>, CheckpointError> {
        let mut originals = BTreeMap::new();
        for name in self.names() {
            if let Some(first) = originals.insert(canonical(name), name) {
                return Err(CheckpointError::SameName {
                    path: self.first_path(),
                    first: first.to_owned(),
                    second: name.to_owned(),
                    renamed: canonical(name),
                });
            }
        }

        let mut found = Vec::with_capacity(wanted.len());
        let (mut missing, mut misshapen) = (Vec::new(), Vec::new());
        for Wanted { name, shape } in wanted {
            let Some(original) = originals.remove(name) else {
                missing.push(name.clone());
                continue;
            };
            match self.shape(original) {
                Some(has) if has != shape => {
                    misshapen.push(Misshapen {
                        name: name.clone(),
                        expected: shape.clone(),
                        found: has.to_vec(),
                    });
                }
                _ => found.push(original),
            }
        }
        if !missing.is_empty() || !misshapen.is_empty() {
            return Err(CheckpointError::Mismatch { path: self.first_path(), missing, misshapen });
        }

        let unexpected = originals
            .into_iter()
            .filter(|(canonical, _)| !is_dispensable(canonical))
            .map(|(_, original)| original.to_owned())
            .collect();
        Ok(Selection { checkpoint: self, found, unexpected })
    }
}
