//! What the files beside a vocabulary say about it, as transformers 5 follows them: `tokenizer_config.json`,
//! `special_tokens_map.json` and `added_tokens.json`.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::{AddedToken, Tokenizer as Pipeline};

use super::TokenizerError;

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
    added_tokens_decoder: Option<BTreeMap<u32, Token>>,
    truncation_side: Option<String>,
    #[serde(default)]
    split_special_tokens: bool,
    #[serde(flatten)]
    special: Special,
}

/// The special tokens, in that file or in `special_tokens_map.json`.
#[derive(Default, Deserialize)]
struct Special {
    unk_token: Option<Named>,
    sep_token: Option<Named>,
    pad_token: Option<Named>,
    cls_token: Option<Named>,
    mask_token: Option<Named>,
    additional_special_tokens: Option<Vec<Named>>,
    extra_special_tokens: Option<Extra>,
}

/// A token by its text alone, or with how it is looked for.
#[derive(Deserialize)]
#[serde(untagged)]
enum Named {
    Text(String),
    Token(Token),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Extra {
    List(Vec<Named>),
    ByName(BTreeMap<String, Named>),
}

#[derive(Clone, Deserialize)]
struct Token {
    content: String,
    #[serde(default)]
    single_word: bool,
    #[serde(default)]
    lstrip: bool,
    #[serde(default)]
    rstrip: bool,
    normalized: Option<bool>,
    #[serde(default)]
    special: bool,
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

    /// Adds the tokens that the folder's files list beyond the pipeline's own.
    ///
    /// # Errors
    /// A file that cannot be read, or a token whose number is not the one that it gets.
    pub(super) fn add_tokens(self, dir: &Path, pipeline: &mut Pipeline) -> Result<(), TokenizerError> {
        let mut special = self.special.into_tokens();
        let (path, numbered) = match self.added_tokens_decoder {
            Some(tokens) => {
                let tokens = tokens.into_iter().map(|(number, token)| (number, token.into())).collect();
                (dir.join("tokenizer_config.json"), tokens)
            }
            // Older folders list them in files of their own.
            None => {
                let mut listed: Special =
                    read_if_there(&dir.join("special_tokens_map.json"))?.unwrap_or_default();
                // These are looked for as tokens that are not special, where both files list them.
                let additional = Special {
                    additional_special_tokens: listed.additional_special_tokens.take(),
                    ..Special::default()
                };
                special.extend(listed.into_tokens());
                let path = dir.join("added_tokens.json");
                let tokens = added_tokens(&path, &special)?;
                special.extend(additional.into_tokens());
                (path, tokens)
            }
        };
        let mut numbered: Vec<(u32, AddedToken)> = numbered;
        numbered.sort_by_key(|(number, _)| *number);
        let known = pipeline.get_added_tokens_decoder();
        let mut known: HashSet<&str> = known.values().map(|token| token.content.as_str()).collect();
        // How a token is looked for is said where it is numbered.
        let all = numbered.iter().map(|(_, token)| token).chain(&special);
        let tokens: Vec<AddedToken> = all.filter(|token| known.insert(&token.content)).cloned().collect();
        if !tokens.is_empty() {
            pipeline.add_tokens(&tokens);
        }
        for (number, AddedToken { content, .. }) in numbered {
            let found = pipeline.token_to_id(&content);
            if let Some(found) = found.filter(|found| *found != number) {
                let reason = format!(
                    "it gives the added token `{content}` the number {number}, but by the vocabulary and the tokens \
                     before it that is {found}"
                );
                return Err(invalid(&path, reason));
            }
        }
        Ok(())
    }
}

impl Special {
    fn into_tokens(self) -> Vec<AddedToken> {
        let named = [self.unk_token, self.sep_token, self.pad_token, self.cls_token, self.mask_token];
        let extra = match self.extra_special_tokens {
            None => Vec::new(),
            Some(Extra::List(tokens)) => tokens,
            Some(Extra::ByName(tokens)) => tokens.into_values().collect(),
        };
        let tokens = named.into_iter().flatten().chain(self.additional_special_tokens.into_iter().flatten());
        let special = |token| match token {
            Named::Text(content) => AddedToken::from(content, true),
            Named::Token(token) => AddedToken { special: true, ..Token { special: true, ..token }.into() },
        };
        tokens.chain(extra).map(special).collect()
    }
}

impl From<Token> for AddedToken {
    fn from(token: Token) -> Self {
        let Token { content, single_word, lstrip, rstrip, normalized, special } = token;
        Self { content, single_word, lstrip, rstrip, normalized: normalized.unwrap_or(!special), special }
    }
}

/// `added_tokens.json`: numbers by token.
fn added_tokens(path: &Path, special: &[AddedToken]) -> Result<Vec<(u32, AddedToken)>, TokenizerError> {
    let tokens: BTreeMap<String, u32> = read_if_there(path)?.unwrap_or_default();
    let special: HashSet<&str> = special.iter().map(|token| token.content.as_str()).collect();
    Ok(tokens
        .into_iter()
        .map(|(content, number)| {
            let special = special.contains(content.as_str());
            (number, AddedToken::from(content, special))
        })
        .collect())
}

fn read_if_there<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, TokenizerError> {
    match fs_err::read(path) {
        Ok(bytes) => {
            serde_json::from_slice(&bytes).map(Some).map_err(|error| invalid(path, error.to_string()))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn invalid(path: &Path, reason: String) -> TokenizerError {
    TokenizerError::Invalid { path: PathBuf::from(path), reason }
}

fn yes() -> bool {
    true
}
