//! Model folders: what the files of Hugging Face and sentence-transformers say about a model, read and written.
//!
//! A [`ModelFolder`] is the description: the encoder's configuration, pooling, normalisation, prompts, lengths and
//! where the weights lie. The weights themselves are read by [`crate::checkpoint`], texts by [`crate::tokenizer`].
//! Both generations of sentence-transformers' files are read; the older one is written, since the other servers of
//! such folders understand it.
//! Left out: names of the hub (a folder is given), and every architecture but BERT.

use std::path::{Path, PathBuf};

pub use sbmoe_kernels::Pooling;

pub use self::card::{CardResult, ModelCard};
pub(crate) use self::config::MOST_ELEMENTS;
pub use self::config::{BertConfig, HiddenAct};
pub use self::error::FolderError;
pub use self::fingerprint::{Fingerprints, fingerprint};
pub use self::prompts::{Prompts, Similarity};
pub use self::replace::{is_saved_model, remove_saved_model};
pub use self::write::{WriteBlock, WriteFolder, write_sentence_transformers};

use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::moe::BlockConfig;
use crate::tokenizer::{Lengths, Tokenizer, TokenizerError};

mod card;
mod config;
mod error;
mod fingerprint;
mod json_file;
mod keys;
mod modules;
mod pooling;
mod prompts;
mod replace;
mod sentence;
mod write;

/// The number of tokens at which texts are cut unless the folder or the user says otherwise, special tokens included. A
/// sentence-transformers folder always says.
pub const DEFAULT_MAX_LENGTH: usize = 256;

/// What a model folder says.
#[derive(Clone, Debug)]
pub struct ModelFolder {
    /// The folder.
    pub dir: PathBuf,
    /// The folder of the encoder's weights and tokenizer: `dir` itself, or `0_Transformer` in the oldest layout.
    pub encoder: PathBuf,
    /// The encoder's configuration.
    pub bert: BertConfig,
    /// How token vectors become one; the mean where the folder does not say.
    pub pooling: Pooling,
    /// Whether the folder ends in a `Normalize` module; a block then stands behind another one.
    pub normalize: bool,
    /// The folder of the mixture-of-experts block, if there is one.
    pub block: Option<PathBuf>,
    /// The number of tokens at which texts are cut, where the folder says so.
    pub max_length: Option<usize>,
    /// The same of queries, where the folder gives them a length of their own.
    pub query_length: Option<usize>,
    /// The same of documents.
    pub document_length: Option<usize>,
    /// Whether texts are lower-cased before the tokenizer sees them.
    pub lower_case: bool,
    /// What is put before queries and documents.
    pub prompts: Prompts,
    /// How vectors are meant to be compared, where the folder says so.
    pub similarity: Option<Similarity>,
    /// The first numbers of a finished vector that are compared, where the folder asks for fewer than there are.
    pub truncate_dim: Option<usize>,
    /// Whether the folder is sentence-transformers' own: a bare Hugging Face folder has no `modules.json`.
    pub sentence_transformers: bool,
    /// What the folder says and is left out, and where sentence-transformers would give other vectors: a sentence each.
    pub warnings: Vec<String>,
}

impl ModelFolder {
    /// Reads a sentence-transformers folder, or a bare Hugging Face one (mean pooling, no normalisation).
    ///
    /// # Errors
    /// A missing `config.json`, a file that cannot be read, or anything that is not supported, by name.
    pub fn open(dir: &Path) -> Result<Self, FolderError> {
        let modules = modules::read(dir)?;
        let encoder = modules.as_ref().map_or_else(|| dir.to_owned(), |modules| modules.encoder.clone());
        let bert = BertConfig::read(&encoder)?;
        let sentence_transformers = modules.is_some();
        let sentence = sentence::read(&encoder, sentence_transformers, &bert)?;
        let model = prompts::read(dir)?;
        let mut warnings = [model.warnings, sentence.warnings, BertConfig::warnings(&encoder)?].concat();
        let (pooling, normalize, block) = match modules {
            None => (Pooling::default(), false, None),
            Some(modules) => {
                let (pooling, others) = pooling::read(&modules.pooling, &bert, &model.prompts)?;
                warnings.extend(others);
                (pooling, modules.normalize, modules.block)
            }
        };
        let hidden = bert.hidden_size;
        Ok(Self {
            dir: dir.to_owned(),
            encoder,
            bert,
            pooling,
            normalize,
            block,
            max_length: sentence.max_length,
            query_length: sentence.query_length,
            document_length: sentence.document_length,
            lower_case: sentence.lower_case,
            prompts: model.prompts,
            similarity: model.similarity,
            truncate_dim: model.truncate_dim.filter(|dim| *dim < hidden),
            sentence_transformers,
            warnings,
        })
    }

    /// Whether sentence-transformers would compare this model's vectors by cosine only because the folder says nothing:
    /// it is that library's folder, names no similarity, and does not normalise (by dot product that is the cosine).
    pub fn implies_cosine(&self) -> bool {
        self.sentence_transformers && self.similarity.is_none() && !self.normalize
    }

    /// Opens the encoder's weights.
    ///
    /// # Errors
    /// See [`Checkpoint::open`].
    pub fn checkpoint(&self) -> Result<Checkpoint, CheckpointError> {
        Checkpoint::open(&self.encoder)
    }

    /// How the model's vectors are meant to be compared: what the folder says; where a sentence-transformers folder says
    /// nothing, the cosine, which is its library's default; for a bare Hugging Face folder the dot product.
    pub fn meant_similarity(&self) -> Similarity {
        match self.similarity {
            _ if self.normalize => Similarity::Cosine,
            Some(similarity) => similarity,
            None if self.sentence_transformers => Similarity::Cosine,
            None => Similarity::Dot,
        }
    }

    /// The block's configuration, if there is a block.
    ///
    /// # Errors
    /// A `config.json` of the block that is missing, malformed, or meant for another hidden size.
    pub fn block_config(&self) -> Result<Option<BlockConfig>, FolderError> {
        let Some(dir) = &self.block else { return Ok(None) };
        let path = dir.join("config.json");
        let config: BlockConfig = json_file::read(&path)?;
        if let Err(reason) = config.check() {
            return Err(FolderError::Invalid { path, reason });
        }
        if config.hidden != self.bert.hidden_size {
            let (block, encoder) = (config.hidden, self.bert.hidden_size);
            let reason =
                format!("the block's `hidden` is {block}, but the encoder's `hidden_size` is {encoder}");
            return Err(FolderError::Invalid { path, reason });
        }
        Ok(Some(config))
    }

    /// Opens the block's weights, if there is a block.
    ///
    /// # Errors
    /// See [`Checkpoint::open`].
    pub fn block_checkpoint(&self) -> Result<Option<Checkpoint>, CheckpointError> {
        self.block.as_deref().map(Checkpoint::open).transpose()
    }

    /// Opens the weights of encoder and block, of which neither may be far smaller than its configuration says.
    ///
    /// # Errors
    /// See [`Checkpoint::open`]; more layers or experts than the weights have tensors.
    pub(crate) fn weights(
        &self,
        block: Option<&BlockConfig>,
    ) -> Result<(Checkpoint, Option<Checkpoint>), FolderError> {
        let encoder = self.checkpoint()?;
        self.bert.check_layers(&self.encoder, encoder.names().len())?;
        let of_block = self.block_checkpoint()?;
        if let (Some(dir), Some(config), Some(weights)) = (&self.block, block, &of_block) {
            let (experts, tensors) = (config.experts, weights.names().len());
            if experts > tensors {
                let reason = format!(
                    "`experts` is {experts}, but the weights beside it hold {tensors} tensors in all"
                );
                return Err(FolderError::Invalid { path: dir.join("config.json"), reason });
            }
        }
        Ok((encoder, of_block))
    }

    /// Opens the tokenizer. `None` follows the folder, whose own default length is [`DEFAULT_MAX_LENGTH`] tokens or
    /// the model's limit if that is lower; a `max_length` is that of queries and documents alike.
    ///
    /// # Errors
    /// A tokenizer that is missing, malformed or of another model, or a length beyond the model's.
    pub fn tokenizer(
        &self,
        lower_case: Option<bool>,
        max_length: Option<usize>,
    ) -> Result<Tokenizer, TokenizerError> {
        let limit = self.bert.max_position_embeddings;
        let text = self.max_length.unwrap_or(DEFAULT_MAX_LENGTH).min(limit);
        let own = |side: Option<usize>| side.unwrap_or(text).min(limit);
        let folder = Lengths { text, query: own(self.query_length), document: own(self.document_length) };
        let lengths = max_length.map_or(folder, Lengths::all);
        if lengths.text > limit {
            return Err(TokenizerError::TooLong { asked: lengths.text, limit });
        }
        let lower_case = lower_case.unwrap_or(self.lower_case);
        let tokenizer = Tokenizer::open(&self.encoder, lower_case, lengths.text)?.with_lengths(lengths)?;
        tokenizer.with_rows(self.bert.vocab_size)
    }
}
