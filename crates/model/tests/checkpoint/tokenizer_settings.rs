//! What the files beside a tokenizer say about it has the effect that it has in transformers and sentence-transformers.

use sbmoe_model::tokenizer::Tokenizer;
use serde_json::Value;

use crate::samples::{put, sample};

#[test]
fn settings_beside_a_tokenizer_are_followed_as_in_transformers() {
    let content = fs_err::read(sample("tokenizer/settings.json")).unwrap();
    let goldens: Value = serde_json::from_slice(&content).unwrap();
    let texts: Vec<String> = serde_json::from_value(goldens["texts"].clone()).unwrap();
    let mut differences = Vec::new();
    for case in goldens["cases"].as_array().unwrap() {
        let dir = tempfile::tempdir().unwrap();
        for (name, content) in case["files"].as_object().unwrap() {
            put(dir.path(), name, content.as_str().unwrap());
        }
        let lower_case = case["lower_case"].as_bool().unwrap();
        let tokenizer = Tokenizer::open(dir.path(), lower_case, 512).unwrap();
        let ids: Vec<Vec<u32>> = serde_json::from_value(case["ids"].clone()).unwrap();
        for (text, expected) in texts.iter().zip(ids) {
            let found = tokenizer.encode(text).unwrap();
            if found != expected {
                differences.push(format!("{}: {text:?}: {found:?} for {expected:?}", case["name"]));
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

fn refuse(files: &[(&str, &str)], words: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\na\n");
    for (name, content) in files {
        put(dir.path(), name, content);
    }
    let error = Tokenizer::open(dir.path(), false, 64).unwrap_err().to_string();
    for word in words.iter().chain([&files[0].0]) {
        assert!(error.contains(word), "`{error}` does not contain `{word}`");
    }
}

#[test]
fn added_tokens_that_get_another_number_are_refused() {
    let words = ["`[ENT]`", "number 9", "that is 5"];
    refuse(&[("added_tokens.json", r#"{"[ENT]": 9}"#)], &words);
    let decoder = r#"{"added_tokens_decoder": {"9": {"content": "[ENT]", "special": true}}}"#;
    refuse(&[("tokenizer_config.json", decoder)], &words);
    refuse(&[("added_tokens.json", r#"{"a": 3}"#)], &["`a`", "number 3", "that is 4"]);
}

#[test]
fn a_vocabulary_of_another_class_is_refused() {
    let class = r#"{"tokenizer_class": "BertJapaneseTokenizer"}"#;
    refuse(&[("tokenizer_config.json", class)], &["`tokenizer_class` `BertJapaneseTokenizer`"]);
}
