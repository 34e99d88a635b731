//! Long texts are read a stretch at a time, with the tokens that the library finds in the whole.

use proptest::prelude::*;
use sbmoe_model::tokenizer::Tokenizer;
use serde_json::{Value, json};
use tokenizers::Tokenizer as Pipeline;
use tokenizers::normalizers::{Lowercase, Sequence};

use crate::samples::put;
use crate::tokenizers::{file_with, goldens};

/// A folder's tokenizer, and the library's of the same file.
struct Both {
    ours: [(usize, Tokenizer); 3],
    whole: Pipeline,
}

impl Both {
    fn new(normalizer: &Value, tokens: &[Value], lower_case: bool) -> Self {
        let (mut file, number) = file_with("<x>");
        file["normalizer"] = normalizer.clone();
        let added = file["added_tokens"].as_array_mut().unwrap();
        for (place, token) in tokens.iter().enumerate() {
            let mut one = added[0].clone();
            one["id"] = json!(number as usize + 1 + place);
            one.as_object_mut().unwrap().extend(token.as_object().unwrap().clone());
            added.push(one);
        }
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
        let open = |length| (length, Tokenizer::open(dir.path(), lower_case, length).unwrap());
        Self { ours: [4, 300, 1 << 20].map(open), whole }
    }

    fn check(&self, text: &str) {
        let whole = self.whole.encode_fast(text, true).unwrap();
        let whole = whole.get_ids();
        for (length, tokenizer) in &self.ours {
            let cut = tokenizer.encode(text).unwrap();
            let kept = whole.len().min(*length) - 1;
            let start: String = text.chars().take(80).collect();
            assert_eq!(cut.len(), kept + 1, "{length}: {start:?}…");
            let differs = (0..kept).find(|place| cut[*place] != whole[*place]);
            assert_eq!(differs, None, "{length}: {start:?}…");
        }
    }
}

thread_local! {
    static ALL: Vec<Both> = all();
}

/// Every kind of tokenizer that is read in stretches: with accents stripped and kept, cased and not, and with tokens that
/// are looked for in other ways.
fn all() -> Vec<Both> {
    let normalizer = |strip: bool, lower: bool| {
        json!({"type": "BertNormalizer", "clean_text": lower, "handle_chinese_chars": lower,
            "strip_accents": strip, "lowercase": lower})
    };
    let plain = json!({"content": "ab ab"});
    let words = json!({"content": "word", "normalized": true, "special": false, "single_word": true});
    let spaces = json!({"content": "[MASK2]", "lstrip": true, "rstrip": true});
    let normalized = json!({"content": "\u{c9}a", "normalized": true, "special": false});
    vec![
        Both::new(&normalizer(true, true), &[], false),
        Both::new(&normalizer(true, false), std::slice::from_ref(&plain), true),
        Both::new(&normalizer(false, true), &[normalized.clone(), spaces.clone()], false),
        Both::new(&normalizer(false, false), std::slice::from_ref(&words), true),
        Both::new(&normalizer(true, true), &[words, normalized, spaces, plain], false),
        Both::new(&Value::Null, &[], true),
    ]
}

/// What texts are made of, each to be repeated.
fn parts() -> Vec<String> {
    let odd = [
        "x",
        "ab ab",
        "word",
        "awordb ",
        "[MASK]",
        "[MASK2] ",
        "<x>",
        "[MA",
        "\u{e9}",
        "e\u{301}",
        "\u{301}",
        "\u{316}\u{301}",
        "\u{302e}",
        "\u{1d165}\u{301}",
        "\u{302e}\u{301}\u{8d4}",
        "\u{65e5}",
        "\u{e9}a\u{65e5}",
        "\u{200b}",
        "\u{0}",
        " ",
        "\n",
        "\u{a0}",
        "\u{3000}",
        "\u{130}",
        "\u{3a3}",
        ".",
        "\u{2026}",
        "\u{ac01}",
        "\u{1112}\u{1161}\u{11ab}",
        "\u{1f642}",
        "\u{915}\u{94d}",
        "\u{1e08}a",
        "the ",
        "unaffable",
        "\u{85}",
        "\u{fb01}",
        "\u{34f}",
    ];
    odd.map(str::to_owned).into_iter().chain(goldens("uncased").into_iter().map(|(text, _)| text)).collect()
}

#[test]
fn one_thing_many_times() {
    for both in all() {
        for part in parts() {
            if !part.is_empty() {
                both.check(&part.repeat(9_000 / part.len() + 1));
                both.check(&format!("a{}the", part.repeat(5_000 / part.len() + 1)));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Stretches of few parts, so that long words, marks and tokens lie across the places where reading is broken off.
    #[test]
    fn drawn_texts(runs in prop::collection::vec((0usize..60, 1usize..1500, 0usize..60, 0usize..3), 1..16)) {
        let parts = parts();
        let mut text = String::new();
        for (one, times, other, mixed) in runs {
            let (one, other) = (&parts[one % parts.len()], &parts[other % parts.len()]);
            let times = times.min(6_000 / (one.len() + other.len()).max(1));
            for time in 0..times {
                text.push_str(one);
                if mixed > 0 && time % (mixed * 7) == 0 {
                    text.push_str(other);
                }
            }
        }
        ALL.with(|all| all.iter().for_each(|both| both.check(&text)));
    }
}
