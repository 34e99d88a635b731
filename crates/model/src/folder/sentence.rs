//! `sentence_bert_config.json`: the length at which texts are cut, and lower-casing.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::{FolderError, json_file};

/// The file's name.
pub(super) const FILE: &str = "sentence_bert_config.json";

/// What both generations say, each in its own way.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Sentence {
    pub(super) max_length: Option<usize>,
    pub(super) lower_case: bool,
}

#[derive(Deserialize)]
struct Config {
    max_seq_length: Option<usize>,
    #[serde(default)]
    do_lower_case: bool,
    transformer_task: Option<String>,
    module_output_name: Option<String>,
}

/// `tokenizer_config.json`, in which the newer generation keeps the length.
#[derive(Deserialize)]
struct TokenizerConfig {
    /// A whole number, or a float such as 1e30 for "unlimited".
    model_max_length: Option<Value>,
}

/// Reads the file of the encoder's folder; without it, neither length nor lower-casing is given.
pub(super) fn read(dir: &Path) -> Result<Sentence, FolderError> {
    let path = dir.join(FILE);
    let Some(config) = json_file::read_if_there::<Config>(&path)? else { return Ok(Sentence::default()) };
    let required = [
        ("`transformer_task`", &config.transformer_task, "feature-extraction"),
        ("`module_output_name`", &config.module_output_name, "token_embeddings"),
    ];
    for (key, found, supported) in required {
        if let Some(found) = found.as_deref().filter(|found| *found != supported) {
            let (key, found, supported) = (key.to_owned(), found.to_owned(), format!("`{supported}`"));
            return Err(FolderError::Unsupported { path, key, found, supported });
        }
    }
    let newer = config.transformer_task.is_some() || config.module_output_name.is_some();
    let max_length = match config.max_seq_length {
        None if newer => tokenizer_length(dir)?,
        given => given,
    };
    Ok(Sentence { max_length, lower_case: config.do_lower_case })
}

fn tokenizer_length(dir: &Path) -> Result<Option<usize>, FolderError> {
    let config = json_file::read_if_there::<TokenizerConfig>(&dir.join("tokenizer_config.json"))?;
    let length = config.and_then(|config| config.model_max_length);
    Ok(length.as_ref().and_then(Value::as_u64).and_then(|length| usize::try_from(length).ok()))
}
