//! Tokens that are looked for in a text as wholes, listed in `tokenizer_config.json`, or in `added_tokens.json` and
//! `special_tokens_map.json`, as transformers 5 takes them.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use serde::Deserialize;
use tokenizers::{AddedToken, Tokenizer as Pipeline};

use super::TokenizerError;
use super::settings::{Settings, invalid, read_if_there};

/// The bytes of the longest added token. The library builds a machine that looks for all of them at once, which takes
/// the square of a token's length: seconds for some ten thousand bytes.
const MOST_BYTES: usize = 1024;

/// The special tokens, in that file or in `special_tokens_map.json`.
#[derive(Default, Deserialize)]
pub(super) struct Special {
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

/// How a token is looked for; keys that are absent are as in transformers' `AddedToken`.
#[expect(clippy::struct_excessive_bools, reason = "the keys of the file")]
#[derive(Clone, Deserialize)]
pub(super) struct Token {
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

/// Adds the tokens that the folder's files list beyond the pipeline's own.
///
/// # Errors
/// A file that cannot be read, or a token whose number is not the one that it gets.
pub(super) fn add(settings: Settings, dir: &Path, pipeline: &mut Pipeline) -> Result<(), TokenizerError> {
    let mut special = settings.special.into_tokens();
    refuse_long(&dir.join("tokenizer_config.json"), special.iter().map(|token| &*token.content))?;
    let (path, numbered) = if let Some(tokens) = settings.added_tokens_decoder {
        let tokens = tokens.into_iter().map(|(number, token)| (number, token.into())).collect();
        (dir.join("tokenizer_config.json"), tokens)
    } else {
        // Older folders list them in files of their own.
        let mut listed: Special = read_if_there(&dir.join("special_tokens_map.json"))?.unwrap_or_default();
        // These are looked for as tokens that are not special, where both files list them.
        let additional = Special {
            additional_special_tokens: listed.additional_special_tokens.take(),
            ..Special::default()
        };
        special.extend(listed.into_tokens());
        let path = dir.join("added_tokens.json");
        let tokens = added_tokens(&path, &special)?;
        special.extend(additional.into_tokens());
        refuse_long(&dir.join("special_tokens_map.json"), special.iter().map(|token| &*token.content))?;
        (path, tokens)
    };
    let mut numbered: Vec<(u32, AddedToken)> = numbered;
    refuse_long(&path, numbered.iter().map(|(_, token)| &*token.content))?;
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

/// Refuses added tokens that are too long to be looked for.
///
/// # Errors
/// The first such token, by its length and its beginning.
pub(super) fn refuse_long<'a>(
    path: &Path,
    contents: impl IntoIterator<Item = &'a str>,
) -> Result<(), TokenizerError> {
    let Some(long) = contents.into_iter().find(|content| content.len() > MOST_BYTES) else { return Ok(()) };
    let (start, length): (String, _) = (long.chars().take(20).collect(), long.len());
    let reason = format!(
        "the added token that begins with `{start}` has {length} bytes; there may be at most {MOST_BYTES}"
    );
    Err(invalid(path, reason))
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
