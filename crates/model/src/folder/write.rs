//! Writing a model as a sentence-transformers folder of the older generation, whole or not at all.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::Path;

use fs_err::File;
use serde::Serialize;
use serde_json::{Value, json};

use super::fingerprint::{self, Stamp};
use super::{BertConfig, FolderError, ModelCard, Pooling, Prompts};
use super::{modules, pooling, prompts, replace::replace, sentence};
use crate::checkpoint::{NamedTensor, write_safetensors};
use crate::moe::BlockConfig;
use crate::tokenizer::Tokenizer;

/// The folders of the modules behind the encoder, named as sentence-transformers names them.
const POOLING: &str = "1_Pooling";
const NORMALIZE: &str = "2_Normalize";
const BLOCK: &str = "2_SBMoE";

/// The module that lets sentence-transformers apply the block.
const BLOCK_PROGRAM: &str = include_str!("sbmoe.py");

/// Everything that a saved model consists of.
#[derive(Clone, Copy, Debug)]
pub struct WriteFolder<'a> {
    /// The encoder's configuration.
    pub bert: &'a BertConfig,
    /// The encoder's weights by canonical name.
    pub encoder: &'a [NamedTensor<'a>],
    /// The tokenizer, with the length and lower-casing that become part of the model.
    pub tokenizer: &'a Tokenizer,
    /// How token vectors become one.
    pub pooling: Pooling,
    /// Whether vectors are normalised at the end; a model with a block never is.
    pub normalize: bool,
    /// The block, if there is one.
    pub block: Option<WriteBlock<'a>>,
    /// What is put before queries and documents.
    pub prompts: &'a Prompts,
    /// The model card.
    pub card: &'a ModelCard,
}

/// A mixture-of-experts block to write.
#[derive(Clone, Copy, Debug)]
pub struct WriteBlock<'a> {
    /// Its configuration.
    pub config: &'a BlockConfig,
    /// Its weights by the names of [`crate::moe`].
    pub tensors: &'a [NamedTensor<'a>],
}

/// Writes a model folder, replacing a saved model that stands there.
///
/// The folder appears complete or not at all. The similarity is always written as the dot product.
///
/// # Errors
/// A weight that is not finite, a write that fails, or a folder that holds something other than a saved model.
///
/// # Panics
/// Panics if a block is to be written together with a normalisation, or if [`write_safetensors`] panics.
pub fn write_sentence_transformers(dir: &Path, model: &WriteFolder<'_>) -> Result<(), FolderError> {
    assert!(model.block.is_none() || !model.normalize, "a model with a block has no normalisation");
    replace(dir, |partial| write_files(partial, model))
}

fn write_files(dir: &Path, model: &WriteFolder<'_>) -> Result<(), FolderError> {
    // PyTorch's readers insist on being told that the tensors are theirs.
    let metadata = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
    let pad_token = model.tokenizer.token_id("[PAD]").unwrap_or(0);

    write_json(&dir.join("config.json"), &model.bert.to_json(pad_token))?;
    write_safetensors(&dir.join("model.safetensors"), model.encoder, &metadata)?;
    for (name, content) in model.tokenizer.files()? {
        write_synced(&dir.join(name), content.as_bytes())?;
    }
    write_json(&dir.join(sentence::FILE), &sentence::to_json(model.tokenizer))?;
    write_json(&dir.join(prompts::FILE), &prompts::to_json(model.prompts))?;

    let pooling = dir.join(POOLING);
    fs_err::create_dir_all(&pooling)?;
    write_json(&pooling.join("config.json"), &pooling::to_json(model.pooling, model.bert.hidden_size))?;
    if model.normalize {
        // The module has no configuration; its folder exists because the chain names it.
        fs_err::create_dir_all(dir.join(NORMALIZE))?;
    }
    if let Some(WriteBlock { config, tensors }) = model.block {
        let block = dir.join(BLOCK);
        fs_err::create_dir_all(&block)?;
        write_json(&block.join("config.json"), config)?;
        write_safetensors(&block.join("model.safetensors"), tensors, &metadata)?;
        write_synced(&dir.join("sbmoe.py"), BLOCK_PROGRAM.as_bytes())?;
    }
    write_json(&dir.join(modules::FILE), &chain(model))?;
    write_synced(&dir.join("README.md"), model.card.to_markdown(model.block.is_some()).as_bytes())?;
    write_json(&dir.join(fingerprint::FILE), &Stamp::of(dir)?)
}

/// `modules.json`.
fn chain(model: &WriteFolder<'_>) -> Value {
    let mut types = vec![
        ("", "sentence_transformers.models.Transformer"),
        (POOLING, "sentence_transformers.models.Pooling"),
    ];
    if model.normalize {
        types.push((NORMALIZE, "sentence_transformers.models.Normalize"));
    }
    if model.block.is_some() {
        types.push((BLOCK, modules::BLOCK_TYPE));
    }
    let entry = |(idx, (path, class)): (usize, &(&str, &str))| json!({ "idx": idx, "name": idx.to_string(), "path": path, "type": class });
    types.iter().enumerate().map(entry).collect()
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<(), FolderError> {
    let mut text = serde_json::to_string_pretty(value)
        .map_err(|source| FolderError::Json { path: path.to_owned(), source })?;
    text.push('\n');
    Ok(write_synced(path, text.as_bytes())?)
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
