//! `sentence_bert_config.json`: the lengths at which texts are cut, and lower-casing.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::keys::{self, harmless};
use super::{BertConfig, FolderError, json_file};
use crate::tokenizer::{Lengths, Tokenizer};

/// The file's name.
pub(super) const FILE: &str = "sentence_bert_config.json";

/// Its names in old folders, of which sentence-transformers takes the first that is there.
const OLD_FILES: [&str; 6] = [
    "sentence_roberta_config.json",
    "sentence_distilbert_config.json",
    "sentence_camembert_config.json",
    "sentence_albert_config.json",
    "sentence_xlm-roberta_config.json",
    "sentence_xlnet_config.json",
];

/// The file of an encoder's folder, be it there or not.
pub(super) fn path(dir: &Path) -> PathBuf {
    let names = [FILE].into_iter().chain(OLD_FILES);
    names.map(|name| dir.join(name)).find(|path| path.is_file()).unwrap_or_else(|| dir.join(FILE))
}

/// What all generations say, each in its own way.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Sentence {
    pub(super) max_length: Option<usize>,
    pub(super) query_length: Option<usize>,
    pub(super) document_length: Option<usize>,
    pub(super) lower_case: bool,
    pub(super) warnings: Vec<String>,
}

#[derive(Deserialize)]
struct Config {
    max_seq_length: Option<usize>,
    query_length: Option<usize>,
    document_length: Option<usize>,
    #[serde(default)]
    do_lower_case: bool,
    transformer_task: Option<String>,
    module_output_name: Option<String>,
    #[serde(rename = "modality_config")]
    modalities: Option<Map<String, Value>>,
    query_expansion: Option<Value>,
    processing_kwargs: Option<Processing>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

/// What the tokenizer is called with.
#[derive(Deserialize)]
struct Processing {
    text: Option<ProcessingText>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

#[derive(Deserialize)]
struct ProcessingText {
    max_length: Option<usize>,
    truncation: Option<Value>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

/// `tokenizer_config.json`, which has the last word about the length where the other file says none.
#[derive(Deserialize)]
struct TokenizerConfig {
    /// A whole number, or one such as 1e30 for "unlimited".
    model_max_length: Option<Value>,
    /// Its older name.
    max_len: Option<Value>,
}

/// Reads the file of the encoder's folder.
///
/// Where a sentence-transformers folder (`is_chain`, or one with this file) gives no length, it is the tokenizer's
/// `model_max_length`, at most the encoder's positions, as that library takes it; another folder gives none.
pub(super) fn read(dir: &Path, is_chain: bool, bert: &BertConfig) -> Result<Sentence, FolderError> {
    let path = path(dir);
    let Some(config) = json_file::read_if_there::<Config>(&path)? else {
        let max_length = if is_chain { Some(tokenizer_length(dir, bert)?) } else { None };
        return Ok(Sentence { max_length, ..Sentence::default() });
    };
    config.refuse_others(&path)?;
    let mut warnings = keys::unknown(&path, "", &config.others, &harmless::SENTENCE);
    let mut called_with = None;
    if let Some(processing) = &config.processing_kwargs {
        let within = "processing_kwargs.";
        warnings.extend(keys::unknown(&path, within, &processing.others, &harmless::PROCESSING));
        if let Some(text) = &processing.text {
            let within = "processing_kwargs.text.";
            warnings.extend(keys::unknown(&path, within, &text.others, &harmless::PROCESSING_TEXT));
            called_with = text.max_length;
        }
    }
    let max_length = match config.max_seq_length {
        Some(given) => given,
        None => tokenizer_length(dir, bert)?,
    };
    Ok(Sentence {
        max_length: Some(max_length),
        // What the tokenizer is called with wins over both, as it does there.
        query_length: called_with.or(config.query_length),
        document_length: called_with.or(config.document_length),
        lower_case: config.do_lower_case,
        warnings,
    })
}

impl Config {
    /// Refuses what would be read and give wrong vectors.
    fn refuse_others(&self, path: &Path) -> Result<(), FolderError> {
        let unsupported = |key: &str, found: String, supported: &str| {
            let (key, supported) = (format!("`{key}`"), supported.to_owned());
            Err(FolderError::Unsupported { path: path.to_owned(), key, found, supported })
        };
        let required = [
            ("transformer_task", &self.transformer_task, "feature-extraction"),
            ("module_output_name", &self.module_output_name, "token_embeddings"),
        ];
        for (key, found, supported) in required {
            if let Some(found) = found.as_ref().filter(|found| *found != supported) {
                return unsupported(key, found.clone(), &format!("`{supported}`"));
            }
        }
        if let Some(modalities) = &self.modalities {
            let plain = json!({"method": "forward", "method_output_name": "last_hidden_state"});
            let found = modalities.get("text").unwrap_or(&Value::Null);
            if *found != plain {
                return unsupported("modality_config.text", found.to_string(), &format!("`{plain}`"));
            }
        }
        if let Some(expansion) = &self.query_expansion {
            return unsupported("query_expansion", expansion.to_string(), "`null`");
        }
        let text = self.processing_kwargs.as_ref().and_then(|processing| processing.text.as_ref());
        if let Some(truncation) = text.and_then(|text| text.truncation.as_ref())
            && ![json!(true), json!("longest_first"), json!("only_first")].contains(truncation)
        {
            let supported = "`true`, `\"longest_first\"`, `\"only_first\"`";
            return unsupported("processing_kwargs.text.truncation", truncation.to_string(), supported);
        }
        Ok(())
    }
}

/// `model_max_length`, at most the encoder's positions, which it is where the tokenizer knows no limit.
fn tokenizer_length(dir: &Path, bert: &BertConfig) -> Result<usize, FolderError> {
    let config = json_file::read_if_there::<TokenizerConfig>(&dir.join("tokenizer_config.json"))?;
    let given = config.and_then(|config| config.model_max_length.or(config.max_len));
    let positions = bert.max_position_embeddings;
    let given = given.as_ref().and_then(Value::as_f64);
    Ok(given.filter(|given| *given < positions as f64).map_or(positions, |given| given as usize))
}

/// The file's content. Lengths of queries and documents are keys of sentence-transformers 6, at which earlier releases
/// stumble, so that they stand there only where they differ from the one length.
pub(super) fn to_json(tokenizer: &Tokenizer) -> Value {
    let Lengths { text, query, document } = tokenizer.lengths();
    let mut value = json!({ "max_seq_length": text, "do_lower_case": tokenizer.lower_case() });
    for (key, length) in [("query_length", query), ("document_length", document)] {
        if length != text {
            value[key] = json!(length);
        }
    }
    value
}
