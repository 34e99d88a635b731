//! The files in which a saved model keeps its tokenizer, for the readers of each of them.

use serde_json::{Value, json};

use super::{Tokenizer, TokenizerError};

/// The special tokens by the names that Hugging Face gives them.
const SPECIAL: [(&str, &str); 5] = [
    ("cls_token", "[CLS]"),
    ("mask_token", "[MASK]"),
    ("pad_token", "[PAD]"),
    ("sep_token", "[SEP]"),
    ("unk_token", "[UNK]"),
];

impl Tokenizer {
    /// File name and content of `tokenizer.json` (without truncation and padding), `vocab.txt`,
    /// `tokenizer_config.json` and `special_tokens_map.json`.
    pub(crate) fn files(&self) -> Result<[(&'static str, String); 4], TokenizerError> {
        let pipeline = self
            .pipeline
            .to_string(false)
            .map_err(|error| TokenizerError::Encode { reason: error.to_string() })?;
        let special: serde_json::Map<String, Value> = SPECIAL
            .iter()
            .filter(|(_, token)| self.token_id(token).is_some())
            .map(|(name, token)| ((*name).to_owned(), json!(token)))
            .collect();
        Ok([
            ("tokenizer_config.json", self.config(&pipeline, &special).to_string()),
            ("tokenizer.json", pipeline),
            ("vocab.txt", self.vocabulary()),
            ("special_tokens_map.json", Value::Object(special).to_string()),
        ])
    }

    /// One token a line; a number that no token has gets a line that no text contains.
    fn vocabulary(&self) -> String {
        let mut tokens: Vec<String> =
            (0..self.vocabulary_size).map(|number| format!("[unassigned{number}]")).collect();
        // Every number occurs once in the vocabulary, so that the order of the map does not show.
        let mut known: Vec<(String, u32)> = self.pipeline.get_vocab(true).into_iter().collect();
        known.sort_unstable();
        for (token, number) in known {
            tokens[number as usize] = token;
        }
        tokens.push(String::new());
        tokens.join("\n")
    }

    /// `tokenizer_config.json`, consistent with the normaliser inside `tokenizer.json`, from which some readers build
    /// their own.
    fn config(&self, pipeline: &str, special: &serde_json::Map<String, Value>) -> Value {
        let pipeline: Value = serde_json::from_str(pipeline).unwrap_or_default();
        let normalizer = &pipeline["normalizer"];
        let mut config = special.clone();
        config.insert("model_max_length".to_owned(), json!(self.lengths.text));
        if normalizer["type"] == "BertNormalizer" {
            config.insert("tokenizer_class".to_owned(), json!("BertTokenizer"));
            config.insert("do_lower_case".to_owned(), normalizer["lowercase"].clone());
            config.insert("strip_accents".to_owned(), normalizer["strip_accents"].clone());
            config.insert("tokenize_chinese_chars".to_owned(), normalizer["handle_chinese_chars"].clone());
        } else {
            config.insert("tokenizer_class".to_owned(), json!("PreTrainedTokenizerFast"));
        }
        Value::Object(config)
    }
}
