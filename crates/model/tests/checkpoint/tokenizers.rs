//! Token numbers equal those of the library that the models were trained with.

use std::path::Path;

use sbmoe_model::tokenizer::{Tokenizer, TokenizerError};
use serde_json::{Value, json};

use crate::samples::{put, sample};

/// The texts of the goldens, and the numbers that transformers gives them under one configuration.
pub(crate) fn goldens(configuration: &str) -> Vec<(String, Vec<u32>)> {
    let content = fs_err::read_to_string(sample("tokenizer/goldens.json")).unwrap();
    let goldens: Value = serde_json::from_str(&content).unwrap();
    let texts: Vec<String> = serde_json::from_value(goldens["texts"].clone()).unwrap();
    let ids: Vec<Vec<u32>> = serde_json::from_value(goldens["ids"][configuration].clone()).unwrap();
    assert_eq!(texts.len(), ids.len());
    texts.into_iter().zip(ids).collect()
}

/// A tokenizer's file with one more added token, and that token's number.
pub(crate) fn file_with(token: &str) -> (Value, u32) {
    let content = fs_err::read(sample("tokenizer/with_json/tokenizer.json")).unwrap();
    let mut file: Value = serde_json::from_slice(&content).unwrap();
    let number = file["model"]["vocab"].as_object().unwrap().len() as u32;
    let mut added = file["added_tokens"][0].clone();
    added["id"] = number.into();
    added["content"] = token.into();
    file["added_tokens"].as_array_mut().unwrap().push(added);
    (file, number)
}

fn open(name: &str, lower_case: bool, max_length: usize) -> Tokenizer {
    Tokenizer::open(&sample(&format!("tokenizer/{name}")), lower_case, max_length).unwrap()
}

#[test]
fn vocab_txt_alone_gives_the_numbers_of_transformers() {
    for configuration in ["uncased", "cased", "accents"] {
        let tokenizer = open(configuration, false, 512);
        for (text, ids) in goldens(configuration) {
            assert_eq!(tokenizer.encode(&text).unwrap(), ids, "{configuration}: {text:?}");
        }
    }
}

#[test]
fn truncation_and_padding_of_the_file_are_overridden() {
    let tokenizer = open("with_json", false, 512);
    for (text, ids) in goldens("uncased") {
        assert_eq!(tokenizer.encode(&text).unwrap(), ids, "{text:?}");
    }
}

#[test]
fn long_texts_are_cut_before_their_last_special_token() {
    for name in ["uncased", "with_json"] {
        let tokenizer = open(name, false, 5);
        let (cls, sep) = (tokenizer.token_id("[CLS]").unwrap(), tokenizer.token_id("[SEP]").unwrap());
        let whole = open(name, false, 512).encode("the unaffable café a b c").unwrap();
        let cut = tokenizer.encode("the unaffable café a b c").unwrap();
        assert_eq!(cut, [cls, whole[1], whole[2], whole[3], sep]);
        assert_eq!(tokenizer.encode("a").unwrap().len(), 3);
    }
}

/// Reading ends where the tokens that are kept do, whatever makes few tokens of many bytes.
#[test]
fn long_texts_are_cut_as_if_they_were_read_to_their_end() {
    let goldens = goldens("uncased");
    let words: Vec<&str> = goldens.iter().map(|(text, _)| text.as_str()).collect();
    let words = format!("{}\u{3a3}. [MASK]\u{85}x\u{c}y ", words.join(" "));
    let nothing = ["\u{200b}", " ", "\n", "\u{0}"].map(|byte| byte.repeat(40_000)).join("a");
    let unknown = "x".repeat(50_000);
    for name in ["uncased", "cased", "with_json"] {
        for text in
            [words.repeat(400), nothing.clone() + &words, unknown.clone() + " " + &words, unknown.clone()]
        {
            let whole = open(name, true, 1 << 20).encode(&text).unwrap();
            for max_length in [3, 17, 256, 5_000] {
                let cut = open(name, true, max_length).encode(&text).unwrap();
                let (last, before) = cut.split_last().unwrap();
                assert_eq!(before, &whole[..whole.len().min(max_length) - 1], "{name}, {max_length}");
                assert_eq!(last, whole.last().unwrap());
            }
        }
    }
}

/// Such a text is read to its end: cut at a space, it could lose what the token begins with.
#[test]
fn an_added_token_may_hold_a_space() {
    let (file, number) = file_with("the cafe");
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "tokenizer.json", file.to_string());
    let open = |max_length| Tokenizer::open(dir.path(), false, max_length).unwrap();
    let text = "athe cafe ".repeat(5_000);
    let whole = open(1 << 20).encode(&text).unwrap();
    assert!(whole.contains(&number), "the token is found");
    for max_length in [3, 16, 99, 256] {
        let cut = open(max_length).encode(&text).unwrap();
        assert_eq!(cut[..max_length - 1], whole[..max_length - 1], "{max_length}");
    }
}

#[test]
fn an_added_token_of_thousands_of_bytes_is_refused_in_every_file() {
    let token = "a.".repeat(1000);
    let message = "the added token that begins with `a.a.a.a.a.a.a.a.a.a.` has 2000 bytes";
    let folder = tempfile::tempdir().unwrap();
    let refuse_beside = |name: &str, content: Value| {
        let path = folder.path().join(name);
        fs_err::write(&path, content.to_string()).unwrap();
        refuse(folder.path(), 16, message);
        fs_err::remove_file(&path).unwrap();
    };
    refuse_beside("tokenizer.json", file_with(&token).0);
    fs_err::copy(sample("tokenizer/uncased/vocab.txt"), folder.path().join("vocab.txt")).unwrap();
    refuse_beside("special_tokens_map.json", json!({"additional_special_tokens": [token.clone()]}));
    refuse_beside("tokenizer_config.json", json!({"extra_special_tokens": [token.clone()]}));
    refuse_beside(
        "tokenizer_config.json",
        json!({"added_tokens_decoder": {"9": {"content": token.clone()}}}),
    );
    refuse_beside("added_tokens.json", json!({token.clone(): 9}));
}

#[test]
fn lower_casing_comes_before_a_cased_tokenizer() {
    let plain = open("cased", false, 64);
    let lower = open("cased", true, 64);
    assert_ne!(plain.encode("The CAFÉ").unwrap(), plain.encode("the café").unwrap());
    assert_eq!(lower.encode("The CAFÉ").unwrap(), plain.encode("the café").unwrap());
}

#[test]
fn a_batch_is_its_texts_one_by_one() {
    let tokenizer = open("uncased", false, 16);
    let texts = ["the café", "", "日本 abc"];
    let batch = tokenizer.encode_batch(&texts).unwrap();
    for (text, ids) in texts.iter().zip(batch) {
        assert_eq!(ids, tokenizer.encode(text).unwrap());
    }
}

#[test]
fn lines_may_end_as_on_windows() {
    let dir = tempfile::tempdir().unwrap();
    let vocabulary = fs_err::read_to_string(sample("tokenizer/uncased/vocab.txt")).unwrap();
    put(dir.path(), "vocab.txt", vocabulary.trim_end().replace('\n', "\r\n"));
    let tokenizer = Tokenizer::open(dir.path(), false, 64).unwrap();
    assert_eq!(tokenizer.vocabulary_size(), vocabulary.lines().count());
    assert_eq!(tokenizer.encode("the café").unwrap(), open("uncased", false, 64).encode("the café").unwrap());
}

fn refuse(dir: &Path, max_length: usize, message: &str) {
    let error = Tokenizer::open(dir, false, max_length).unwrap_err().to_string();
    assert!(error.contains(message), "`{error}` does not contain `{message}`");
}

#[test]
fn what_is_missing_or_wrong_is_said() {
    let dir = tempfile::tempdir().unwrap();
    refuse(dir.path(), 64, "looked for `tokenizer.json` and `vocab.txt`");
    put(dir.path(), "vocab.txt", "[PAD]\n[UNK]\n[CLS]\na\n");
    refuse(dir.path(), 64, "it lacks the token `[SEP]`");
    put(dir.path(), "vocab.txt", b"[PAD]\n\xff\n");
    refuse(dir.path(), 64, "line 2: invalid utf-8");
    put(dir.path(), "tokenizer.json", "{}");
    refuse(dir.path(), 64, "tokenizer.json` is not a valid tokenizer");
    let error = Tokenizer::open(&sample("tokenizer/uncased"), false, 2).unwrap_err();
    assert!(matches!(error, TokenizerError::TooShort { asked: 2, least: 3 }), "{error}");
}
