//! Which of a repository's files make a model.
//!
//! Repositories hold more than is needed (weights in four formats, pictures), so that files are asked for by name:
//! the configuration, the tokenizer, the first format of weights that there is (safetensors before PyTorch's, one file
//! before several), and the folders that `modules.json` names.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use super::repository::is_plain;

/// Whether a model can be without a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Another file may stand for it, or none.
    Optional,
    /// The model cannot be read without it.
    Required,
}

/// Finds a file of the repository: where it now lies, or that there is none.
type Get<'a> = dyn FnMut(&str, Need) -> Result<Option<PathBuf>> + 'a;

/// An entry of `modules.json`.
#[derive(Deserialize)]
struct Module {
    #[serde(default)]
    path: String,
    #[serde(rename = "type")]
    class: String,
}

/// An index of weights in several files.
#[derive(Deserialize)]
struct WeightIndex {
    weight_map: std::collections::BTreeMap<String, String>,
}

/// Asks `get` for every file of the model, in an order in which each says what else there is.
pub(super) fn collect(get: &mut Get<'_>) -> Result<()> {
    let modules: Vec<Module> = match get("modules.json", Need::Optional)? {
        Some(path) => read_json(&path)?,
        None => Vec::new(),
    };
    ensure!(
        modules.iter().all(|module| module.path.is_empty() || module.path.split('/').all(is_plain)),
        "`modules.json` names a folder outside the model"
    );
    get("config_sentence_transformers.json", Need::Optional)?;
    let (encoder, others) = match modules.split_first() {
        Some((first, others)) => (first.path.as_str(), others),
        None => ("", &[][..]),
    };
    collect_encoder(encoder, get)?;
    for module in others.iter().filter(|module| !module.path.is_empty()) {
        get(&within(&module.path, "config.json"), Need::Optional)?;
        let class = module.class.rsplit('.').next().unwrap_or_default();
        let has_weights = !["Pooling", "Normalize"].contains(&class);
        if has_weights && get(&within(&module.path, "model.safetensors"), Need::Optional)?.is_none() {
            get(&within(&module.path, "pytorch_model.bin"), Need::Optional)?;
        }
    }
    Ok(())
}

fn collect_encoder(folder: &str, get: &mut Get<'_>) -> Result<()> {
    if get(&within(folder, "config.json"), Need::Required)?.is_none() {
        bail!("it has no `{}`, so it is no model that can be read", within(folder, "config.json"));
    }
    let settings = [
        "tokenizer_config.json",
        "special_tokens_map.json",
        "added_tokens.json",
        "sentence_bert_config.json",
        // Its weights are not read, so that the model is refused for it.
        "adapter_config.json",
    ];
    for file in settings {
        get(&within(folder, file), Need::Optional)?;
    }
    if get(&within(folder, "tokenizer.json"), Need::Optional)?.is_none()
        && get(&within(folder, "vocab.txt"), Need::Required)?.is_none()
    {
        bail!("it has neither `tokenizer.json` nor `vocab.txt`, so its texts cannot be cut into tokens");
    }
    collect_weights(folder, get)
}

fn collect_weights(folder: &str, get: &mut Get<'_>) -> Result<()> {
    for whole in ["model.safetensors", "pytorch_model.bin"] {
        if get(&within(folder, whole), Need::Optional)?.is_some()
            || collect_shards(folder, &format!("{whole}.index.json"), get)?
        {
            return Ok(());
        }
    }
    // Where the hub could not be asked, this says so; where it was, it answers as before.
    if get(&within(folder, "pytorch_model.bin"), Need::Required)?.is_some() {
        return Ok(());
    }
    bail!(
        "it has neither `model.safetensors` nor `pytorch_model.bin`, whole or in shards, so it has no weights that can be \
         read"
    )
}

/// Asks for the weights that an index names; whether there is such an index.
fn collect_shards(folder: &str, index: &str, get: &mut Get<'_>) -> Result<bool> {
    let Some(path) = get(&within(folder, index), Need::Optional)? else { return Ok(false) };
    let WeightIndex { weight_map } = read_json(&path)?;
    let shards: BTreeSet<&str> = weight_map.values().map(String::as_str).collect();
    for shard in shards {
        ensure!(is_plain(shard), "`{index}` names the file `{shard}`");
        let file = within(folder, shard);
        get(&file, Need::Required)?.with_context(|| format!("it has no `{file}`, which `{index}` names"))?;
    }
    Ok(true)
}

fn within(folder: &str, file: &str) -> String {
    if folder.is_empty() { file.to_owned() } else { format!("{folder}/{file}") }
}

fn read_json<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<T> {
    serde_json::from_slice(&fs_err::read(path)?)
        .with_context(|| format!("`{}` cannot be read", path.display()))
}
