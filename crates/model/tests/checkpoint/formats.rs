//! Every format gives the numbers that PyTorch put in.

use std::collections::BTreeMap;

use sbmoe_model::checkpoint::{Checkpoint, CheckpointError, Tensor, weight_files};

use crate::samples::{expected, sample};

const POSITIONS: &str = "bert.embeddings.position_ids";

/// All tensors of numbers, read.
fn read(checkpoint: &Checkpoint) -> BTreeMap<String, Tensor> {
    checkpoint
        .names()
        .filter(|name| *name != POSITIONS)
        .map(|name| (name.to_owned(), checkpoint.get(name).unwrap()))
        .collect()
}

fn check_file(file: &str, group: &str) {
    let checkpoint = Checkpoint::open_file(&sample(&format!("checkpoint/{file}"))).unwrap();
    assert_eq!(read(&checkpoint), expected(group), "{file}");
}

#[test]
fn both_serialisations_of_pytorch_are_read() {
    // Transposed, sliced, permuted, expanded, shared, scalar and empty tensors are among them.
    check_file("legacy.bin", "state");
    check_file("zip.bin", "state");
}

#[test]
fn every_floating_point_type_becomes_f32() {
    check_file("half.bin", "state");
    check_file("bfloat16.bin", "state");
    check_file("double.bin", "state");
    check_file("types.safetensors", "types");
    check_file("mixed.safetensors", "dense");
}

#[test]
fn nested_state_dictionaries_and_parameters_are_read() {
    check_file("nested.pt", "state");
    check_file("parameters.pt", "state");
}

#[test]
fn a_view_of_a_storage_begins_where_it_says() {
    check_file("viewed_storage.bin", "viewed_storage");
}

#[test]
fn shards_are_joined() {
    for (folder, shard) in [
        ("sharded_safetensors", "model-00001-of-00002.safetensors"),
        ("sharded_bin", "pytorch_model-00001-of-00002.bin"),
    ] {
        let dir = sample(&format!("checkpoint/{folder}"));
        let checkpoint = Checkpoint::open(&dir).unwrap();
        assert_eq!(read(&checkpoint), expected("dense"), "{folder}");
        assert_eq!(checkpoint.files().len(), 2);
        assert_eq!(checkpoint.files().next(), Some(dir.join(shard).as_path()));
        let files = weight_files(&dir).unwrap();
        assert_eq!(files.len(), 3, "the index and two shards");
        assert_eq!(files[1], dir.join(shard));
    }
}

#[test]
fn integers_are_listed_but_not_read() {
    for file in ["legacy.bin", "zip.bin", "mixed.safetensors"] {
        let checkpoint = Checkpoint::open_file(&sample(&format!("checkpoint/{file}"))).unwrap();
        assert_eq!(checkpoint.shape(POSITIONS), Some([1, 6].as_slice()));
        let error = checkpoint.get(POSITIONS).unwrap_err();
        assert!(matches!(&error, CheckpointError::NotFloat { dtype, .. } if dtype == "I64"), "{error}");
    }
}

#[test]
fn an_unknown_name_is_refused() {
    let checkpoint = Checkpoint::open_file(&sample("checkpoint/zip.bin")).unwrap();
    let error = checkpoint.get("bert.pooler").unwrap_err().to_string();
    assert!(error.ends_with("zip.bin` holds no tensor `bert.pooler`"), "{error}");
}

#[test]
fn safetensors_are_preferred_to_bin_and_whole_files_to_shards() {
    let dir = tempfile::tempdir().unwrap();
    let opened = || {
        let checkpoint = Checkpoint::open(dir.path()).unwrap();
        let file = checkpoint.files().next().unwrap().file_name().unwrap().to_owned();
        file.into_string().unwrap()
    };
    for (source, target) in [
        ("sharded_bin/pytorch_model-00001-of-00002.bin", "pytorch_model-00001-of-00002.bin"),
        ("sharded_bin/pytorch_model-00002-of-00002.bin", "pytorch_model-00002-of-00002.bin"),
        ("sharded_bin/pytorch_model.bin.index.json", "pytorch_model.bin.index.json"),
    ] {
        fs_err::copy(sample(&format!("checkpoint/{source}")), dir.path().join(target)).unwrap();
    }
    assert_eq!(opened(), "pytorch_model-00001-of-00002.bin");
    fs_err::copy(sample("checkpoint/legacy.bin"), dir.path().join("pytorch_model.bin")).unwrap();
    assert_eq!(opened(), "pytorch_model.bin");
    fs_err::copy(sample("checkpoint/mixed.safetensors"), dir.path().join("model.safetensors")).unwrap();
    assert_eq!(opened(), "model.safetensors");
}

#[test]
fn a_folder_without_weights_says_what_was_looked_for() {
    let dir = tempfile::tempdir().unwrap();
    let error = Checkpoint::open(dir.path()).unwrap_err().to_string();
    for name in ["model.safetensors", "model.safetensors.index.json", "pytorch_model.bin"] {
        assert!(error.contains(&format!("`{name}`")), "{error}");
    }
}
