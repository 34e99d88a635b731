//! Settings of sentence-transformers' files that change vectors: followed as there, refused, or warned about by name.

use sbmoe_model::folder::ModelFolder;
use sbmoe_model::tokenizer::Lengths;

use crate::folders::{POOLING, TRANSFORMER, folder, modules, refuse};
use crate::samples::{put, sample};

const SENTENCE: &str = "sentence_bert_config.json";
const MODEL: &str = "config_sentence_transformers.json";
const TOKENIZER: &str = "tokenizer_config.json";

/// A folder of sentence-transformers with 32 positions, a vocabulary, and the given files.
fn chain(files: &[(&str, &str)]) -> tempfile::TempDir {
    let config = r#"{"vocab_size": 200, "hidden_size": 4, "num_hidden_layers": 1, "num_attention_heads": 2,
        "intermediate_size": 8, "max_position_embeddings": 32}"#;
    let dir = folder(&[
        ("config.json", config),
        ("modules.json", &modules(&[TRANSFORMER, POOLING])),
        ("1_Pooling/config.json", r#"{"word_embedding_dimension": 4, "pooling_mode_mean_tokens": true}"#),
    ]);
    fs_err::copy(sample("tokenizer/uncased/vocab.txt"), dir.path().join("vocab.txt")).unwrap();
    for (name, content) in files {
        put(dir.path(), name, content);
    }
    dir
}

fn open(files: &[(&str, &str)]) -> ModelFolder {
    ModelFolder::open(chain(files).path()).unwrap()
}

fn refused(files: &[(&str, &str)], message: &str) {
    refuse(chain(files).path(), message);
}

/// The warnings of a folder, which name the file and contain `words`, a warning each.
fn warns(files: &[(&str, &str)], words: &[&str]) {
    let found = open(files).warnings;
    assert_eq!(found.len(), words.len(), "{found:?}");
    for (warning, words) in found.iter().zip(words) {
        assert!(warning.contains(".json`: ") && warning.contains(words), "`{warning}` lacks `{words}`");
    }
}

#[test]
fn a_folder_without_a_length_is_cut_at_the_tokenizers() {
    let length = |files: &[(&str, &str)]| open(files).max_length;
    let of_tokenizer = r#"{"model_max_length": 20}"#;
    assert_eq!(length(&[(TOKENIZER, of_tokenizer)]), Some(20), "no file says it");
    let null = r#"{"max_seq_length": null, "do_lower_case": false}"#;
    assert_eq!(length(&[(TOKENIZER, of_tokenizer), (SENTENCE, null)]), Some(20));
    assert_eq!(length(&[(TOKENIZER, of_tokenizer), (SENTENCE, "{}")]), Some(20));
    assert_eq!(length(&[(TOKENIZER, of_tokenizer), (SENTENCE, r#"{"max_seq_length": 9}"#)]), Some(9));
    assert_eq!(length(&[(TOKENIZER, r#"{"max_len": 21}"#)]), Some(21), "its older name");
    // The positions are the limit, also where the tokenizer knows none.
    for unlimited in [r#"{"model_max_length": 1000000000000000019884624838656}"#, "{}", r#"{"max_len": 99}"#]
    {
        assert_eq!(length(&[(TOKENIZER, unlimited)]), Some(32), "{unlimited}");
    }
    assert_eq!(length(&[]), Some(32));
    // A bare folder says nothing, whatever its tokenizer says.
    assert_eq!(ModelFolder::open(folder(&[(TOKENIZER, of_tokenizer)]).path()).unwrap().max_length, None);
}

#[test]
fn queries_and_documents_are_cut_at_their_own_lengths() {
    let lengths = |sentence: &str, asked: Option<usize>| {
        let dir = chain(&[(SENTENCE, sentence)]);
        ModelFolder::open(dir.path()).unwrap().tokenizer(None, asked).unwrap().lengths()
    };
    let sides = r#"{"max_seq_length": 24, "query_length": 8, "document_length": 99}"#;
    assert_eq!(lengths(sides, None), Lengths { text: 24, query: 8, document: 32 });
    assert_eq!(lengths(sides, Some(12)), Lengths::all(12), "a user's length is that of both");
    assert_eq!(
        lengths(r#"{"max_seq_length": 24, "query_length": 8}"#, None),
        Lengths { text: 24, query: 8, document: 24 }
    );
    // What the tokenizer is called with has the last word.
    let called = r#"{"max_seq_length": 24, "query_length": 8, "processing_kwargs":
        {"text": {"max_length": 10, "truncation": true, "padding": "max_length"}}}"#;
    assert_eq!(lengths(called, None), Lengths { text: 24, query: 10, document: 10 });

    let dir = chain(&[(SENTENCE, sides)]);
    let tokenizer = ModelFolder::open(dir.path()).unwrap().tokenizer(None, None).unwrap();
    let text = "a b ".repeat(40);
    let cut = [tokenizer.encode(&text), tokenizer.encode_query(&text), tokenizer.encode_document(&text)];
    assert_eq!(cut.map(|ids| ids.unwrap().len()), [24, 8, 32]);

    let short = chain(&[(SENTENCE, r#"{"query_length": 2}"#)]);
    let error = ModelFolder::open(short.path()).unwrap().tokenizer(None, None).unwrap_err().to_string();
    assert!(error.contains("a maximum length of 2 tokens leaves no room"), "{error}");
}

#[test]
fn settings_that_cannot_be_followed_are_refused_by_name() {
    let sentence = |content: &str, message: &str| refused(&[(SENTENCE, content)], message);
    let truncation =
        |value: &str| format!(r#"{{"processing_kwargs": {{"text": {{"truncation": {value}}}}}}}"#);
    sentence(&truncation("false"), "`processing_kwargs.text.truncation` `false` is not supported");
    sentence(&truncation(r#""do_not_truncate""#), "`processing_kwargs.text.truncation`");
    let expansion = r#"{"query_expansion": {"strategy": "fixed", "length": 32}}"#;
    sentence(expansion, "`query_expansion` `{");
    let modality = r#"{"modality_config": {"text": {"method": "forward", "method_output_name": "logits"}}}"#;
    sentence(modality, "`modality_config.text` `{");
    refused(&[(MODEL, r#"{"truncate_dim": 0}"#)], "`truncate_dim` is 0");
    let config = |key: &str| {
        format!(
            r#"{{"vocab_size": 200, "hidden_size": 4, "num_hidden_layers": 1, "num_attention_heads": 2,
            "intermediate_size": 8, {key}}}"#
        )
    };
    refused(&[("config.json", &config(r#""pruned_heads": {"0": [1]}"#))], "`pruned_heads` `{\"0\":[1]}`");
    refused(&[("config.json", &config(r#""quantization_config": {"bits": 4}"#))], "`quantization_config`");
    refused(&[("adapter_config.json", "{}")], "adapter_config.json`: the encoder with `an adapter`");
    warns(
        &[("config.json", &config(r#""auto_map": {"AutoModel": "other.Model"}, "pruned_heads": {}"#))],
        &["`auto_map`"],
    );
}

#[test]
fn settings_of_a_tokenizer_that_cannot_be_followed_are_refused_by_name() {
    let refused = |content: &str, message: &str| {
        let dir = chain(&[(TOKENIZER, content)]);
        let error = ModelFolder::open(dir.path()).unwrap().tokenizer(None, None).unwrap_err().to_string();
        assert!(error.contains("tokenizer_config.json` is not") && error.contains(message), "{error}");
    };
    refused(r#"{"truncation_side": "left"}"#, "`truncation_side` `left` is not supported");
    refused(r#"{"split_special_tokens": true}"#, "`split_special_tokens` `true` is not supported");
    let content = fs_err::read_to_string(sample("tokenizer/with_json/tokenizer.json")).unwrap();
    assert!(content.contains(r#""direction":"Right""#), "the sample cuts texts itself");
    let left = content.replace(r#""direction":"Right""#, r#""direction":"Left""#);
    let dir = chain(&[("tokenizer.json", &left)]);
    let error = ModelFolder::open(dir.path()).unwrap().tokenizer(None, None).unwrap_err().to_string();
    assert!(error.contains("tokenizer.json` is not") && error.contains("at their beginning"), "{error}");
}

#[test]
fn lengths_are_read_under_the_file_s_old_names_too() {
    let old = "sentence_distilbert_config.json";
    assert_eq!(open(&[(old, r#"{"max_seq_length": 9}"#)]).max_length, Some(9));
    assert_eq!(
        open(&[(old, r#"{"max_seq_length": 9}"#), (SENTENCE, r#"{"max_seq_length": 7}"#)]).max_length,
        Some(7)
    );
}

#[test]
fn a_folder_may_ask_for_fewer_numbers() {
    let dim = |model: &str| open(&[(MODEL, model)]).truncate_dim;
    assert_eq!(dim(r#"{"truncate_dim": 3}"#), Some(3));
    assert_eq!(dim(r#"{"truncate_dim": 4}"#), None, "there are no more");
    assert_eq!(dim(r#"{"truncate_dim": null}"#), None);
}

#[test]
fn only_prompts_of_their_own_name_are_put_before_queries_and_documents() {
    let prompts = |model: &str| {
        let prompts = open(&[(MODEL, model)]).prompts;
        (prompts.query().to_owned(), prompts.document().to_owned())
    };
    let texts = |query: &str, document: &str| (query.to_owned(), document.to_owned());
    let default = r#"{"prompts": {"web": "web: "}, "default_prompt_name": "web"}"#;
    assert_eq!(prompts(default), texts("", ""));
    let half = r#"{"prompts": {"query": "q: "}, "default_prompt_name": "query"}"#;
    assert_eq!(prompts(half), texts("q: ", ""));
    let passage = r#"{"prompts": {"query": "q: ", "corpus": "c: ", "passage": "p: "}}"#;
    assert_eq!(prompts(passage), texts("q: ", "p: "));
    assert_eq!(prompts(r#"{"prompts": {"query": null, "corpus": "c: "}}"#), texts("", "c: "));
    assert_eq!(prompts(r#"{"prompts": {"document": "", "passage": "p: "}}"#), texts("", ""));
    assert_eq!(prompts(r#"{"default_prompt_name": "query"}"#), texts("", ""));
    refused(&[(MODEL, r#"{"default_prompt_name": "web"}"#)], "`web`, which is not among the prompts");

    warns(&[(MODEL, default)], &["the default prompt `web` is not put before queries or documents"]);
    warns(&[(MODEL, half)], &["the default prompt `query` is not put before documents"]);
    warns(&[(MODEL, passage)], &["the prompt `passage` is put before documents"]);
    warns(
        &[(MODEL, r#"{"prompts": {"query": "q: ", "document": "d: "}, "default_prompt_name": "query"}"#)],
        &[],
    );
}

#[test]
fn keys_that_may_change_vectors_are_warned_about_by_name() {
    let sentence = r#"{"max_seq_length": 9, "tokenizer_args": {"a": 1}, "model_args": {}, "unpad_inputs": true,
        "processing_kwargs": {"common": {"stride": 2}, "image": {"size": 9}, "text": {"padding_side": "left"}}}"#;
    warns(
        &[(SENTENCE, sentence)],
        &[
            r#"`tokenizer_args` is unknown to sbmoe and left out; if its value {"a":1} changes"#,
            "`processing_kwargs.common`",
            "`processing_kwargs.text.padding_side`",
        ],
    );
    let model = r#"{"__version__": {"pytorch": "2"}, "requirements": ["x"], "model_type": "SentenceTransformer",
        "whiten": true, "later": null}"#;
    warns(&[(MODEL, model)], &["`whiten`"]);
    warns(&[(MODEL, r#"{"model_type": "SparseEncoder"}"#)], &["`model_type`"]);
    let pooling = r#"{"pooling_mode_mean_tokens": true, "pooling_mode_lasttoken": false, "scale": 2}"#;
    warns(&[("1_Pooling/config.json", pooling)], &["`scale`"]);
    let newer = ModelFolder::open(&sample("folder/newer")).unwrap();
    assert_eq!(newer.warnings, [""; 0]);
    warns(&[], &[]);
}

#[test]
fn a_folder_that_is_silent_about_similarity_is_told_apart() {
    let told = |folder: &ModelFolder| (folder.sentence_transformers, folder.implies_cosine());
    assert_eq!(told(&open(&[])), (true, true));
    assert_eq!(told(&open(&[(MODEL, r#"{"similarity_fn_name": "dot"}"#)])), (true, false));
    let normalize = ("2_Normalize", "sentence_transformers.models.Normalize");
    let chain = modules(&[TRANSFORMER, POOLING, normalize]);
    assert_eq!(told(&open(&[("modules.json", &chain)])), (true, false));
    assert_eq!(told(&ModelFolder::open(folder(&[]).path()).unwrap()), (false, false));
}
