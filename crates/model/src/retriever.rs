//! A retriever ready for use: tokenizer, parameters on a device, and how texts and gates are treated.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use sbmoe_kernels::{Ops, Passes, Precision};

use crate::architecture::Architecture;
use crate::checkpoint::{Checkpoint, CheckpointError, NamedTensor, Wanted};
use crate::folder::{
    FolderError, ModelCard, ModelFolder, WriteBlock, WriteFolder, write_sentence_transformers,
};
use crate::moe::{Block, BlockConfig, Draws, Gate, Routed, Side, Start};
use crate::parameters::{Parameter, ParameterId, Tensors};
use crate::tokenizer::{Lengths, Tokenizer, TokenizerError};

/// Why a retriever cannot be opened or saved.
#[derive(Debug, thiserror::Error)]
pub enum RetrieverError {
    /// The folder's configuration, or writing it.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The weights.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The tokenizer.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
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
}

impl<O: Ops> Retriever<O> {
    /// Opens a model folder. `max_length` overrides the folder's own numbers of tokens at which texts are cut.
    ///
    /// # Errors
    /// A folder, a tokenizer or weights that cannot be used; the error names the file.
    pub fn open(dir: &Path, ops: Arc<O>, max_length: Option<usize>) -> Result<Self, RetrieverError> {
        let folder = ModelFolder::open(dir)?;
        let block = folder.block_config()?;
        // Names of layers and experts are made only where the weights can have so many.
        let checkpoints = folder.weights(block.as_ref())?;
        let mut architecture = Architecture::new(folder.bert.clone(), folder.pooling, block);
        architecture.normalize = folder.normalize;
        // The two slow parts of a cold start side by side: parsing the vocabulary, and copying the weights.
        let (tokenizer, weights) = std::thread::scope(|scope| {
            let tokenizer = scope.spawn(|| folder.tokenizer(None, max_length));
            let weights = load(checkpoints, &architecture, &*ops);
            (tokenizer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), weights)
        });
        let (tokenizer, (parameters, unexpected)) = (tokenizer?, weights?);
        Ok(Self { ops, architecture, parameters, folder, unexpected, tokenizer })
    }

    /// Encodes in `precision` from now on (the block stays in f32), and lays the encoder's weights out for it. The layout
    /// lasts until the parameters change, and takes as much memory again as the layers' weights (half of it in integers).
    pub fn prepare(&mut self, precision: Precision) {
        self.architecture.bert.set_precision(precision);
        self.architecture.bert.prepare_weights(&*self.ops, Passes::Forward, &mut self.parameters);
    }

    /// Replaces the block by a fresh one, or removes it, and decides whether vectors are compared by cosine.
    pub fn set_head(&mut self, block: Option<BlockConfig>, normalize: bool, (start, seed): (Start, u64)) {
        let mut values = self.parameters.download(&*self.ops);
        values.truncate(self.architecture.encoder_parameters());
        self.architecture = Architecture::new(self.folder.bert.clone(), self.folder.pooling, block);
        self.architecture.normalize = normalize;
        if let Some(block) = &self.architecture.block {
            values.extend(block.initial_values(&self.architecture.layout, start, seed));
        }
        self.parameters = Tensors::upload(&*self.ops, &values);
    }

    /// Changes whether texts are lower-cased before the tokenizer sees them; it becomes part of the saved model.
    ///
    /// # Errors
    /// The tokenizer's files have become unreadable.
    pub fn set_lower_case(&mut self, lower_case: bool) -> Result<(), RetrieverError> {
        let lengths = self.lengths();
        self.tokenizer =
            self.folder.tokenizer(Some(lower_case), Some(lengths.text))?.with_lengths(lengths)?;
        self.folder.lower_case = lower_case;
        Ok(())
    }

    /// Changes the most tokens of a query, special ones included.
    ///
    /// # Errors
    /// A length that leaves no room for text, or is beyond the encoder's positions.
    pub fn set_query_length(&mut self, query: usize) -> Result<(), RetrieverError> {
        let limit = self.folder.bert.max_position_embeddings;
        if query > limit {
            return Err(TokenizerError::TooLong { asked: query, limit }.into());
        }
        self.tokenizer = self.tokenizer.clone().with_lengths(Lengths { query, ..self.lengths() })?;
        Ok(())
    }

    /// The most tokens of a text of no particular kind, special ones included.
    pub fn max_length(&self) -> usize {
        self.tokenizer.max_length()
    }

    /// The most tokens of queries and documents, special ones included.
    pub fn lengths(&self) -> Lengths {
        self.tokenizer.lengths()
    }

    /// How the model is used unless a command says otherwise; `None` without a block.
    pub fn gate(&self) -> Option<Gate> {
        self.architecture.block.as_ref().map(|block| block.config().gate)
    }

    /// The tokenizer, which knows the length at which texts are cut and their lower-casing.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// Token ids of a query, with the model's prompt, cut at the length of queries.
    ///
    /// # Errors
    /// A text that the tokenizer cannot take.
    pub fn tokenize_query(&self, text: &str) -> Result<Vec<u32>, RetrieverError> {
        Ok(self.tokenizer.encode_query(&prompted(self.folder.prompts.query(), text))?)
    }

    /// Token ids of a document's joined title and text, with the model's prompt, cut at the length of documents.
    ///
    /// # Errors
    /// A text that the tokenizer cannot take.
    pub fn tokenize_document(&self, text: &str) -> Result<Vec<u32>, RetrieverError> {
        Ok(self.tokenizer.encode_document(&prompted(self.folder.prompts.document(), text))?)
    }

    /// Pooled vectors `x [texts, hidden]`.
    pub fn pooled(&self, texts: &[Vec<u32>]) -> Vec<f32> {
        self.architecture.pooled_in_parts(&*self.ops, &self.parameters, texts)
    }

    /// Whether texts of `side` pass through a block.
    pub fn block_serves(&self, side: Side) -> bool {
        self.architecture.block.as_ref().is_some_and(|block| block.config().sides.include(side))
    }

    /// The compared vectors for pooled vectors `x` of texts of one side, and where each text was routed; `x` itself where
    /// no block serves them. `keys` are the texts' keys ([`crate::moe::text_key`]), which [`Gate::Random`] reads.
    pub fn apply_block(&self, x: &[f32], side: Side, gate: Gate, keys: &[u64]) -> (Vec<f32>, Routed) {
        let Some(block) = self.architecture.block.as_ref().filter(|_| self.block_serves(side)) else {
            return (x.to_vec(), Vec::new());
        };
        let draws = Draws::in_use(block.config(), gate, keys);
        let Self { ops, architecture, parameters, .. } = self;
        let (y, routed) = architecture.compared(&**ops, parameters, &ops.upload(x), (side, gate), &draws);
        (self.ops.download(&y), routed)
    }

    /// Writes the model as a sentence-transformers folder. `documents_of` is the fingerprint of the model that makes the
    /// same document vectors, where that is not this one.
    ///
    /// # Errors
    /// A value that is not finite, or a write that fails; a former folder at `dir` stays whole until the new one is.
    pub fn save(
        &self,
        dir: &Path,
        card: &ModelCard,
        documents_of: Option<&str>,
    ) -> Result<(), RetrieverError> {
        let values = self.parameters.download(&*self.ops);
        let named = |id: ParameterId| {
            let parameter = self.architecture.layout.get(id);
            NamedTensor { name: &parameter.name, shape: &parameter.shape, values: &values[id.index()] }
        };
        let tensors: Vec<NamedTensor<'_>> = self.architecture.layout.ids().map(named).collect();
        let (encoder, block) = tensors.split_at(self.architecture.encoder_parameters());
        let config = self.architecture.block.as_ref().map(Block::config);
        let model = WriteFolder {
            bert: &self.folder.bert,
            encoder,
            tokenizer: &self.tokenizer,
            pooling: self.folder.pooling,
            normalize: self.architecture.normalize,
            block: config.map(|config| WriteBlock { config, tensors: block }),
            prompts: &self.folder.prompts,
            card,
            documents_of,
        };
        Ok(write_sentence_transformers(dir, &model)?)
    }
}

/// A text behind its prompt.
fn prompted<'a>(prompt: &str, text: &'a str) -> Cow<'a, str> {
    if prompt.is_empty() { Cow::Borrowed(text) } else { Cow::Owned(format!("{prompt}{text}")) }
}

/// The values of an architecture's parameters, and the names of tensors that it has no place for.
fn load<O: Ops>(
    (of_encoder, of_block): (Checkpoint, Option<Checkpoint>),
    architecture: &Architecture,
    ops: &O,
) -> Result<(Tensors<O::Buffer>, Vec<String>), RetrieverError> {
    let (encoder, block) = architecture.layout.parameters().split_at(architecture.encoder_parameters());
    let (mut buffers, mut unexpected) = (Vec::new(), Vec::new());
    let mut upload = |checkpoint: Checkpoint, parameters: &[Parameter]| {
        let selection = checkpoint.select(&wanted(parameters))?;
        for tensor in selection.tensors() {
            buffers.push(ops.share(Arc::new(tensor?.values)));
        }
        unexpected.extend(selection.unexpected);
        Ok::<_, CheckpointError>(())
    };
    upload(of_encoder, encoder)?;
    if let Some(checkpoint) = of_block {
        upload(checkpoint, block)?;
    }
    Ok((Tensors::from_buffers(buffers), unexpected))
}

fn wanted(parameters: &[Parameter]) -> Vec<Wanted> {
    parameters.iter().map(|p| Wanted { name: p.name.clone(), shape: p.shape.clone() }).collect()
}
