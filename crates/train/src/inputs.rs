//! What the texts of a run are to the loop: token ids, or pooled vectors with what must be known of the ids.
//!
//! Left out: where they come from, and the texts themselves.

/// What the texts of a run are: token ids, or pooled vectors of an encoder that stays as it is.
#[derive(Debug)]
pub enum Inputs {
    /// Token ids by ordinal, special tokens included.
    Tokens {
        /// Queries.
        queries: Vec<Vec<u32>>,
        /// Documents.
        documents: Vec<Vec<u32>>,
    },
    /// Pooled vectors by ordinal.
    Pooled {
        /// Queries.
        queries: PooledTexts,
        /// Documents.
        documents: PooledTexts,
    },
}

/// Texts that the encoder has read already.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PooledTexts {
    /// `x [texts, hidden]`.
    pub vectors: Vec<f32>,
    /// The texts' keys ([`sbmoe_model::moe::text_key`]) `[texts]`: the random gate routes a text by its key, whether it
    /// comes as ids or as a vector.
    pub keys: Vec<u64>,
    /// How many tokens each text has, special ones included, `[texts]`.
    pub tokens: Vec<u32>,
}

impl PooledTexts {
    /// The vectors `[hidden]` of some texts.
    pub fn rows(&self, ordinals: &[u32], hidden: usize) -> impl Iterator<Item = &[f32]> {
        ordinals.iter().map(move |&row| &self.vectors[row as usize * hidden..][..hidden])
    }

    /// The keys of some texts.
    pub fn keys_of(&self, ordinals: &[u32]) -> Vec<u64> {
        ordinals.iter().map(|&row| self.keys[row as usize]).collect()
    }

    /// The tokens of some texts in all.
    pub fn tokens_of(&self, ordinals: &[u32]) -> usize {
        ordinals.iter().map(|&row| self.tokens[row as usize] as usize).sum()
    }
}
