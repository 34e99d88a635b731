//! Model folders of both generations are understood, and what is not supported is refused by name.

use std::path::Path;

use sbmoe_model::folder::{
    BertConfig, FolderError, HiddenAct, ModelFolder, Pooling, Similarity, fingerprint,
};

use crate::samples::{put, sample};

const TINY: &str = r#""vocab_size": 9, "hidden_size": 4, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8"#;

/// A folder with the given files, `config.json` among them unless given.
pub(crate) fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "config.json", format!("{{{TINY}}}"));
    for (name, content) in files {
        put(dir.path(), name, content);
    }
    dir
}

pub(crate) fn modules(types: &[(&str, &str)]) -> String {
    let entries = types.iter().enumerate().map(|(idx, (path, class))| {
        format!(r#"{{"idx": {idx}, "name": "{idx}", "path": "{path}", "type": "{class}"}}"#)
    });
    format!("[{}]", entries.collect::<Vec<_>>().join(","))
}

pub(crate) const TRANSFORMER: (&str, &str) = ("", "sentence_transformers.models.Transformer");
pub(crate) const POOLING: (&str, &str) = ("1_Pooling", "sentence_transformers.models.Pooling");

pub(crate) fn refuse(dir: &Path, message: &str) {
    let error = ModelFolder::open(dir).unwrap_err().to_string();
    assert!(error.contains(message), "`{error}` does not contain `{message}`");
}

#[test]
fn the_newer_generation_is_read() {
    let folder = ModelFolder::open(&sample("folder/newer")).unwrap();
    assert_eq!(folder.pooling, Pooling::Cls);
    assert!(folder.normalize && folder.block.is_none() && !folder.lower_case);
    assert_eq!(folder.max_length, Some(24));
    assert_eq!(folder.similarity, Some(Similarity::Cosine));
    assert_eq!((folder.prompts.query(), folder.prompts.document()), ("query: ", "passage: "));
    assert_eq!(folder.bert.hidden_act, HiddenAct::GeluNew);
    assert_eq!((folder.bert.hidden_size, folder.bert.max_position_embeddings), (8, 32));
}

#[test]
fn the_older_generation_is_read() {
    let chain = modules(&[TRANSFORMER, POOLING, ("2_SBMoE", "sbmoe.SBMoE")]);
    let pooling = r#"{"word_embedding_dimension": 4, "pooling_mode_cls_token": false, "pooling_mode_mean_tokens": false,
        "pooling_mode_max_tokens": true, "pooling_mode_mean_sqrt_len_tokens": false}"#;
    let dir = folder(&[
        ("modules.json", &chain),
        ("1_Pooling/config.json", pooling),
        ("sentence_bert_config.json", r#"{"max_seq_length": 128, "do_lower_case": true}"#),
        ("config_sentence_transformers.json", r#"{"__version__": {}}"#),
    ]);
    let folder = ModelFolder::open(dir.path()).unwrap();
    assert_eq!(folder.pooling, Pooling::Max);
    assert_eq!(folder.block, Some(dir.path().join("2_SBMoE")));
    assert_eq!((folder.max_length, folder.lower_case, folder.normalize), (Some(128), true, false));
    assert_eq!(folder.similarity, None);
    assert!(folder.prompts.are_empty());
}

#[test]
fn the_oldest_layout_keeps_the_encoder_in_a_folder() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "modules.json", modules(&[("0_Transformer", TRANSFORMER.1), POOLING]));
    put(dir.path(), "0_Transformer/config.json", format!("{{{TINY}}}"));
    put(dir.path(), "0_Transformer/sentence_bert_config.json", r#"{"max_seq_length": 99}"#);
    put(
        dir.path(),
        "1_Pooling/config.json",
        r#"{"word_embedding_dimension": 4, "pooling_mode_mean_tokens": true}"#,
    );
    let folder = ModelFolder::open(dir.path()).unwrap();
    assert_eq!(folder.encoder, dir.path().join("0_Transformer"));
    assert_eq!((folder.max_length, folder.pooling), (Some(99), Pooling::Mean));
}

#[test]
fn a_bare_folder_means_the_mean() {
    let dir = folder(&[]);
    let folder = ModelFolder::open(dir.path()).unwrap();
    assert_eq!((folder.pooling, folder.normalize, folder.max_length), (Pooling::Mean, false, None));
    assert_eq!(folder.encoder, dir.path());
    let config = BertConfig::read(dir.path()).unwrap();
    assert_eq!((config.hidden_act, config.layer_norm_eps), (HiddenAct::Gelu, 1e-12));
    assert_eq!((config.max_position_embeddings, config.type_vocab_size), (512, 2));
    assert_eq!((config.hidden_dropout_prob, config.attention_probs_dropout_prob), (0.1, 0.1));
}

#[test]
fn chains_that_are_not_supported_are_refused_by_name() {
    let pooling = ("1_Pooling/config.json", r#"{"embedding_dimension": 4, "pooling_mode": "mean"}"#);
    let check = |types: &[(&str, &str)], message: &str| {
        refuse(folder(&[("modules.json", &modules(types)), pooling]).path(), message);
    };
    let dense = ("2_Dense", "sentence_transformers.models.Dense");
    check(
        &[TRANSFORMER, POOLING, dense],
        "the module `sentence_transformers.models.Dense` is not supported; supported:",
    );
    check(
        &[TRANSFORMER, POOLING, ("2_X", "sentence_transformers.base.modules.dense.Dense")],
        "`sentence_transformers.base.modules.dense.Dense`",
    );
    check(&[TRANSFORMER, POOLING, ("2_X", "other.Pooling")], "the module `other.Pooling`");
    check(&[TRANSFORMER], "the chain of modules");
    let (normalize, block) = (("2_N", "sentence_transformers.models.Normalize"), ("3_SBMoE", "sbmoe.SBMoE"));
    check(&[TRANSFORMER, POOLING, normalize, block], "or `SBMoE` between two `Normalize`");
    check(
        &[TRANSFORMER, ("../1_Pooling", POOLING.1)],
        "the module folder `../1_Pooling` is not inside the model's",
    );
}

#[test]
fn poolings_that_are_not_supported_are_refused_by_name() {
    let check = |config: &str, message: &str| {
        let chain = modules(&[TRANSFORMER, POOLING]);
        refuse(folder(&[("modules.json", &chain), ("1_Pooling/config.json", config)]).path(), message);
    };
    check(
        r#"{"pooling_mode": "lasttoken"}"#,
        "the pooling mode `lasttoken` is not supported; supported: one of `mean`, `cls`, `max`",
    );
    check(r#"{"pooling_mode_weightedmean_tokens": true}"#, "`weightedmean`");
    check(r#"{"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": true}"#, "`cls + mean`");
    check(r#"{"pooling_mode": ["max", "mean"]}"#, "`max + mean`");
    check(
        r#"{"embedding_dimension": 5, "pooling_mode": "mean"}"#,
        "pools vectors of 5 numbers, but the encoder's `hidden_size` is 4",
    );
}

#[test]
fn architectures_that_are_not_supported_are_refused_by_name() {
    let check = |config: &str, message: &str| {
        refuse(folder(&[("config.json", &format!("{{{TINY}{config}}}"))]).path(), message);
    };
    check(r#", "model_type": "roberta""#, "`model_type` `roberta` is not supported; supported: `bert`");
    check(r#", "architectures": ["DistilBertModel"]"#, "`architectures` `DistilBertModel` is not supported");
    check(r#", "position_embedding_type": "relative_key""#, "`position_embedding_type` `relative_key`");
    check(r#", "hidden_act": "silu""#, "`hidden_act` `silu` is not supported; supported: `gelu`, `gelu_new`");
    check(r#", "is_decoder": true"#, "`is_decoder` `true`");
    check(r#", "layer_norm_eps": -1"#, "`layer_norm_eps` is -1");
    check(r#", "hidden_dropout_prob": 1.0"#, "`hidden_dropout_prob` is 1, not in 0 ≤ p < 1");
    refuse(
        folder(&[("config.json", &format!("{{{TINY}}}").replace("_heads\": 2", "_heads\": 3"))]).path(),
        "`num_attention_heads` 3 does not divide `hidden_size` 4",
    );
    refuse(folder(&[("config.json", "{\"hidden_size\": 4}")]).path(), "missing field `vocab_size`");
    refuse(
        folder(&[("config.json", "{,")]).path(),
        "config.json` cannot be read: key must be a string at line 1 column 2",
    );
}

#[test]
fn configurations_of_tinybert_and_contriever_are_read() {
    let tinybert = r#"{"attention_probs_dropout_prob": 0.1, "cell": {}, "emb_size": 312, "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1, "hidden_size": 312, "initializer_range": 0.02, "intermediate_size": 1200,
        "max_position_embeddings": 512, "num_attention_heads": 12, "num_hidden_layers": 4, "pre_trained": "",
        "structure": [], "type_vocab_size": 2, "vocab_size": 30522}"#;
    let config = BertConfig::read(folder(&[("config.json", tinybert)]).path()).unwrap();
    assert_eq!((config.hidden_size, config.num_attention_heads, config.intermediate_size), (312, 12, 1200));
    let contriever =
        format!(r#"{{{TINY}, "architectures": ["Contriever"], "hidden_act": "gelu_pytorch_tanh"}}"#);
    let config = BertConfig::read(folder(&[("config.json", &contriever)]).path()).unwrap();
    assert_eq!(config.hidden_act, HiddenAct::GeluNew);
}

#[test]
fn a_folder_without_a_model_is_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(ModelFolder::open(dir.path()), Err(FolderError::NoModel { .. })));
}

#[test]
fn lengths_follow_the_folder_and_stay_within_the_model() {
    let dir = folder(&[("sentence_bert_config.json", r#"{"max_seq_length": 20, "do_lower_case": true}"#)]);
    fs_err::copy(sample("tokenizer/uncased/vocab.txt"), dir.path().join("vocab.txt")).unwrap();
    let config = format!(r#"{{{}, "max_position_embeddings": 32}}"#, TINY.replace(": 9", ": 200"));
    put(dir.path(), "config.json", config);
    let folder = ModelFolder::open(dir.path()).unwrap();
    let tokenizer = folder.tokenizer(None, None).unwrap();
    assert_eq!((tokenizer.max_length(), tokenizer.lower_case()), (20, true));
    let tokenizer = folder.tokenizer(Some(false), Some(32)).unwrap();
    assert_eq!((tokenizer.max_length(), tokenizer.lower_case()), (32, false));
    let error = folder.tokenizer(None, Some(33)).unwrap_err().to_string();
    assert!(error.contains("ask for at most 32"), "{error}");

    // Tokens for which the encoder has no row: an error where they occur, and at once where every text has them.
    put(dir.path(), "config.json", format!("{{{TINY}}}"));
    let tokenizer = ModelFolder::open(dir.path()).unwrap().tokenizer(None, None).unwrap();
    assert_eq!(tokenizer.encode("").unwrap().len(), 2);
    let error = tokenizer.encode("the").unwrap_err().to_string();
    assert!(error.contains("`the` has the number") && error.contains("`vocab_size` is 9"), "{error}");
    put(dir.path(), "config.json", format!("{{{TINY}}}").replace("\"vocab_size\": 9", "\"vocab_size\": 3"));
    let error = ModelFolder::open(dir.path()).unwrap().tokenizer(None, None).unwrap_err().to_string();
    assert!(error.contains("`vocab_size` is 3"), "{error}");
}

#[test]
fn a_fingerprint_follows_what_decides_the_vectors() {
    let dir = folder(&[]);
    fs_err::copy(sample("checkpoint/zip.bin"), dir.path().join("pytorch_model.bin")).unwrap();
    let first = fingerprint(dir.path()).unwrap();
    assert_eq!(first.model.len(), 64);
    assert_eq!(first.documents, first.model);
    put(dir.path(), "README.md", "changed");
    assert_eq!(fingerprint(dir.path()).unwrap(), first);
    put(dir.path(), "vocab.txt", "a\n");
    let second = fingerprint(dir.path()).unwrap();
    assert_ne!(second, first);
    // A stamp of another content says nothing; one of this content names the model of the document vectors.
    put(dir.path(), "sbmoe.json", r#"{"format": 1, "fingerprint": "stored", "documents": "encoder"}"#);
    assert_eq!(fingerprint(dir.path()).unwrap(), second);
    let stamp = format!(r#"{{"format": 1, "fingerprint": "{}", "documents": "encoder"}}"#, second.model);
    put(dir.path(), "sbmoe.json", stamp);
    assert_eq!(fingerprint(dir.path()).unwrap().documents, "encoder");
    put(dir.path(), "added_tokens.json", r#"{"[X]": 1}"#);
    let third = fingerprint(dir.path()).unwrap();
    assert_ne!(third.model, second.model);
    assert_eq!(third.documents, third.model);
    put(dir.path(), "sbmoe.json", r#"{"format": 2, "fingerprint": "stored"}"#);
    assert!(fingerprint(dir.path()).unwrap_err().to_string().contains("`format` `2` is not supported"));
}
