//! Index folders: opened, verified, and refused.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sbmoe_index::{
    FORMAT_VERSION, FileRecord, IndexError, IndexFolder, MANIFEST_FILE, Manifest, POOLED_FILE, Similarity,
    VECTORS_FILE, VectorWriter,
};

fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples/version-1")
}

fn write_vectors(path: &Path, dim: usize, numbers: &[f32]) -> FileRecord {
    let mut writer = VectorWriter::create(path, dim).unwrap();
    writer.push(numbers).unwrap();
    writer.finish().unwrap()
}

/// An index of three documents of two dimensions, with pooled vectors of three.
fn write_index(folder: &Path) -> Manifest {
    let vectors = write_vectors(&folder.join(VECTORS_FILE), 2, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let pooled = write_vectors(&folder.join(POOLED_FILE), 3, &[0.5; 9]);
    let manifest = Manifest {
        format: FORMAT_VERSION,
        model: "a model".to_owned(),
        fingerprint: "0123".to_owned(),
        gate: "top1".to_owned(),
        similarity: Similarity::Cos,
        normalize: true,
        dim: 2,
        documents: 3,
        details: BTreeMap::from([("max_length".to_owned(), 256.into())]),
        files: BTreeMap::from([(VECTORS_FILE.to_owned(), vectors), (POOLED_FILE.to_owned(), pooled)]),
    };
    manifest.write(folder).unwrap();
    manifest
}

fn refusal(folder: &Path) -> String {
    IndexFolder::open(folder).expect_err("the folder must be refused").to_string()
}

#[test]
fn an_index_reads_back() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = write_index(folder.path());
    let index = IndexFolder::open(folder.path()).unwrap();
    assert_eq!(index.manifest(), &manifest);
    assert_eq!(index.vectors().row(1), Some(&[3.0, 4.0][..]));
    assert_eq!(index.pooled().map(|pooled| (pooled.dim(), pooled.len())), Some((3, 3)));
    let mut bytes = 0;
    index.verify(&mut |piece| bytes += piece).unwrap();
    assert_eq!(bytes, 152 + 164);
    assert!(matches!(index.verify_file("other", &mut |_| ()), Err(IndexError::Unlisted { .. })));
}

#[test]
fn an_index_of_format_version_1_still_opens() {
    let index = IndexFolder::open(&sample()).unwrap();
    index.verify(&mut |_| ()).unwrap();
    let manifest = index.manifest();
    assert_eq!((manifest.dim, manifest.documents, manifest.similarity), (4, 3, Similarity::Dot));
    assert_eq!((manifest.gate.as_str(), manifest.normalize), ("top1", false));
    assert_eq!(index.vectors().row(2), Some(&[8.0, -9.5, 10.25, 11.0][..]));
    assert!(index.pooled().is_none());
}

#[test]
fn a_changed_byte_is_found_by_verifying() {
    let folder = tempfile::tempdir().unwrap();
    write_index(folder.path());
    let path = folder.path().join(VECTORS_FILE);
    let mut bytes = fs_err::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs_err::write(&path, bytes).unwrap();
    let index = IndexFolder::open(folder.path()).unwrap();
    let error = index.verify(&mut |_| ()).unwrap_err().to_string();
    assert!(error.contains(VECTORS_FILE) && error.contains("damaged or changed"), "{error}");
    index.verify_file(POOLED_FILE, &mut |_| ()).unwrap();
}

#[test]
fn a_truncated_file_is_found_by_opening() {
    let folder = tempfile::tempdir().unwrap();
    write_index(folder.path());
    let path = folder.path().join(POOLED_FILE);
    let bytes = fs_err::read(&path).unwrap();
    fs_err::write(&path, &bytes[..100]).unwrap();
    assert!(refusal(folder.path()).contains("has 100 bytes where 164 are expected"));
    fs_err::remove_file(&path).unwrap();
    assert!(refusal(folder.path()).contains(POOLED_FILE));
}

#[test]
fn a_manifest_of_another_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (text, found) in [("{\"format\": 2, \"shards\": []}", "version 2"), ("{}", "version none")] {
        fs_err::write(folder.path().join(MANIFEST_FILE), text).unwrap();
        let message = refusal(folder.path());
        assert!(message.contains(found) && message.contains("reads version 1"), "{message}");
    }
}

#[test]
fn a_manifest_that_cannot_be_read_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    assert!(refusal(folder.path()).contains(MANIFEST_FILE));
    fs_err::write(folder.path().join(MANIFEST_FILE), "{\"format\": 1, \"model\": \"m\"}").unwrap();
    let message = refusal(folder.path());
    assert!(message.contains("missing field `fingerprint`"), "{message}");
}

#[test]
fn a_manifest_that_disagrees_with_its_files_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = write_index(folder.path());
    Manifest { documents: 4, ..manifest.clone() }.write(folder.path()).unwrap();
    assert!(refusal(folder.path()).contains("has 3 vectors and the manifest says 4"));
    Manifest { dim: 3, ..manifest }.write(folder.path()).unwrap();
    assert!(refusal(folder.path()).contains("has 2 numbers a vector and the manifest says 3"));
}

#[test]
fn similarities_print_as_they_parse() {
    for similarity in [Similarity::Dot, Similarity::Cos] {
        assert_eq!(similarity.to_string().parse(), Ok(similarity));
    }
    assert_eq!("l2".parse::<Similarity>(), Err("`l2` is no similarity: use `dot` or `cos`".to_owned()));
}
