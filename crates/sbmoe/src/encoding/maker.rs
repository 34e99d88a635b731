//! What decides a vector besides its text.

use std::str::FromStr;

use anyhow::{Result, bail, ensure};
use sbmoe_index::Similarity;
use sbmoe_kernels::{Cpu, Ops as _, Precision};
use sbmoe_model::folder;
use sbmoe_model::moe::{Block, BlockKind, Gate, Side, text_key};
use sbmoe_model::retriever::Retriever;

use crate::sha256::Sha256Hex;

/// Whether the vectors that are compared have length 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Normalize {
    /// As the model folder's last `Normalize` module says.
    #[default]
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

impl FromStr for Normalize {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "auto" => Ok(Self::Auto),
            "on" => Ok(Self::On),
            "off" => Ok(Self::Off),
            _ => Err(format!("`{name}` is no normalisation; choose `auto`, `on` or `off`")),
        }
    }
}

/// What a user may choose about vectors.
#[derive(Debug, Clone, Copy, Default)]
pub struct VectorOptions {
    /// The model's own gate when `None`.
    pub gate: Option<Gate>,
    /// Of the vectors compared; `x` and the block's input are never normalised.
    pub normalize: Normalize,
    /// The folder's own similarity when `None`, else the dot product.
    pub similarity: Option<Similarity>,
    /// The seed of the random gate; the model's own when `None`.
    pub seed: Option<u64>,
    /// Of the encoder's products; the block is always computed in f32.
    pub precision: Precision,
    /// Whether the encoder will see a few texts at most: then its weights are not laid out beforehand (unless the
    /// precision asks for it), which would cost more than it saves. The vectors are the same.
    pub few_texts: bool,
}

/// A retriever with everything decided that makes a vector.
#[derive(Debug)]
pub struct VectorMaker {
    /// The model.
    pub retriever: Retriever<Cpu>,
    /// How the block is used; `None` without a block.
    pub gate: Option<Gate>,
    /// Whether the model's normalisation is applied; it comes before the vectors are cut to `dimensions`.
    pub normalize: bool,
    /// The first numbers of each vector, which are compared: all, unless the folder's `truncate_dim` says otherwise.
    pub dimensions: usize,
    /// How vectors are compared; for cosine they are stored with length 1.
    pub similarity: Similarity,
    /// Of the encoder's products.
    pub precision: Precision,
}

/// Some texts' vectors.
#[derive(Debug, Clone, Default)]
pub struct Encoded {
    /// `x [texts, hidden]`.
    pub pooled: Vec<f32>,
    /// What is compared, `[texts, dimensions]`.
    pub vectors: Vec<f32>,
    /// The expert of each text; empty without a block or where none is preferred.
    pub routed: Vec<u16>,
    /// The texts' keys, which the random gate reads.
    pub keys: Vec<u64>,
}

impl VectorMaker {
    /// Decides what `options` leave open.
    ///
    /// # Errors
    /// A gate for a model without one; no normalisation for a block that was trained between two of them.
    pub fn new(mut retriever: Retriever<Cpu>, options: VectorOptions) -> Result<Self> {
        let block = retriever.architecture.block.as_ref();
        if let (false, Some(gate)) = (block.is_some_and(|block| block.config().has_gate()), options.gate) {
            bail!("`--gate {gate}`: the model has no mixture-of-experts block; leave the switch out");
        }
        if block.is_some() && retriever.architecture.normalize && options.normalize == Normalize::Off {
            bail!(
                "`--normalize off`: the model's block was trained by cosine, between two normalisations; leave the switch out"
            );
        }
        if let (Some(block), Some(seed)) = (&mut retriever.architecture.block, options.seed) {
            block.config_mut().seed = seed;
        }
        let folder_says = match retriever.folder.similarity {
            Some(folder::Similarity::Cosine) => Similarity::Cos,
            Some(folder::Similarity::Dot) | None => Similarity::Dot,
        };
        let normalize = match options.normalize {
            Normalize::Auto => retriever.folder.normalize,
            Normalize::On => true,
            Normalize::Off => false,
        };
        if !options.few_texts || options.precision != Precision::F32 {
            retriever.prepare(options.precision);
        }
        Ok(Self {
            gate: options.gate.or_else(|| retriever.gate()),
            normalize,
            dimensions: retriever.folder.truncate_dim.unwrap_or_else(|| retriever.architecture.hidden()),
            similarity: options.similarity.unwrap_or(folder_says),
            precision: options.precision,
            retriever,
        })
    }

    /// The gate that texts of `side` pass, by its name in manifests: `none` where no mixture of experts serves them.
    pub fn gate_name(&self, side: Side) -> String {
        let block = self.retriever.architecture.block.as_ref().map(Block::config);
        let has_gate =
            block.is_some_and(|block| block.kind == BlockKind::Experts && block.sides.include(side));
        self.gate.filter(|_| has_gate).map_or_else(|| "none".to_owned(), |gate| gate.to_string())
    }

    /// Tells this encoder from every other, whatever block stands behind it: stored pooled vectors may only meet blocks
    /// of their own encoder. SHA-256 of its values and of how it reads texts, the tokenizer's vocabulary excepted.
    pub fn encoder_fingerprint(&self) -> String {
        let architecture = &self.retriever.architecture;
        let mut hash = Sha256Hex::new();
        let config = &architecture.config;
        hash.part(format!("{} {}", architecture.pooling, self.retriever.lengths().document));
        hash.part(format!(
            "{} {:?} {}",
            config.num_attention_heads, config.hidden_act, config.layer_norm_eps
        ));
        hash.part(self.retriever.folder.prompts.document());
        hash.part(self.retriever.tokenizer().lower_case().to_string());
        for id in architecture.layout.ids().take(architecture.encoder_parameters()) {
            let values = self.retriever.ops.download(self.retriever.parameters.get(id));
            hash.part(values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>());
        }
        hash.finish()
    }

    /// Vectors of one ragged batch of one side's texts.
    ///
    /// # Errors
    /// A vector that is not finite, or that has length 0 where length 1 is asked for.
    pub fn encode(&self, side: Side, tokens: &[Vec<u32>]) -> Result<Encoded> {
        let keys: Vec<u64> = tokens.iter().map(|ids| text_key(ids)).collect();
        self.from_pooled(side, self.retriever.pooled(tokens), keys)
    }

    /// Vectors of stored pooled vectors.
    ///
    /// # Errors
    /// As [`VectorMaker::encode`].
    pub fn from_pooled(&self, side: Side, pooled: Vec<f32>, keys: Vec<u64>) -> Result<Encoded> {
        let hidden = self.retriever.architecture.hidden();
        let (mut vectors, routed) = match self.gate {
            Some(gate) => self.retriever.apply_block(&pooled, side, gate, &keys),
            None => (pooled.clone(), Vec::new()),
        };
        let (cuts, is_cosine) = (self.dimensions < hidden, self.similarity == Similarity::Cos);
        if self.normalize || (is_cosine && !cuts) {
            normalize(&mut vectors, hidden)?;
        }
        if cuts {
            let kept = vectors.chunks_exact(hidden).flat_map(|vector| &vector[..self.dimensions]);
            vectors = kept.copied().collect();
            if is_cosine {
                normalize(&mut vectors, self.dimensions)?;
            }
        }
        // A block has at most `BlockConfig::MOST_EXPERTS`.
        let routed = routed.into_iter().map(u16::try_from).collect::<Result<_, _>>()?;
        Ok(Encoded { pooled, vectors, routed, keys })
    }
}

/// Gives each vector `[texts, dim]` length 1.
fn normalize(vectors: &mut [f32], dim: usize) -> Result<()> {
    for vector in vectors.chunks_exact_mut(dim) {
        let norm = vector.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
        ensure!(norm > 0.0 && norm.is_finite(), "a vector has length {norm} and cannot be normalised");
        for value in vector {
            *value = (f64::from(*value) / norm) as f32;
        }
    }
    Ok(())
}
