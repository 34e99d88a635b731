//! The lower-casing that sentence-transformers puts before a tokenizer's own normalizer: added tokens that are looked for
//! in the text as it is keep their case.

use tokenizers::normalizers::{Lowercase, Sequence};
use tokenizers::{NormalizerWrapper, Tokenizer as Pipeline};

use super::pipeline::normalize_added_tokens;

/// Puts it there, unless it is there.
pub(super) fn put_before(pipeline: &mut Pipeline) {
    let own = match pipeline.get_normalizer() {
        None => Vec::new(),
        Some(NormalizerWrapper::Sequence(sequence)) => sequence.as_ref().to_vec(),
        Some(one) => vec![one.clone()],
    };
    if own.iter().any(|normalizer| matches!(normalizer, NormalizerWrapper::Lowercase(_))) {
        return;
    }
    let all = [vec![Lowercase.into()], own].concat();
    pipeline.with_normalizer(Some(Sequence::new(all)));
    normalize_added_tokens(pipeline);
}
