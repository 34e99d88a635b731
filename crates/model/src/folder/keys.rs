//! Keys of sentence-transformers' files that nobody here reads: harmless ones, and those that are warned about.

use std::path::Path;

use serde_json::{Map, Value};

/// Keys that change no vector, by file. Whoever reads a file takes the keys that matter; what is neither taken nor here
/// is warned about.
pub(super) mod harmless {
    /// `config_sentence_transformers.json`: who wrote it, and what it asks of an installation.
    pub(in super::super) const MODEL: [&str; 2] = ["__version__", "requirements"];
    /// `sentence_bert_config.json`: how a batch is laid out.
    pub(in super::super) const SENTENCE: [&str; 1] = ["unpad_inputs"];
    /// Its `processing_kwargs`: inputs that are no plain texts.
    pub(in super::super) const PROCESSING: [&str; 4] = ["audio", "chat_template", "image", "video"];
    /// Its `processing_kwargs.text`: how a batch is laid out.
    pub(in super::super) const PROCESSING_TEXT: [&str; 3] =
        ["pad_to_multiple_of", "padding", "return_tensors"];
}

/// A warning for each key of `others` that says something and is not `harmless`; `within` is where the keys stand in the
/// file, such as `processing_kwargs.`, or nothing.
pub(super) fn unknown(
    path: &Path,
    within: &str,
    others: &Map<String, Value>,
    harmless: &[&str],
) -> Vec<String> {
    let unknown =
        others.iter().filter(|(key, value)| says_something(value) && !harmless.contains(&key.as_str()));
    unknown.map(|(key, value)| warning(path, &format!("{within}{key}"), value)).collect()
}

/// The warning of one key.
pub(super) fn warning(path: &Path, key: &str, value: &Value) -> String {
    format!(
        "`{}`: `{key}` is unknown to sbmoe and left out; if its value {value} changes vectors, they differ from \
         sentence-transformers'",
        path.display()
    )
}

/// Whether a value is more than nothing.
pub(super) fn says_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Array(items) => !items.is_empty(),
        Value::Object(items) => !items.is_empty(),
        Value::String(text) => !text.is_empty(),
        Value::Bool(_) | Value::Number(_) => true,
    }
}
