//! Damaged and hostile files: a clear refusal, never a panic, never an execution.

use std::path::Path;

use proptest::prelude::*;
use sbmoe_model::checkpoint::{Checkpoint, CheckpointError};

use crate::samples::{put, safetensors, sample};

fn open(path: &Path) -> CheckpointError {
    Checkpoint::open_file(path).unwrap_err()
}

fn check_refused(file: &str, message: &str) {
    let error = open(&sample(&format!("checkpoint/{file}"))).to_string();
    assert!(error.contains(file) && error.contains(message), "`{error}` does not contain `{message}`");
}

#[test]
fn files_that_would_execute_something_are_refused() {
    check_refused(
        "forbidden_global.bin",
        "(`forbidden_global/data.pkl`): the pickle asks to import `posix.system` at byte",
    );
    check_refused("forbidden_opcode.bin", "the instruction `INST` (0x69) at byte");
    check_refused("whole_module.bin", "asks to import `torch.nn.modules.linear.Linear` at byte");
    assert!(!Path::new("/tmp/this_pickle_was_executed").exists());
}

#[test]
fn big_endian_files_are_refused() {
    check_refused("big_endian.bin", "big-endian");
    check_refused("big_endian_legacy.bin", "big-endian");
}

#[test]
fn truncated_files_are_told_with_both_sizes() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["mixed.safetensors", "legacy.bin"] {
        let whole = fs_err::read(sample(&format!("checkpoint/{name}"))).unwrap();
        for length in [whole.len() - 1, whole.len() - 100, 20, 1] {
            let path = put(dir.path(), name, &whole[..length]);
            let error = open(&path);
            let CheckpointError::Truncated { path: named, expected, found } = &error else {
                // What is left of the magic number is no longer recognised.
                assert!(name == "legacy.bin" && length == 1, "{name} of {length} bytes: {error}");
                continue;
            };
            assert_eq!((named, *found), (&path, length as u64));
            assert!(*expected > *found && *expected <= whole.len() as u64, "{error}");
            if length > 1000 {
                assert_eq!(*expected, whole.len() as u64, "{error}");
            }
        }
    }
    let path = put(dir.path(), "model.safetensors", []);
    assert!(open(&path).to_string().ends_with("is truncated: expected 8 bytes, found 0; fetch it again"));
}

#[test]
fn a_truncated_archive_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let whole = fs_err::read(sample("checkpoint/zip.bin")).unwrap();
    let error = open(&put(dir.path(), "zip.bin", &whole[..whole.len() - 200])).to_string();
    assert!(error.contains("fetch it again"), "{error}");
}

#[test]
fn bytes_behind_the_last_tensor_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let header = r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
    let error = open(&put(dir.path(), "long.safetensors", safetensors(header, &[0; 5]))).to_string();
    assert!(error.ends_with(&format!(
        "describes {} bytes, but it has {}",
        12 + header.len(),
        13 + header.len()
    )));
}

#[test]
fn a_header_that_contradicts_itself_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for header in [
        r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#,
        r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#,
        r#"{"a":{"dtype":"F99","shape":[1],"data_offsets":[0,4]}}"#,
        r#"{"a":{"dtype":"F32","shape":[4611686018427387905],"data_offsets":[0,4]}}"#,
        r#"{"a":"#,
    ] {
        let error = open(&put(dir.path(), "odd.safetensors", safetensors(header, &[0; 4])));
        assert!(matches!(error, CheckpointError::Malformed { .. }), "{header}: {error}");
    }
}

#[test]
fn other_files_are_refused_with_what_they_look_like() {
    let dir = tempfile::tempdir().unwrap();
    let error = open(&put(dir.path(), "model.h5", b"\x89HDF\r\n\x1a\n....")).to_string();
    assert!(error.contains("it begins with the bytes 894844460d0a1a0a"), "{error}");
    let pointer = put(dir.path(), "pytorch_model.bin", "version https://git-lfs.github.com/spec/v1\n");
    let error = open(&pointer).to_string();
    assert!(error.contains("it is a Git LFS pointer"), "{error}");
    assert!(open(dir.path()).to_string().contains("it is a folder"));
    assert!(matches!(open(&dir.path().join("absent.bin")), CheckpointError::Io(_)));
}

#[test]
fn numbers_that_are_not_finite_are_named_with_their_place() {
    let dir = tempfile::tempdir().unwrap();
    let header = r#"{"layer.weight":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}}"#;
    for (value, name) in [(f32::NAN, "a NaN"), (f32::NEG_INFINITY, "an infinity")] {
        let data: Vec<u8> =
            [1.0, 2.0, value, f32::NAN].iter().flat_map(|value| value.to_le_bytes()).collect();
        let path = put(dir.path(), "nan.safetensors", safetensors(header, &data));
        let error = Checkpoint::open_file(&path).unwrap().get("layer.weight").unwrap_err().to_string();
        assert!(error.starts_with("tensor `layer.weight` of `"), "{error}");
        assert!(error.contains(&format!("nan.safetensors` holds {name} at index 2;")), "{error}");
    }
}

#[test]
fn an_index_must_agree_with_its_shards() {
    let dir = tempfile::tempdir().unwrap();
    let shard = fs_err::read(sample("checkpoint/types.safetensors")).unwrap();
    put(dir.path(), "a.safetensors", shard);
    let check = |map: &str, message: &str| {
        put(dir.path(), "model.safetensors.index.json", format!("{{\"weight_map\":{map}}}"));
        let error = Checkpoint::open(dir.path()).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    };
    check(r#"{"half":"b.safetensors"}"#, "names the shard `b.safetensors`, which is not beside it");
    check(r#"{"other":"a.safetensors"}"#, "says that `other` is in `a.safetensors`, which does not hold it");
    check(r#"{"half":"../a.safetensors"}"#, "`../a.safetensors` is not the name of a file beside it");
    check("[]", "model.safetensors.index.json` is damaged");
}

/// A file of PyTorch's older serialisation with one storage of one element under `key`, the given state dictionary, and
/// `listed` mentions of the key in the list of storages.
fn legacy(dictionary: &[u8], key: &str, listed: usize) -> Vec<u8> {
    let magic = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}.";
    let keys = [b"\x80\x02(".to_vec(), text(key).repeat(listed), b"l.".to_vec()].concat();
    let storages = [1_u64.to_le_bytes().as_slice(), &1_f32.to_le_bytes()].concat().repeat(listed);
    [magic.as_slice(), dictionary, &keys, &storages].concat()
}

fn text(text: &str) -> Vec<u8> {
    [b"X".as_slice(), &(text.len() as u32).to_le_bytes(), text.as_bytes()].concat()
}

/// A tensor of `count` mentions of one element, remembered under 1.
fn tensor(key: &str, count: i32) -> Vec<u8> {
    let storage = [
        b"(".to_vec(),
        text("storage"),
        b"ctorch\nFloatStorage\n".to_vec(),
        text(key),
        text("cpu"),
        b"K\x01NtQ".to_vec(),
    ];
    let shape = [
        b"K\x00J".as_slice(),
        &count.to_le_bytes(),
        b"\x85K\x00\x85\x89ccollections\nOrderedDict\n)RtRq\x01",
    ];
    [b"ctorch._utils\n_rebuild_tensor_v2\n(".to_vec(), storage.concat(), shape.concat()].concat()
}

/// A state dictionary of names, each with the same tensor.
fn dictionary(tensor: &[u8], names: &[String]) -> Vec<u8> {
    let items: Vec<u8> = names.iter().flat_map(|name| [text(name), b"h\x01".to_vec()].concat()).collect();
    [b"\x80\x02", tensor, b"0}(", &items, b"u."].concat()
}

#[test]
fn small_files_that_would_take_much_memory_or_time_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let open = |bytes: Vec<u8>| Checkpoint::open_file(&put(dir.path(), "crafted.bin", bytes));
    let refuse = |bytes: Vec<u8>, message: &str| {
        let error = open(bytes).unwrap_err().to_string();
        assert!(error.contains("crafted.bin` is damaged") && error.contains(message), "{error}");
    };
    let names = |count: usize| (0..count).map(|number| format!("n{number}")).collect::<Vec<_>>();
    // Many views of one element.
    assert!(open(legacy(&dictionary(&tensor("0", 1 << 20), &names(3)), "0", 1)).is_ok());
    refuse(legacy(&dictionary(&tensor("0", 1 << 20), &names(40)), "0", 1), "far more than its");
    // A long name that is mentioned again and again.
    let long = ["k".repeat(100_000)];
    refuse(legacy(&dictionary(&tensor("0", 1), &long), "0", 1), "the name of a tensor has 100000 bytes");
    // One storage that is listed again and again.
    refuse(legacy(&dictionary(&tensor("0", 1), &names(1)), "0", 2), "lists the storage `0` twice");
}

/// Opens a changed file and reads whatever it says it holds.
fn read_all(name: &str, bytes: &[u8]) {
    let dir = tempfile::tempdir().unwrap();
    let path = put(dir.path(), name, bytes);
    if let Ok(checkpoint) = Checkpoint::open_file(&path) {
        for name in checkpoint.names() {
            let _ = checkpoint.get(name);
        }
    }
}

proptest! {
    #[test]
    fn changed_bytes_never_panic(
        name in proptest::sample::select(vec!["legacy.bin", "zip.bin", "mixed.safetensors", "viewed_storage.bin"]),
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..4),
        cut in proptest::option::weighted(0.2, any::<proptest::sample::Index>()),
    ) {
        let mut bytes = fs_err::read(sample(&format!("checkpoint/{name}"))).unwrap();
        for (place, value) in changes {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        read_all(name, &bytes);
    }
}
