//! The library's tokenizer of a folder: its file, or its vocabulary, as the settings beside it say.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::{
    ModelWrapper, NormalizerWrapper, PreTokenizerWrapper, Tokenizer as Pipeline, TruncationDirection,
};

use super::guard::guarded;
use super::settings::Settings;
use super::{TokenizerError, added_tokens, word_piece};

/// How transformers' class for BERT writes the pieces inside of words, and the characters of the longest word it takes.
const PREFIX: &str = "##";
const LONGEST_WORD: usize = 100;

/// Opens the tokenizer of a folder, without padding and truncation, and names its file.
pub(super) fn open(dir: &Path) -> Result<(PathBuf, Pipeline), TokenizerError> {
    let settings = Settings::read(dir)?;
    let (file, list) = (dir.join("tokenizer.json"), dir.join("vocab.txt"));
    let is_list = !file.is_file();
    let (path, mut pipeline) = if !is_list {
        let pipeline = from_file(&file, &settings)?;
        (file, pipeline)
    } else if list.is_file() {
        (list, word_piece::build(dir, &settings)?)
    } else {
        return Err(TokenizerError::Missing { dir: dir.to_owned() });
    };
    added_tokens::add(settings, dir, &mut pipeline)?;
    if is_list {
        word_piece::add_special_tokens(&mut pipeline);
    }
    pipeline.with_padding(None);
    let truncation = guarded(|| pipeline.with_truncation(None).map(|_| ()));
    truncation.map_err(|reason| TokenizerError::Invalid { path: path.clone(), reason })?;
    Ok((path, pipeline))
}

/// What is looked at before the library reads a file.
#[derive(Deserialize)]
struct Added {
    #[serde(default)]
    added_tokens: Value,
}

fn from_file(path: &Path, settings: &Settings) -> Result<Pipeline, TokenizerError> {
    let invalid = |reason: String| TokenizerError::Invalid { path: path.to_owned(), reason };
    let bytes = fs_err::read(path)?;
    // The library panics where a part of the file is no JSON.
    let added = serde_json::from_slice::<Added>(&bytes).map_err(|error| invalid(error.to_string()))?;
    let added = added.added_tokens.as_array().into_iter().flatten();
    added_tokens::refuse_long(path, added.filter_map(|token| token.get("content")?.as_str()))?;
    let mut pipeline = guarded(|| Pipeline::from_bytes(&bytes)).map_err(invalid)?;
    let direction = pipeline.get_truncation().map(|truncation| truncation.direction);
    if matches!(direction, Some(TruncationDirection::Left)) && !settings.says_side() {
        let reason = "its `truncation` cuts texts at their beginning, which is not supported; supported: the \
                      `direction` `Right`";
        return Err(invalid(reason.to_owned()));
    }
    let ModelWrapper::WordPiece(model) = pipeline.get_model() else { return Ok(pipeline) };
    if settings.other_class().is_none() && !is_as_set(&pipeline, settings.normalizer()) {
        let mut model = model.clone();
        PREFIX.clone_into(&mut model.continuing_subword_prefix);
        model.max_input_chars_per_word = LONGEST_WORD;
        pipeline
            .with_model(model)
            .with_normalizer(Some(settings.normalizer()))
            .with_pre_tokenizer(Some(BertPreTokenizer));
        normalize_added_tokens(&mut pipeline);
    }
    Ok(pipeline)
}

/// Looks for added tokens in what the pipeline's present normalizer leaves: to be called where it was changed.
pub(super) fn normalize_added_tokens(pipeline: &mut Pipeline) {
    // The library prepares them whenever some are added, be they none.
    pipeline.add_tokens(&[]);
}

/// Whether a pipeline is what transformers' class for BERT makes of it; so is every one that is not of WordPiece.
pub(super) fn is_as_set(pipeline: &Pipeline, set: BertNormalizer) -> bool {
    let ModelWrapper::WordPiece(model) = pipeline.get_model() else { return true };
    let settings = |normalizer: &BertNormalizer| {
        let BertNormalizer { clean_text, handle_chinese_chars, strip_accents, lowercase, .. } = *normalizer;
        // Accents follow the case where nothing is said about them.
        (clean_text, handle_chinese_chars, strip_accents.unwrap_or(lowercase), lowercase)
    };
    matches!(pipeline.get_normalizer(),
        Some(NormalizerWrapper::BertNormalizer(found)) if settings(found) == settings(&set))
        && matches!(pipeline.get_pre_tokenizer(), Some(PreTokenizerWrapper::BertPreTokenizer(_)))
        && model.continuing_subword_prefix == PREFIX
        && model.max_input_chars_per_word == LONGEST_WORD
}
