//! BERT's tokenizer from `vocab.txt` alone: cleaning, splitting at spaces and punctuation, the longest pieces first,
//! `[CLS] … [SEP]` around.
//!
//! Casing, accents and CJK spacing follow `tokenizer_config.json` where there is one, else the uncased BERT's.

use std::path::Path;

use serde::Deserialize;
use tokenizers::decoders::wordpiece::WordPiece as Decoder;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::processors::bert::BertProcessing;
use tokenizers::{AddedToken, Tokenizer as Pipeline};

use super::TokenizerError;

/// The tokens without which BERT's input cannot be built.
const REQUIRED: [&str; 4] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"];

/// The token of masked language modelling; some vocabularies lack it.
const MASK: &str = "[MASK]";

#[derive(Deserialize)]
struct Config {
    #[serde(default = "yes")]
    do_lower_case: bool,
    strip_accents: Option<bool>,
    #[serde(default = "yes")]
    tokenize_chinese_chars: bool,
}

/// Builds the pipeline from the folder's `vocab.txt`.
pub(super) fn build(dir: &Path) -> Result<Pipeline, TokenizerError> {
    let Config { do_lower_case, strip_accents, tokenize_chinese_chars } = read_config(dir)?;
    let path = dir.join("vocab.txt");
    let invalid = |reason: String| TokenizerError::Invalid { path: path.clone(), reason };
    let bytes = fs_err::read(&path)?;
    let mut vocabulary = Vec::new();
    for (place, line) in lines(&bytes).enumerate() {
        let token =
            std::str::from_utf8(line).map_err(|error| invalid(format!("line {}: {error}", place + 1)))?;
        let number = u32::try_from(place).map_err(|_| invalid("it has too many lines".to_owned()))?;
        vocabulary.push((token.to_owned(), number));
    }
    let number =
        |token: &str| vocabulary.iter().rev().find(|(known, _)| known == token).map(|(_, number)| *number);
    if let Some(token) = REQUIRED.iter().find(|token| number(token).is_none()) {
        return Err(invalid(format!("it lacks the token `{token}`")));
    }
    let special = |token: &str| (token.to_owned(), number(token).expect("required tokens are there"));
    let processing = BertProcessing::new(special("[SEP]"), special("[CLS]"));
    let added: Vec<AddedToken> = REQUIRED
        .into_iter()
        .chain(number(MASK).map(|_| MASK))
        .map(|token| AddedToken::from(token, true))
        .collect();

    // The map's type is private to the library; an empty one is had by reading nothing.
    let mut map = WordPiece::read_bytes(&[]).map_err(|error| invalid(error.to_string()))?;
    map.extend(vocabulary);
    let model = WordPiece::builder()
        .vocab(map)
        .unk_token("[UNK]".to_owned())
        .build()
        .map_err(|error| invalid(error.to_string()))?;
    let mut pipeline = Pipeline::new(model);
    pipeline
        .with_normalizer(Some(BertNormalizer::new(
            true,
            tokenize_chinese_chars,
            strip_accents,
            do_lower_case,
        )))
        .with_pre_tokenizer(Some(BertPreTokenizer))
        .with_post_processor(Some(processing))
        .with_decoder(Some(Decoder::default()));
    pipeline.add_special_tokens(&added);
    Ok(pipeline)
}

fn read_config(dir: &Path) -> Result<Config, TokenizerError> {
    let path = dir.join("tokenizer_config.json");
    let text = if path.is_file() { fs_err::read_to_string(&path)? } else { "{}".to_owned() };
    serde_json::from_str(&text).map_err(|error| TokenizerError::Invalid { path, reason: error.to_string() })
}

/// The lines of a file, without their ends (`\n` or `\r\n`); nothing follows the last end.
fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    bytes.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line))
}

fn yes() -> bool {
    true
}
