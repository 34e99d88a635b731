//! A retriever ready for use: tokenizer, parameters on a device, and how texts and gates are treated.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sbmoe_kernels::{Ops, Tokens};

use crate::architecture::Architecture;
use crate::checkpoint::{Checkpoint, CheckpointError, NamedTensor, Wanted};
use crate::folder::{FolderError, ModelFolder, WriteFolder, write_sentence_transformers};
use crate::moe::{BlockConfig, Draws, Gate, Routed};
use crate::parameters::{ParameterId, Tensors};
use crate::tokenizer::{Tokenizer, TokenizerError};

/// Texts are cut here unless the model's folder or the caller says otherwise, special tokens included.
pub const DEFAULT_MAX_LENGTH: usize = 256;

/// Why a retriever cannot be opened or saved.
#[derive(Debug, thiserror::Error)]
pub enum RetrieverError {
    /// The folder's configuration.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The weights.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The tokenizer.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The block's configuration.
    #[error("`{}` is not a block's configuration: {source}", path.display())]
    Block {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A file that cannot be read.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The requested length is not the model's.
    #[error("maximum length {asked} is not within 3 and the model's {limit} positions")]
    Length {
        /// What was asked for.
        asked: usize,
        /// The number of position embeddings.
        limit: usize,
    },
}

/// An encoder, perhaps with a block, on a device.
#[derive(Debug)]
pub struct Retriever<O: Ops> {
    /// The device.
    pub ops: Arc<O>,
    /// What is computed.
    pub architecture: Architecture,
    /// With which values.
    pub parameters: Tensors<O::Buffer>,
    /// Where it came from.
    pub folder: ModelFolder,
    /// Names of tensors that the model has no place for; worth a warning.
    pub unexpected: Vec<String>,
    tokenizer: Tokenizer,
    max_length: usize,
}

impl<O: Ops> Retriever<O> {
    /// Opens a model folder. `max_length` overrides the folder's own.
    ///
    /// # Errors
    /// A folder, a tokenizer or weights that cannot be used; the error names the file.
    pub fn open(dir: &Path, ops: Arc<O>, max_length: Option<usize>) -> Result<Self, RetrieverError> {
        let folder = ModelFolder::open(dir)?;
        let limit = folder.bert.max_position_embeddings;
        let asked = max_length.unwrap_or_else(|| folder.max_length.unwrap_or(DEFAULT_MAX_LENGTH.min(limit)));
        if !(3..=limit).contains(&asked) {
            return Err(RetrieverError::Length { asked, limit });
        }
        let tokenizer = Tokenizer::open(dir, folder.lower_case, asked)?;
        let block = folder.block.as_ref().map(|dir| block_config(dir)).transpose()?;
        let architecture = Architecture::new(folder.bert.clone(), folder.pooling, block);
        let (encoder, own) = architecture.layout.parameters().split_at(architecture.encoder_parameters());
        let wanted = |parameters: &[crate::parameters::Parameter]| -> Vec<Wanted> {
            parameters.iter().map(|p| Wanted { name: p.name.clone(), shape: p.shape.clone() }).collect()
        };
        let selection = Checkpoint::open(dir)?.select(&wanted(encoder))?;
        let mut values: Vec<Vec<f32>> = selection.tensors.into_iter().map(|tensor| tensor.values).collect();
        if let Some(dir) = &folder.block {
            let selection = Checkpoint::open(dir)?.select(&wanted(own))?;
            values.extend(selection.tensors.into_iter().map(|tensor| tensor.values));
        }
        let parameters = Tensors::upload(&*ops, &values);
        let unexpected = selection.unexpected;
        Ok(Self { ops, architecture, parameters, folder, unexpected, tokenizer, max_length: asked })
    }

    /// Replaces the block by a fresh one, or removes it.
    pub fn set_block(&mut self, config: Option<BlockConfig>, seed: u64) {
        let mut values = self.parameters.download(&*self.ops);
        values.truncate(self.architecture.encoder_parameters());
        self.architecture = Architecture::new(self.folder.bert.clone(), self.folder.pooling, config);
        if let Some(block) = &self.architecture.block {
            values.extend(block.initial_values(&self.architecture.layout, seed));
        }
        self.parameters = Tensors::upload(&*self.ops, &values);
    }

    /// The most tokens of a text, special ones included.
    pub fn max_length(&self) -> usize {
        self.max_length
    }

    /// How the model is used unless a command says otherwise; `None` without a block.
    pub fn gate(&self) -> Option<Gate> {
        self.architecture.block.as_ref().map(|block| block.config().gate)
    }

    /// Token ids of a query, with the model's prompt, cut at the maximum length.
    ///
    /// # Errors
    /// A text that the tokenizer cannot take.
    pub fn tokenize_query(&self, text: &str) -> Result<Vec<u32>, RetrieverError> {
        self.tokenize("query", text)
    }

    /// Token ids of a document's joined title and text, with the model's prompt, cut at the maximum length.
    ///
    /// # Errors
    /// A text that the tokenizer cannot take.
    pub fn tokenize_document(&self, text: &str) -> Result<Vec<u32>, RetrieverError> {
        self.tokenize("document", text)
    }

    fn tokenize(&self, kind: &str, text: &str) -> Result<Vec<u32>, RetrieverError> {
        match self.folder.prompts.get(kind).filter(|prompt| !prompt.is_empty()) {
            Some(prompt) => Ok(self.tokenizer.encode(&format!("{prompt}{text}"))?),
            None => Ok(self.tokenizer.encode(text)?),
        }
    }

    /// Pooled vectors `x [texts, hidden]` of one ragged batch.
    pub fn pooled(&self, texts: &[Vec<u32>]) -> Vec<f32> {
        let x = self.architecture.pooled(&*self.ops, &self.parameters, &Tokens::new(texts, 0));
        self.ops.download(&x)
    }

    /// The block's output for pooled vectors `x`, and where each text was routed; `x` itself without a block.
    /// `keys` are the texts' keys ([`crate::moe::text_key`]), which [`Gate::Random`] reads.
    pub fn apply_block(&self, x: &[f32], gate: Gate, keys: &[u64]) -> (Vec<f32>, Routed) {
        let Some(block) = &self.architecture.block else { return (x.to_vec(), Vec::new()) };
        let config = block.config();
        let draws = match gate {
            Gate::Random => Draws::for_use(config.seed, keys, config.experts),
            Gate::Top1 | Gate::All | Gate::Uniform => Draws::default(),
        };
        let (y, routed) = block.apply(&*self.ops, &self.parameters, &self.ops.upload(x), gate, &draws);
        (self.ops.download(&y), routed)
    }

    /// Writes the model as a sentence-transformers folder; `card` is the model card's body.
    ///
    /// # Errors
    /// A value that is not finite, or a write that fails; a former folder at `dir` stays whole until the new one is.
    pub fn save(&self, dir: &Path, card: &str) -> Result<(), RetrieverError> {
        let values = self.parameters.download(&*self.ops);
        let named = |id: ParameterId| {
            let parameter = self.architecture.layout.get(id);
            NamedTensor { name: &parameter.name, shape: &parameter.shape, values: &values[id.index()] }
        };
        let tensors: Vec<NamedTensor<'_>> = self.architecture.layout.ids().map(named).collect();
        let (encoder, block) = tensors.split_at(self.architecture.encoder_parameters());
        let config = self.architecture.block.as_ref().map(|own| own.config());
        Ok(write_sentence_transformers(
            dir,
            &WriteFolder {
                source: &self.folder,
                max_length: self.max_length,
                encoder,
                block: config.map(|config| (config, block)),
                card,
            },
        )?)
    }
}

fn block_config(dir: &Path) -> Result<BlockConfig, RetrieverError> {
    let path = dir.join("config.json");
    let text = fs_err::read_to_string(&path)?;
    serde_json::from_str(&text).map_err(|source| RetrieverError::Block { path, source })
}
