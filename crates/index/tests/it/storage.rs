//! Rounded copies in index folders: added, removed, left whole by a kill, and refused.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use sbmoe_index::{
    Array, FORMAT_VERSION, IndexError, IndexFolder, MANIFEST_FILE, Manifest, RoundedVectors, Rounding, Shape,
    Similarity, Storage, VECTORS_FILE, VectorWriter, Vectors, partial_path,
};

/// An index of four documents of three dimensions.
fn write_index(folder: &Path) -> Manifest {
    let mut writer = VectorWriter::create(&folder.join(VECTORS_FILE), 3).unwrap();
    writer.push(&[1.0, 2.0, -127.0, 0.0, 0.0, 0.0, 0.1, 0.2, 0.3, 1e30, 0.0, 1.0]).unwrap();
    let manifest = Manifest {
        format: FORMAT_VERSION,
        model: "a model".to_owned(),
        fingerprint: "0123".to_owned(),
        gate: "none".to_owned(),
        similarity: Similarity::Dot,
        normalize: false,
        dim: 3,
        documents: 4,
        details: BTreeMap::new(),
        files: BTreeMap::from([(VECTORS_FILE.to_owned(), writer.finish().unwrap())]),
    };
    manifest.write(folder).unwrap();
    manifest
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs_err::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn refusal(folder: &Path) -> String {
    IndexFolder::open(folder).expect_err("the folder must be refused").to_string()
}

#[test]
fn a_copy_is_added_replaced_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let plain = write_index(folder);
    for storage in [Storage::Int8, Storage::Bf16, Storage::Int8] {
        let mut bytes = 0;
        let manifest = storage.apply(folder, &mut |row| bytes += row).unwrap();
        assert_eq!((bytes, Storage::of(&manifest)), (4 * 3 * 4, storage));
        let index = IndexFolder::open(folder).unwrap();
        assert_eq!(index.manifest(), &manifest);
        assert_eq!(index.rounded().map(RoundedVectors::rounding), storage.rounding());
        index.verify(&mut |_| ()).unwrap();
        let rounding = storage.rounding().unwrap();
        let mut expected = [MANIFEST_FILE, VECTORS_FILE, rounding.numbers_file(), rounding.rows_file()];
        expected.sort_unstable();
        assert_eq!(names(folder), expected);
    }
    let numbers = Array::<i8>::open_as(&folder.join("vectors.int8.npy"), Shape::Matrix(3)).unwrap();
    assert_eq!(numbers.as_slice(), [1, 2, -127, 0, 0, 0, 42, 85, 127, 0, 0, 0]);
    let rows = Array::<f32>::open_as(&folder.join("vectors.int8.rows.npy"), Shape::Matrix(3)).unwrap();
    assert_eq!(&rows.as_slice()[..2], [1.0, 0.0]);
    assert_eq!(rows.row(3), Some(&[0.0, f32::INFINITY, 0.0][..]), "1e30 is beyond what is bounded");

    assert_eq!(Storage::F32.apply(folder, &mut |_| ()).unwrap(), plain);
    assert_eq!(names(folder), [MANIFEST_FILE, VECTORS_FILE]);
    assert!(IndexFolder::open(folder).unwrap().rounded().is_none());
}

#[test]
fn a_kill_at_any_moment_leaves_a_whole_index() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let plain = write_index(folder);
    let whole = || IndexFolder::open(folder).unwrap().verify(&mut |_| ()).unwrap();
    let rounded = Storage::Int8.apply(folder, &mut |_| ()).unwrap();
    // As if the kill had come before the manifest listed the copy, one file of which was not whole yet.
    plain.write(folder).unwrap();
    let rows = folder.join("vectors.int8.rows.npy");
    fs_err::rename(&rows, partial_path(&rows)).unwrap();
    whole();
    assert_eq!(Storage::Int8.apply(folder, &mut |_| ()).unwrap(), rounded);
    whole();
    // As if it had come when the manifest no longer listed it and it was not removed yet.
    plain.write(folder).unwrap();
    whole();
    Storage::Bf16.apply(folder, &mut |_| ()).unwrap();
    whole();
    assert!(!rows.exists(), "what another attempt left goes");
}

#[test]
fn copies_that_do_not_fit_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_index(folder);
    Storage::Int8.apply(folder, &mut |_| ()).unwrap();
    for name in ["vectors.int8.npy", "vectors.int8.rows.npy"] {
        let whole = fs_err::read(folder.join(name)).unwrap();
        fs_err::write(folder.join(name), &whole[..whole.len() - 1]).unwrap();
        let message = refusal(folder);
        assert!(message.contains(name) && message.contains("cut short"), "{message}");
        fs_err::write(folder.join(name), whole).unwrap();
    }
    // Files that are whole and belong to another index.
    let open = |dim, documents| RoundedVectors::open(folder, Rounding::Int8, dim, documents).unwrap_err();
    assert!(matches!(open(2, 4), IndexError::Shape { .. }));
    assert!(matches!(open(3, 5), IndexError::Disagreement { expected: 5, found: 4, .. }));
    fs_err::copy(folder.join(VECTORS_FILE), folder.join("vectors.bf16.npy")).unwrap();
    let error = RoundedVectors::open(folder, Rounding::Bf16, 3, 4).unwrap_err();
    assert!(matches!(error, IndexError::ElementType { expected: "<u2", .. }), "{error}");
}

#[test]
fn vectors_that_are_not_finite_are_not_rounded() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let plain = write_index(folder);
    let path = folder.join(VECTORS_FILE);
    let mut bytes = fs_err::read(&path).unwrap();
    let last = bytes.len() - 4;
    bytes[last..].copy_from_slice(&f32::NAN.to_le_bytes());
    fs_err::write(&path, bytes).unwrap();
    assert!(Vectors::open(&path).is_ok(), "opening does not read the numbers");
    let error = Storage::Bf16.apply(folder, &mut |_| ()).unwrap_err().to_string();
    assert!(error.starts_with("the vector of document 3 has NaN at position 2"), "{error}");
    assert_eq!(Manifest::read(folder).unwrap(), plain);
    for entry in fs_err::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name();
        assert!(!name.to_string_lossy().ends_with(".partial"), "{} was left", name.display());
    }
}

#[test]
fn storages_print_as_they_parse() {
    for storage in Storage::ALL {
        assert_eq!(storage.to_string().parse(), Ok(storage));
    }
    assert_eq!(
        "int4".parse::<Storage>(),
        Err("`int4` is no storage: choose `f32`, `bf16` or `int8`".to_owned())
    );
}

#[test]
fn an_index_opens_while_it_is_rounded() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_index(folder);
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for storage in [Storage::Int8, Storage::Bf16].into_iter().cycle().take(100) {
                storage.apply(folder, &mut |_| ()).unwrap();
            }
            is_over.store(true, Ordering::Relaxed);
        });
        while !is_over.load(Ordering::Relaxed) {
            IndexFolder::open(folder).expect("a search opens what is there");
        }
    });
}
