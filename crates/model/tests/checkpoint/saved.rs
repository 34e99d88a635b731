//! What is written can be read again, appears whole, and destroys nothing.

use std::collections::BTreeMap;
use std::path::Path;

use sbmoe_model::checkpoint::{Checkpoint, CheckpointError, NamedTensor, metadata, write_safetensors};
use sbmoe_model::folder::{
    BertConfig, CardResult, FolderError, HiddenAct, ModelCard, ModelFolder, Pooling, Prompts, Similarity,
    WriteBlock, WriteFolder, fingerprint, is_saved_model, remove_saved_model, write_sentence_transformers,
};
use sbmoe_model::moe::{BlockConfig, Combine, Gate, TrainGate};
use sbmoe_model::tokenizer::Tokenizer;

use crate::samples::{put, sample};

fn tensor<'a>(name: &'a str, shape: &'a [usize], values: &'a [f32]) -> NamedTensor<'a> {
    NamedTensor { name, shape, values }
}

fn bert() -> BertConfig {
    BertConfig {
        vocab_size: 200,
        hidden_size: 4,
        num_hidden_layers: 1,
        num_attention_heads: 2,
        intermediate_size: 8,
        hidden_act: HiddenAct::GeluNew,
        hidden_dropout_prob: 0.1,
        attention_probs_dropout_prob: 0.0,
        max_position_embeddings: 32,
        type_vocab_size: 2,
        layer_norm_eps: 1e-12,
    }
}

fn block() -> BlockConfig {
    BlockConfig {
        hidden: 4,
        experts: 3,
        expert_width: 2,
        gate: Gate::Top1,
        train_gate: TrainGate::Soft,
        combine: Combine::NormalizeMixture,
        gate_noise: 0.0,
        seed: 42,
        ..BlockConfig::new(1, 1)
    }
}

/// Saves a model whose only weight is `weight`, with a block if asked for.
pub(crate) fn save(dir: &Path, weight: f32, with_block: bool) -> Result<(), FolderError> {
    let tokenizer = Tokenizer::open(&sample("tokenizer/cased"), true, 20).unwrap();
    let values = [weight];
    let block = block();
    write_sentence_transformers(
        dir,
        &WriteFolder {
            bert: &bert(),
            encoder: &[tensor("embeddings.LayerNorm.weight", &[1], &values)],
            tokenizer: &tokenizer,
            pooling: Pooling::Max,
            normalize: !with_block,
            block: with_block.then_some(WriteBlock {
                config: &block,
                tensors: &[tensor("gate.output.bias", &[1], &values)],
            }),
            prompts: &Prompts {
                by_name: BTreeMap::from([("query".to_owned(), "q: ".to_owned())]),
                default_name: None,
            },
            card: &ModelCard {
                title: "a run".to_owned(),
                base_model: Some("owner/name".to_owned()),
                text: "Trained on nothing.".to_owned(),
                results: vec![CardResult {
                    collection: "scifact test".to_owned(),
                    measure: "nDCG@10".to_owned(),
                    value: 0.5,
                }],
            },
            documents_of: None,
        },
    )
}

#[test]
fn a_saved_model_is_read_back() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("model");
    save(&dir, 1.5, true).unwrap();
    let folder = ModelFolder::open(&dir).unwrap();
    assert_eq!(folder.bert, bert());
    assert_eq!((folder.pooling, folder.normalize), (Pooling::Max, false));
    assert_eq!(folder.block_config().unwrap(), Some(block()));
    assert_eq!(
        folder.block_checkpoint().unwrap().unwrap().get("gate.output.bias").unwrap().values[..],
        [1.5]
    );
    assert_eq!(folder.checkpoint().unwrap().get("embeddings.LayerNorm.weight").unwrap().values[..], [1.5]);
    assert_eq!((folder.max_length, folder.lower_case), (Some(20), true));
    assert_eq!((folder.prompts.query(), folder.prompts.document()), ("q: ", ""));
    assert_eq!(folder.similarity, Some(Similarity::Dot));
    let texts = ["The CAFÉ", "日本語 abc", "naïve"];
    let original = Tokenizer::open(&sample("tokenizer/cased"), true, 20).unwrap();
    let saved = folder.tokenizer(None, None).unwrap();
    assert_eq!(saved.encode_batch(&texts).unwrap(), original.encode_batch(&texts).unwrap());
    // Readers that know only `vocab.txt` get the same numbers.
    fs_err::remove_file(dir.join("tokenizer.json")).unwrap();
    let rebuilt = folder.tokenizer(None, None).unwrap();
    assert_eq!(rebuilt.encode_batch(&texts).unwrap(), original.encode_batch(&texts).unwrap());
}

#[test]
fn a_saved_model_without_a_block_may_normalise() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("model");
    save(&dir, 1.0, false).unwrap();
    let folder = ModelFolder::open(&dir).unwrap();
    assert!(folder.normalize && folder.block.is_none() && folder.block_config().unwrap().is_none());
    assert!(!dir.join("sbmoe.py").exists());
}

#[test]
fn the_same_model_gives_the_same_bytes_and_fingerprint() {
    let root = tempfile::tempdir().unwrap();
    let [one, two, other] = ["one", "two", "other"].map(|name| root.path().join(name));
    save(&one, 1.0, true).unwrap();
    save(&two, 1.0, true).unwrap();
    save(&other, 2.0, true).unwrap();
    for name in [
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "vocab.txt",
        "modules.json",
        "README.md",
        "sbmoe.json",
    ] {
        assert_eq!(fs_err::read(one.join(name)).unwrap(), fs_err::read(two.join(name)).unwrap(), "{name}");
    }
    assert_eq!(fingerprint(&one).unwrap(), fingerprint(&two).unwrap());
    assert_ne!(fingerprint(&one).unwrap(), fingerprint(&other).unwrap());
    // The stored fingerprint is the one that would be computed.
    let stored = fingerprint(&one).unwrap();
    fs_err::remove_file(one.join("sbmoe.json")).unwrap();
    assert_eq!(fingerprint(&one).unwrap(), stored);
}

#[test]
fn the_model_card_tells_the_hub_what_it_is() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("model");
    save(&dir, 1.0, true).unwrap();
    let card = fs_err::read_to_string(dir.join("README.md")).unwrap();
    for line in [
        "---",
        "library_name: sentence-transformers",
        "pipeline_tag: sentence-similarity",
        "base_model: \"owner/name\"",
        "      value: 0.5",
        "# a run",
        "| scifact test | nDCG@10 | 0.5000 |",
        "model = SentenceTransformer(\"path/to/this/folder\", trust_remote_code=True)",
    ] {
        assert!(card.lines().any(|found| found == line), "`{line}` is not in:\n{card}");
    }
}

#[test]
fn a_saved_model_is_replaced_as_a_whole() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("model");
    save(&dir, 1.0, true).unwrap();
    save(&dir, 2.0, false).unwrap();
    assert_eq!(Checkpoint::open(&dir).unwrap().get("embeddings.LayerNorm.weight").unwrap().values[..], [2.0]);
    assert!(!dir.join("2_SBMoE").exists(), "nothing of the older model is left");
    let left: Vec<_> =
        fs_err::read_dir(root.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["model"]);
}

#[test]
fn a_failed_save_leaves_the_older_model() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("model");
    save(&dir, 1.0, true).unwrap();
    let error = save(&dir, f32::NAN, true).unwrap_err();
    assert!(matches!(error, FolderError::Checkpoint(CheckpointError::NotFinite { .. })), "{error}");
    assert_eq!(Checkpoint::open(&dir).unwrap().get("embeddings.LayerNorm.weight").unwrap().values[..], [1.0]);
    assert_eq!(fs_err::read_dir(root.path()).unwrap().count(), 1);
}

#[test]
fn a_model_left_aside_by_a_killed_run_is_restored() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("model");
    save(&dir, 1.0, true).unwrap();
    fs_err::rename(&dir, root.path().join(".model.previous")).unwrap();
    put(root.path(), ".model.partial/half", "written");
    save(&dir, f32::NAN, true).unwrap_err();
    assert_eq!(Checkpoint::open(&dir).unwrap().get("embeddings.LayerNorm.weight").unwrap().values[..], [1.0]);
    assert_eq!(fs_err::read_dir(root.path()).unwrap().count(), 1);
}

#[test]
fn other_folders_are_not_replaced() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("thesis");
    put(&dir, "chapter.tex", "years of work");
    let error = save(&dir, 1.0, true).unwrap_err().to_string();
    assert!(
        error.contains("thesis` is not empty and holds no model of sbmoe, so it is not replaced"),
        "{error}"
    );
    assert_eq!(fs_err::read_to_string(dir.join("chapter.tex")).unwrap(), "years of work");
    fs_err::remove_file(dir.join("chapter.tex")).unwrap();
    save(&dir, 1.0, true).unwrap();
    let error = save(Path::new("/"), 1.0, true).unwrap_err().to_string();
    assert!(error.contains("`/` has no name of its own"), "{error}");
}

#[test]
fn a_written_file_does_not_depend_on_the_order_of_its_tensors() {
    let root = tempfile::tempdir().unwrap();
    let notes = BTreeMap::from([("b".to_owned(), "2".to_owned()), ("a".to_owned(), "1".to_owned())]);
    let tensors =
        [tensor("y", &[2, 1], &[1.0, -0.0]), tensor("x", &[], &[3.5]), tensor("a \"quoted\"", &[0, 3], &[])];
    let mut reversed = tensors;
    reversed.reverse();
    let [one, two] = ["one", "two"].map(|name| root.path().join(name));
    write_safetensors(&one, &tensors, &notes).unwrap();
    write_safetensors(&two, &reversed, &notes).unwrap();
    assert_eq!(fs_err::read(&one).unwrap(), fs_err::read(&two).unwrap());
    assert_eq!(metadata(&one).unwrap(), notes);
    assert!(metadata(&sample("checkpoint/zip.bin")).is_err());
    assert!(metadata(&sample("checkpoint/types.safetensors")).unwrap().is_empty());
    let checkpoint = Checkpoint::open_file(&one).unwrap();
    for NamedTensor { name, shape, values } in tensors {
        let read = checkpoint.get(name).unwrap();
        assert_eq!((read.shape.as_slice(), &*read.values), (shape, values));
    }
    assert_eq!(fs_err::read_dir(root.path()).unwrap().count(), 2, "no partial file is left");
}

#[cfg(unix)]
#[test]
fn a_write_that_fails_leaves_no_partial_file() {
    let root = tempfile::tempdir().unwrap();
    let error =
        write_safetensors(&root.path().join("absent/a"), &[tensor("x", &[1], &[1.0])], &BTreeMap::new());
    assert!(matches!(error, Err(CheckpointError::Io(_))));
    // A folder in the file's place lets the last step fail.
    let taken = root.path().join("taken");
    put(&taken, "file", "");
    let error = write_safetensors(&taken, &[tensor("x", &[1], &[1.0])], &BTreeMap::new()).unwrap_err();
    assert!(error.to_string().contains("taken"), "{error}");
    assert!(!root.path().join(".taken.partial").exists());
}

#[test]
fn a_model_that_is_removed_is_whole_as_long_as_it_has_its_name() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("best");
    fs_err::create_dir(&dir).unwrap();
    fs_err::write(dir.join("sbmoe.json"), "{}").unwrap();
    for number in 0..3000 {
        fs_err::write(dir.join(format!("{number}")), "1").unwrap();
    }
    // Of a removal that was killed.
    fs_err::create_dir(root.path().join(".best.partial")).unwrap();
    std::thread::scope(|scope| {
        let removal = scope.spawn(|| remove_saved_model(&dir).unwrap());
        while !removal.is_finished() {
            assert!(is_saved_model(&dir) || !dir.exists(), "a part of it has its name");
        }
    });
    assert_eq!(fs_err::read_dir(root.path()).unwrap().count(), 0);
}
