//! `tokenizer_config.json`: what it says has the last word, as in transformers 5.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokenizers::normalizers::BertNormalizer;

use super::TokenizerError;
use super::added_tokens::{Special, Token};

/// The classes whose normalizer and words are made from `tokenizer_config.json`, whatever `tokenizer.json` says; `Fast`
/// behind a name changes nothing.
const OF_BERT: [&str; 4] =
    ["BertTokenizer", "DistilBertTokenizer", "ElectraTokenizer", "MobileBertTokenizer"];

/// The content of `tokenizer_config.json`; an absent key is as in transformers' `BertTokenizer`.
#[derive(Deserialize)]
pub(super) struct Settings {
    tokenizer_class: Option<String>,
    #[serde(default = "yes")]
    do_lower_case: bool,
    strip_accents: Option<bool>,
    #[serde(default = "yes")]
    tokenize_chinese_chars: bool,
    pub(super) added_tokens_decoder: Option<BTreeMap<u32, Token>>,
    truncation_side: Option<String>,
    #[serde(default)]
    split_special_tokens: bool,
    #[serde(flatten)]
    pub(super) special: Special,
}

impl Settings {
    /// Reads the file of a folder, if it is there.
    pub(super) fn read(dir: &Path) -> Result<Self, TokenizerError> {
        let path = dir.join("tokenizer_config.json");
        match read_if_there::<Self>(&path)? {
            Some(settings) => settings.check().map_err(|reason| invalid(&path, reason)),
            None => serde_json::from_str("{}").map_err(|error| invalid(&path, error.to_string())),
        }
    }

    /// Refuses what would be read and give other tokens.
    fn check(self) -> Result<Self, String> {
        if let Some(side) = self.truncation_side.as_deref().filter(|side| *side != "right") {
            return Err(format!("`truncation_side` `{side}` is not supported; supported: `right`"));
        }
        if self.split_special_tokens {
            return Err("`split_special_tokens` `true` is not supported; supported: `false`".to_owned());
        }
        Ok(self)
    }

    /// Whether the settings say at which end texts are cut.
    pub(super) fn says_side(&self) -> bool {
        self.truncation_side.is_some()
    }

    /// The class of another family, which splits texts into words of its own.
    pub(super) fn other_class(&self) -> Option<&str> {
        let class = self.tokenizer_class.as_deref()?;
        (!OF_BERT.contains(&class.strip_suffix("Fast").unwrap_or(class))).then_some(class)
    }

    pub(super) fn normalizer(&self) -> BertNormalizer {
        BertNormalizer::new(true, self.tokenize_chinese_chars, self.strip_accents, self.do_lower_case)
    }
}

pub(super) fn read_if_there<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, TokenizerError> {
    match fs_err::read(path) {
        Ok(bytes) => {
            serde_json::from_slice(&bytes).map(Some).map_err(|error| invalid(path, error.to_string()))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

pub(super) fn invalid(path: &Path, reason: String) -> TokenizerError {
    TokenizerError::Invalid { path: PathBuf::from(path), reason }
}

fn yes() -> bool {
    true
}
