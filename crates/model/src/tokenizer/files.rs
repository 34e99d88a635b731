//! The files in which a saved model keeps its tokenizer, for the readers of each of them.

use serde_json::{Value, json};
use tokenizers::{NormalizerWrapper, Tokenizer as Pipeline};

use super::{Tokenizer, TokenizerError, pipeline};

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
        let mut pipeline = self.pipeline.clone();
        pipeline.with_normalizer(self.own_normalizer.clone());
        let content = pipeline
            .to_string(false)
            .map_err(|error| TokenizerError::Encode { reason: error.to_string() })?;
        let special: serde_json::Map<String, Value> = SPECIAL
            .iter()
            .filter(|(_, token)| self.token_id(token).is_some())
            .map(|(name, token)| ((*name).to_owned(), json!(token)))
            .collect();
        Ok([
            ("tokenizer_config.json", self.config(&pipeline, &special).to_string()),
            ("tokenizer.json", content),
            ("vocab.txt", self.vocabulary()),
            ("special_tokens_map.json", Value::Object(special).to_string()),
        ])
    }

    /// One token a line, up to the encoder's rows; a number that no token has gets a line that no text contains.
    fn vocabulary(&self) -> String {
        let mut tokens: Vec<String> =
            (0..self.vocabulary_size.min(self.rows)).map(|number| format!("[unassigned{number}]")).collect();
        // Every number occurs once in the vocabulary, so that the order of the map does not show.
        let mut known: Vec<(String, u32)> = self.pipeline.get_vocab(true).into_iter().collect();
        known.sort_unstable();
        for (token, number) in known {
            if let Some(line) = tokens.get_mut(number as usize) {
                *line = token;
            }
        }
        tokens.push(String::new());
        tokens.join("\n")
    }

    /// `tokenizer_config.json`, consistent with the normalizer inside `tokenizer.json`, from which some readers build
    /// their own: transformers' class for BERT always does, so that it is named only where that gives the same.
    fn config(&self, pipeline: &Pipeline, special: &serde_json::Map<String, Value>) -> Value {
        let mut config = special.clone();
        config.insert("model_max_length".to_owned(), json!(self.lengths.text));
        match pipeline.get_normalizer() {
            Some(NormalizerWrapper::BertNormalizer(own))
                if own.clean_text && pipeline::is_as_set(pipeline, *own) =>
            {
                config.insert("tokenizer_class".to_owned(), json!("BertTokenizer"));
                config.insert("do_lower_case".to_owned(), json!(own.lowercase));
                config.insert("strip_accents".to_owned(), json!(own.strip_accents));
                config.insert("tokenize_chinese_chars".to_owned(), json!(own.handle_chinese_chars));
            }
            _ => {
                config.insert("tokenizer_class".to_owned(), json!("PreTrainedTokenizerFast"));
            }
        }
        Value::Object(config)
    }
}
