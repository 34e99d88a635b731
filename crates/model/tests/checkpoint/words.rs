//! Words that are looked up one by one give the tokens that the library finds in a text as a whole.

use sbmoe_model::tokenizer::Tokenizer;
use serde_json::Value;
use tokenizers::Tokenizer as Pipeline;

use crate::samples::{put, sample};
use crate::tokenizers::goldens;

/// A tokenizer's file with another normalizer and one more added token.
fn changed(normalizer: &Value, token: &str) -> tempfile::TempDir {
    let content = fs_err::read(sample("tokenizer/with_json/tokenizer.json")).unwrap();
    let mut file: Value = serde_json::from_slice(&content).unwrap();
    let mut added = file["added_tokens"][0].clone();
    added["id"] = file["model"]["vocab"].as_object().unwrap().len().into();
    added["content"] = token.into();
    file["added_tokens"].as_array_mut().unwrap().push(added);
    file["normalizer"] = normalizer.clone();
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "tokenizer.json", file.to_string());
    dir
}

/// Words are looked up one by one; the library reads a text as a whole.
fn compare_with_whole_texts(normalizer: &Value, token: &str, lower_case: bool) {
    let dir = changed(normalizer, token);
    let mut whole = Pipeline::from_file(dir.path().join("tokenizer.json")).unwrap();
    whole.with_padding(None).with_truncation(None).unwrap();
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
    let mut draw = 1_u64;
    for _ in 0..400 {
        let mut text = String::new();
        for _ in 0..6 {
            draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            text.push_str(pieces[(draw >> 33) as usize % pieces.len()]);
            text.push_str(["", " ", "\t", "\n  "][(draw >> 61) as usize % 4]);
        }
        let read = if lower_case { text.to_lowercase() } else { text.clone() };
        let expected = whole.encode_fast(read.as_str(), true).unwrap();
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
