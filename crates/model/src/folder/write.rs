//! Writing a model as a sentence-transformers folder of the older generation, whole or not at all.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::Path;

use serde::Serialize;
use serde_json::{Value, json};

use super::fingerprint::{self, Stamp};
use super::{BertConfig, FolderError, ModelCard, Pooling, Prompts, Similarity};
use super::{modules, pooling, prompts, replace::replace, sentence};
use crate::atomic;
use crate::checkpoint::{NamedTensor, write_safetensors};
use crate::moe::BlockConfig;
use crate::tokenizer::Tokenizer;

/// The folder of the pooling, named as sentence-transformers names it.
const POOLING: &str = "1_Pooling";

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
    /// Whether vectors are compared by cosine: then they are normalised at the end, and before the block if there is one.
    pub normalize: bool,
    /// The block, if there is one.
    pub block: Option<WriteBlock<'a>>,
    /// What is put before queries and documents.
    pub prompts: &'a Prompts,
    /// The model card.
    pub card: &'a ModelCard,
    /// The fingerprint of the model that makes the same document vectors, where that is not this one: of the encoder
    /// before a block for queries alone.
    pub documents_of: Option<&'a str>,
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
/// The folder appears complete or not at all.
///
/// # Errors
/// A weight that is not finite, a write that fails, or a folder that holds something other than a saved model.
///
/// # Panics
/// Panics if [`write_safetensors`] panics.
pub fn write_sentence_transformers(dir: &Path, model: &WriteFolder<'_>) -> Result<(), FolderError> {
    replace(dir, |partial| write_files(partial, model))
}

fn write_files(dir: &Path, model: &WriteFolder<'_>) -> Result<(), FolderError> {
    // PyTorch's readers insist on being told that the tensors are theirs.
    let metadata = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
    let pad_token = model.tokenizer.token_id("[PAD]").unwrap_or(0);

    write_json(&dir.join("config.json"), &model.bert.to_json(pad_token))?;
    write_safetensors(&dir.join("model.safetensors"), model.encoder, &metadata)?;
    for (name, content) in model.tokenizer.files()? {
        write_file(&dir.join(name), content.as_bytes())?;
    }
    write_json(&dir.join(sentence::FILE), &sentence::to_json(model.tokenizer))?;
    let similarity = if model.normalize { Similarity::Cosine } else { Similarity::Dot };
    write_json(&dir.join(prompts::FILE), &prompts::to_json(model.prompts, similarity))?;

    let pooling = dir.join(POOLING);
    fs_err::create_dir_all(&pooling)?;
    write_json(&pooling.join("config.json"), &pooling::to_json(model.pooling, model.bert.hidden_size))?;
    let chain = chain(model);
    for (folder, _) in &chain {
        // A `Normalize` module has no configuration; its folder exists because the chain names it.
        fs_err::create_dir_all(dir.join(folder))?;
    }
    if let Some(WriteBlock { config, tensors }) = model.block {
        let (block, _) =
            chain.iter().find(|(_, class)| *class == modules::BLOCK_TYPE).expect("the chain has the block");
        let block = dir.join(block);
        write_json(&block.join("config.json"), config)?;
        write_safetensors(&block.join("model.safetensors"), tensors, &metadata)?;
        write_file(&dir.join("sbmoe.py"), BLOCK_PROGRAM.as_bytes())?;
    }
    write_json(&dir.join(modules::FILE), &modules_json(&chain))?;
    write_file(&dir.join("README.md"), model.card.to_markdown(model).as_bytes())?;
    write_json(&dir.join(fingerprint::FILE), &Stamp::of(dir, model.documents_of)?)
}

/// Every module's folder and type, in order.
fn chain(model: &WriteFolder<'_>) -> Vec<(String, &'static str)> {
    let normalize = model.normalize.then_some("sentence_transformers.models.Normalize");
    let block = model.block.is_some().then_some(modules::BLOCK_TYPE);
    let behind = if block.is_some() { [normalize, block, normalize] } else { [normalize, None, None] };
    let mut chain = vec![
        (String::new(), "sentence_transformers.models.Transformer"),
        (POOLING.to_owned(), "sentence_transformers.models.Pooling"),
    ];
    for class in behind.into_iter().flatten() {
        let name = class.rsplit('.').next().unwrap_or(class);
        chain.push((format!("{}_{name}", chain.len()), class));
    }
    chain
}

/// `modules.json`.
fn modules_json(chain: &[(String, &str)]) -> Value {
    let entry = |(idx, (path, class)): (usize, &(String, &str))| json!({ "idx": idx, "name": idx.to_string(), "path": path, "type": class });
    chain.iter().enumerate().map(entry).collect()
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<(), FolderError> {
    let mut text = serde_json::to_string_pretty(value)
        .map_err(|source| FolderError::Json { path: path.to_owned(), source })?;
    text.push('\n');
    Ok(write_file(path, text.as_bytes())?)
}

fn write_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    atomic::write(path, |file| file.write_all(bytes))
}
