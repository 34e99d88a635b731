//! Folders that say what no model has are refused with the file and the key, without taking the memory they ask for.

use std::path::Path;
use std::sync::Arc;

use sbmoe_kernels::Cpu;
use sbmoe_model::retriever::Retriever;
use sbmoe_model::tokenizer::Tokenizer;
use serde_json::{Value, json};

use crate::samples::put;
use crate::saved::save;
use crate::tokenizers::file_with;

fn refusal(dir: &Path) -> String {
    Retriever::open(dir, Arc::new(Cpu::new(1)), None).unwrap_err().to_string()
}

/// Every size of a file, one at a time, is set to what fits nothing.
fn check_sizes(file: &str, keys: &[&str]) {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("model");
    save(&dir, 1.0, true).unwrap();
    let content: Value = serde_json::from_slice(&fs_err::read(dir.join(file)).unwrap()).unwrap();
    for key in keys {
        for size in ["100000000", "1099511627776", "9007199254740993", "18446744073709551615", "1e30", "-1"] {
            let mut changed = content.clone();
            changed[*key] = serde_json::from_str(size).unwrap();
            put(&dir, file, changed.to_string());
            let error = refusal(&dir);
            let said = [&format!("{file}`"), "model.safetensors` does not fit the model"];
            assert!(said.iter().any(|said| error.contains(said)), "{key} {size}: {error}");
            assert!(error.len() < 3_000, "{key} {size}: {} bytes", error.len());
        }
    }
}

#[test]
fn sizes_of_an_encoder_that_nothing_has_are_refused() {
    let keys = [
        "num_hidden_layers",
        "hidden_size",
        "intermediate_size",
        "num_attention_heads",
        "vocab_size",
        "max_position_embeddings",
        "type_vocab_size",
    ];
    check_sizes("config.json", &keys);
}

#[test]
fn sizes_of_a_block_that_nothing_has_are_refused() {
    check_sizes("2_SBMoE/config.json", &["hidden", "experts", "expert_width", "rank"]);
}

#[test]
fn more_layers_or_experts_than_tensors_are_said() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("model");
    save(&dir, 1.0, true).unwrap();
    let set = |file: &str, key: &str, size: usize| {
        let path = dir.join(file);
        let mut content: Value = serde_json::from_slice(&fs_err::read(&path).unwrap()).unwrap();
        content[key] = size.into();
        put(&dir, file, content.to_string());
    };
    set("2_SBMoE/config.json", "experts", 60_000);
    set("config.json", "num_hidden_layers", 1);
    let error = refusal(&dir);
    assert!(error.contains("`experts` is 60000, but the weights beside it hold 1 tensors"), "{error}");
    set("config.json", "num_hidden_layers", 200_000_000);
    let error = refusal(&dir);
    assert!(error.contains("`num_hidden_layers` is 200000000, but the weights"), "{error}");
}

fn tokenizer(content: &str) -> Result<Tokenizer, String> {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "tokenizer.json", content);
    Tokenizer::open(dir.path(), false, 64).map_err(|error| error.to_string())
}

#[test]
fn tokenizers_at_which_the_library_stops_are_refused() {
    let (file, _) = file_with("<x>");
    let changed = |key: &str, value: Value| {
        let mut file = file.clone();
        file[key] = value;
        file.to_string()
    };
    let mut contents: Vec<String> =
        [r#"{"decoder":""#, r#"{"decoder":5}"#, r#"{"model":"#, "[]", "{}", "", "null"]
            .map(str::to_owned)
            .to_vec();
    contents.push(changed("normalizer", json!({"type": "Precompiled", "precompiled_charsmap": "AAAA"})));
    contents.push(changed("decoder", json!({"type": "Sequence", "decoders": [7]})));
    contents.push(changed("model", json!({"type": "WordPiece", "vocab": {"a": -1}})));
    for content in contents {
        let start: String = content.chars().take(60).collect();
        match tokenizer(&content) {
            Err(error) => {
                assert!(error.contains("tokenizer.json` is not a valid tokenizer"), "{start}: {error}");
            }
            Ok(tokenizer) => drop(tokenizer.encode("a").map(|_| ())),
        }
    }
}

#[test]
fn a_post_processor_that_does_more_than_add_special_tokens_is_refused() {
    let (mut file, _) = file_with("<x>");
    let template = |sequences: usize, number: u32| {
        let special = json!({"SpecialToken": {"id": "[X]", "type_id": 0}});
        let text = json!({"Sequence": {"id": "A", "type_id": 0}});
        let single = [vec![special.clone()], vec![text; sequences], vec![special]].concat();
        json!({"type": "TemplateProcessing", "single": single, "pair": single,
            "special_tokens": {"[X]": {"id": "[X]", "ids": [number], "tokens": ["[X]"]}}})
    };
    for sequences in [0, 2] {
        file["post_processor"] = template(sequences, 1);
        let error = tokenizer(&file.to_string()).unwrap_err();
        assert!(error.contains("its post-processor leaves out a text, or repeats it"), "{error}");
    }
    file["post_processor"] = template(1, 4_000_000_000);
    let beyond = tokenizer(&file.to_string()).unwrap().with_rows(100).unwrap_err().to_string();
    assert!(beyond.contains("has the number 4000000000, but the encoder's `vocab_size` is 100"), "{beyond}");
}

/// Numbers of tokens far beyond all rows make neither a table nor lines of a vocabulary.
#[test]
fn a_token_of_a_huge_number_takes_no_memory() {
    let (mut file, _) = file_with("<x>");
    file["model"]["vocab"]["zzz"] = 4_294_967_290_u32.into();
    let tokenizer = tokenizer(&file.to_string()).unwrap().with_rows(200).unwrap();
    let error = tokenizer.encode("a zzz").unwrap_err().to_string();
    assert!(error.contains("`zzz` has the number 4294967290"), "{error}");
}
