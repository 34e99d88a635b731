//! Words that are looked up one by one give the tokens that the library finds in a text as a whole.

use sbmoe_kernels::Key;
use sbmoe_model::tokenizer::Tokenizer;
use serde_json::Value;
use tokenizers::Tokenizer as Pipeline;
use tokenizers::normalizers::{Lowercase, Sequence};

use crate::samples::put;
use crate::tokenizers::{file_with, goldens};

/// Drawn texts under a normalizer, with one more added token.
fn compare_with_whole_texts(normalizer: &Value, token: &str, lower_case: bool) {
    let (mut file, _) = file_with(token);
    file["normalizer"] = normalizer.clone();
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "tokenizer.json", file.to_string());
    put(dir.path(), "tokenizer_config.json", r#"{"tokenizer_class": "PreTrainedTokenizerFast"}"#);
    let mut whole = Pipeline::from_file(dir.path().join("tokenizer.json")).unwrap();
    whole.with_padding(None).with_truncation(None).unwrap();
    if lower_case {
        let own = whole.get_normalizer().cloned();
        let all = [Some(Lowercase.into()), own].into_iter().flatten().collect();
        whole.with_normalizer(Some(Sequence::new(all)));
        whole.add_tokens(&[]);
    }
    let tokenizer = Tokenizer::open(dir.path(), lower_case, 1 << 20).unwrap();
    let pieces: Vec<String> = goldens("uncased").into_iter().map(|(text, _)| text).collect();
    let odd = [
        "\u{301}",
        "\u{391}\u{3a3}",
        ".\u{3a3}",
        "\u{3a3}:",
        "[SEP]",
        "[mask]",
        "\u{0}",
        "\u{a0}",
        "\u{3000}",
        "\u{200b}",
        "\u{85}",
        "\r\n",
        "--",
        ".",
        "(",
        "%),",
        "\u{37e}",
        "\u{fb01}",
        "u.s.",
        "<x>",
    ];
    let pieces: Vec<&str> = pieces.iter().map(String::as_str).chain(odd).collect();
    for number in 0..400 {
        let mut text = String::new();
        for place in 0..6 {
            let draw = Key::new(1).with(number).with(place);
            text.push_str(pieces[draw.below(pieces.len())]);
            text.push_str(["", " ", "\t", "\n  "][draw.purpose("space").below(4)]);
        }
        let expected = whole.encode_fast(text.as_str(), true).unwrap();
        assert_eq!(tokenizer.encode(&text).unwrap(), expected.get_ids(), "{normalizer} {token}: {text:?}");
    }
}

#[test]
fn words_apart_give_the_tokens_of_the_whole_text() {
    let mut normalizers = vec![Value::Null];
    for flags in 0..16 {
        let [clean_text, handle_chinese_chars, strip_accents, lowercase] =
            [1, 2, 4, 8].map(|bit| flags & bit != 0);
        normalizers.push(serde_json::json!({
            "type": "BertNormalizer",
            "clean_text": clean_text,
            "handle_chinese_chars": handle_chinese_chars,
            "strip_accents": strip_accents,
            "lowercase": lowercase,
        }));
    }
    for (place, normalizer) in normalizers.iter().enumerate() {
        // A token with a point inside is met in whole texts only.
        compare_with_whole_texts(normalizer, ["<x>", "u.s."][place % 2], place % 3 == 0);
    }
}
