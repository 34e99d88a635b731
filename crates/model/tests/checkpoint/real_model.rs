//! all-MiniLM-L6-v2 as it is published, when it is at hand.

use std::path::{Path, PathBuf};

use sbmoe_model::checkpoint::Wanted;
use sbmoe_model::folder::{HiddenAct, ModelFolder, Pooling};

/// The folder that the environment variable names, else the encoder that `sbmoe quickstart` unpacked in this repository.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
pub(crate) fn model() -> Option<PathBuf> {
    let unpacked = || {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../runs/quickstart/encoder");
        folder.is_dir().then_some(folder)
    };
    let model = std::env::var_os("SBMOE_TEST_MODEL").map(PathBuf::from).or_else(unpacked);
    if model.is_none() {
        eprintln!("skipped: set SBMOE_TEST_MODEL to a folder with all-MiniLM-L6-v2");
    }
    model
}

#[test]
fn minilm_is_described_and_its_weights_are_found() {
    let Some(dir) = model() else { return };
    let folder = ModelFolder::open(&dir).unwrap();
    assert_eq!(
        (folder.bert.num_hidden_layers, folder.bert.hidden_size, folder.bert.num_attention_heads),
        (6, 384, 12)
    );
    assert_eq!(folder.bert.hidden_act, HiddenAct::Gelu);
    assert_eq!((folder.pooling, folder.normalize, folder.max_length), (Pooling::Mean, true, Some(256)));
    let checkpoint = folder.checkpoint().unwrap();
    let wanted = [
        Wanted { name: "embeddings.word_embeddings.weight".to_owned(), shape: vec![30522, 384] },
        Wanted { name: "encoder.layer.5.output.LayerNorm.bias".to_owned(), shape: vec![384] },
    ];
    let selection = checkpoint.select(&wanted).unwrap();
    assert_eq!(selection.tensors().next().unwrap().unwrap().values.len(), 30522 * 384);
    assert!(
        !selection.unexpected.iter().any(|name| name.contains("pooler") || name.contains("position_ids"))
    );
}

#[test]
fn minilm_cuts_at_its_own_length_and_not_at_its_tokenizers() {
    let Some(dir) = model() else { return };
    let tokenizer = ModelFolder::open(&dir).unwrap().tokenizer(None, None).unwrap();
    assert_eq!(
        tokenizer.encode("Hello, dense retrieval!").unwrap(),
        [101, 7592, 1010, 9742, 26384, 999, 102]
    );
    assert_eq!(tokenizer.encode(&"word ".repeat(400)).unwrap().len(), 256);
    assert_eq!(tokenizer.encode(&"word ".repeat(200)).unwrap().len(), 202);
    assert_eq!(tokenizer.vocabulary_size(), 30522);
}
