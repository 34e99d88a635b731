//! Model folders: one file of a small saved model is mutated, then the model is opened and encodes a text.

use std::cell::LazyCell;
use std::path::Path;
use std::sync::Arc;

use sbmoe_kernels::Cpu;
use sbmoe_model::moe::Side;
use sbmoe_model::retriever::Retriever;

use super::{files, one_of, told, words};
use crate::target::Target;

macro_rules! sample {
    ($($name:literal),+) => {
        &[$(($name, include_bytes!(concat!("../../../crates/sbmoe/tests/samples/model-version-1/", $name)))),+]
    };
}

/// A saved model of two layers, hidden size 8 and three experts.
const MODEL: &[(&str, &[u8])] = sample!(
    "config.json",
    "modules.json",
    "config_sentence_transformers.json",
    "sentence_bert_config.json",
    "1_Pooling/config.json",
    "2_SBMoE/config.json",
    "2_SBMoE/model.safetensors",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json"
);

/// The same without the files that newer programs write: the tokenizer is built from its list of words.
const OLDER: &[(&str, &[u8])] = sample!(
    "config.json",
    "model.safetensors",
    "vocab.txt",
    "tokenizer_config.json",
    "special_tokens_map.json"
);

const WORDS: &str = "null true [] {} \"\" \"hidden_size\" \"num_attention_heads\" \"layer_norm_eps\" \"hidden_act\" \
    \"position_embedding_type\" \"id2label\" \"type\" \"path\" \"..\" \
    \"sentence_transformers.models.Normalize\" \"pooling_mode_cls_token\":true \"pooling_mode\" \
    \"max_seq_length\" \"query_length\" \"do_lower_case\" \"prompts\" \"similarity_fn_name\" \
    \"truncate_dim\" \"experts\" \"rank\" \"kind\" \"linear\" \"sides\" \"input_scale\" \"residual\" \
    \"random\" \"all\"";
const TOKENIZER_WORDS: &str = "null true false [] {} \"\" \"WordPiece\" \"BPE\" \"Unigram\" \"WordLevel\" \
    \"merges\":[[\"a\",\"b\"]] \"Sequence\" \"normalizers\":[] \
    \"Replace\",\"pattern\":{\"Regex\":\"(a*)*b\"},\"content\":\"\" \"NFKC\" \"Precompiled\" \
    \"Prepend\",\"prepend\":\"_\" \
    \"TemplateProcessing\",\"single\":[],\"pair\":[],\"special_tokens\":{} \"ByteLevel\" \
    \"Metaspace\" \
    \"truncation\":{\"direction\":\"Right\",\"max_length\":1,\"strategy\":\"LongestFirst\",\"stride\":9} \
    \"normalized\":true \"max_input_chars_per_word\" \"continuing_subword_prefix\" \"vocab\" \
    \"added_tokens\" \"model_max_length\" \"added_tokens_decoder\":{\"16\":{\"content\":\"lamp\"}} \
    \"tokenizer_class\" \"strip_accents\" [UNK] ## \n\n";

pub(super) fn targets() -> Vec<Target> {
    let (newer, older) = (files(MODEL), files(OLDER));
    let configs = [
        ("bert-config", "config.json"),
        ("modules", "modules.json"),
        ("pooling", "1_Pooling/config.json"),
        ("sentence-config", "sentence_bert_config.json"),
        ("prompts", "config_sentence_transformers.json"),
        ("block-config", "2_SBMoE/config.json"),
        ("weights", "model.safetensors"),
        ("block-weights", "2_SBMoE/model.safetensors"),
    ];
    let tokenizers = [("tokenizer", "tokenizer.json"), ("tokenizer-config", "tokenizer_config.json")];
    let lists = [("vocabulary", "vocab.txt"), ("vocabulary-config", "tokenizer_config.json")];
    let with = |targets: Vec<Target>, known: &'static str| {
        targets.into_iter().map(move |target| Target { dictionary: words(known), ..target })
    };
    with(one_of(&configs, &newer, read), WORDS)
        .chain(with(one_of(&tokenizers, &newer, read), TOKENIZER_WORDS))
        .chain(with(one_of(&lists, &older, read), TOKENIZER_WORDS))
        .collect()
}

thread_local! {
    static OPS: LazyCell<Arc<Cpu>> = LazyCell::new(|| Arc::new(Cpu::new(1)));
}

fn read(folder: &Path) -> Option<()> {
    let model = told(Retriever::open(folder, OPS.with(|ops| Arc::clone(ops)), None))?;
    let tokens: Vec<Vec<u32>> = ["", "the low tide rose, with a lamp?", "Ünder [SEP] 東 \u{1f469}\u{200d}\0"]
        .into_iter()
        .filter_map(|text| told(model.tokenize_document(text)))
        .collect();
    let query = told(model.tokenize_query("moon"));
    let x = model.pooled(&tokens);
    let keys = vec![7; tokens.len()];
    if let Some(gate) = model.gate() {
        let (y, _) = model.apply_block(&x, Side::Document, gate, &keys);
        assert_eq!(x.len(), y.len(), "the block keeps the size of vectors");
    }
    query.map(drop)
}
