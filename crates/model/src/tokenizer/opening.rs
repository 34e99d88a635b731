//! How much of a long text is read for the tokens that are kept of it.

use tokenizers::{NormalizerWrapper, PreTokenizerWrapper, Tokenizer as Pipeline};

/// Bytes that are read at first for each token that is kept: twice what an English text takes.
const BYTES_A_TOKEN: usize = 12;

/// Whether no token of a pipeline reaches across a space, and what is before a space does not depend on what follows it:
/// so it is with BERT's, unless somebody added a token with a space inside.
pub(super) fn ends_tokens_at_spaces(pipeline: &Pipeline) -> bool {
    matches!(pipeline.get_normalizer(), None | Some(NormalizerWrapper::BertNormalizer(_)))
        && matches!(pipeline.get_pre_tokenizer(), Some(PreTokenizerWrapper::BertPreTokenizer(_)))
        && pipeline
            .get_added_tokens_decoder()
            .values()
            .all(|token| !token.content.contains(char::is_whitespace))
}

/// The tokens that `tokenize` finds at the beginning of a text, at least `room` of them unless the text has fewer: those
/// that it would find there if it read the whole text, as [`ends_tokens_at_spaces`] promises.
pub(super) fn tokens<E>(
    text: &str,
    room: usize,
    tokenize: impl Fn(&str) -> Result<Vec<u32>, E>,
) -> Result<Vec<u32>, E> {
    let mut bytes = room.saturating_mul(BYTES_A_TOKEN);
    loop {
        let opening = opening(text, bytes);
        let tokens = tokenize(opening)?;
        if tokens.len() >= room || opening.len() == text.len() {
            return Ok(tokens);
        }
        bytes = opening.len().saturating_mul(4);
    }
}

/// A text's first words, of `bytes` or a little more.
fn opening(text: &str, bytes: usize) -> &str {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\n' | b'\t' | b'\r');
    let rest = text.as_bytes().get(bytes..).unwrap_or_default();
    rest.iter().position(is_space).map_or(text, |more| &text[..bytes + more])
}
