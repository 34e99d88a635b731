//! BERT's tokenizer from `vocab.txt` alone: cleaning, splitting at spaces and punctuation, the longest pieces first,
//! `[CLS] … [SEP]` around.
//!
//! Casing, accents and CJK spacing follow `tokenizer_config.json` where there is one, else the uncased BERT's.

use std::path::Path;

use tokenizers::decoders::wordpiece::WordPiece as Decoder;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::processors::bert::BertProcessing;
use tokenizers::{AddedToken, Tokenizer as Pipeline};

use super::TokenizerError;
use super::settings::Settings;

/// The tokens without which BERT's input cannot be built.
const REQUIRED: [&str; 4] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"];

/// The token of masked language modelling; some vocabularies lack it.
const MASK: &str = "[MASK]";

/// Builds the pipeline from the folder's `vocab.txt`.
///
/// # Errors
/// A file that cannot be read, or a tokenizer of another class.
pub(super) fn build(dir: &Path, settings: &Settings) -> Result<Pipeline, TokenizerError> {
    if let Some(class) = settings.other_class() {
        let reason = format!(
            "`tokenizer_class` `{class}` is not supported beside a `vocab.txt` alone; supported: `BertTokenizer`, or any \
             class with a `tokenizer.json`"
        );
        return Err(TokenizerError::Invalid { path: dir.join("tokenizer_config.json"), reason });
    }
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
        .with_normalizer(Some(settings.normalizer()))
        .with_pre_tokenizer(Some(BertPreTokenizer))
        .with_post_processor(Some(processing))
        .with_decoder(Some(Decoder::default()));
    Ok(pipeline)
}

/// Makes BERT's special tokens one token each, where no file says how they are looked for.
pub(super) fn add_special_tokens(pipeline: &mut Pipeline) {
    let known = REQUIRED.into_iter().chain([MASK]).filter(|token| pipeline.token_to_id(token).is_some());
    let tokens: Vec<AddedToken> = known.map(|token| AddedToken::from(token, true)).collect();
    pipeline.add_special_tokens(&tokens);
}

/// The lines of a file, without their ends (`\n` or `\r\n`); nothing follows the last end.
fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    bytes.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line))
}
