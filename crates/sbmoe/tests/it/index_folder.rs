//! Index folders as the application writes and reads them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sbmoe::index_folder::{
    Batch, DOCUMENTS_FILE, DocumentRow, Index, IndexBuilder, IndexPlan, IndexState, PARTIAL_FILE,
};
use sbmoe_index::{MANIFEST_FILE, SimdLevel, Similarity, VECTORS_FILE};

fn plan() -> IndexPlan {
    IndexPlan {
        model: "a model".to_owned(),
        fingerprint: "f00d".to_owned(),
        gate: "top1".to_owned(),
        similarity: Similarity::Dot,
        normalize: false,
        dim: 2,
        pooled_dim: Some(3),
        experts: true,
        details: BTreeMap::from([("max_length".to_owned(), 256.into())]),
    }
}

fn rows() -> Vec<DocumentRow> {
    vec![
        DocumentRow::new("d1", "A title", "Some text."),
        DocumentRow::new("line\nbreak \"ä\"", "", "More\n text."),
        DocumentRow::new("d3", "Third", ""),
        DocumentRow::new("d4", "Fourth", "The last."),
    ]
}

const VECTORS: [f32; 8] = [1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 2.0, 0.0];
const POOLED: [f32; 12] = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0];
const KEYS: [u64; 4] = [u64::MAX, 1, 2, 3];
const EXPERTS: [u16; 4] = [5, 0, 2, 1];

fn push(builder: &mut IndexBuilder, from: usize, to: usize) {
    builder
        .push(Batch {
            documents: &rows()[from..to],
            vectors: &VECTORS[2 * from..2 * to],
            pooled: &POOLED[3 * from..3 * to],
            keys: &KEYS[from..to],
            experts: &EXPERTS[from..to],
        })
        .unwrap();
}

fn build(folder: &Path) {
    let mut builder = IndexBuilder::open(folder, plan()).unwrap();
    push(&mut builder, 0, 3);
    push(&mut builder, 3, 4);
    builder.finish().unwrap();
}

fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    fs_err::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let bytes = fs_err::read(&path).unwrap();
            (path.file_name().unwrap().into(), bytes)
        })
        .collect()
}

fn refusal<T: std::fmt::Debug>(result: anyhow::Result<T>) -> String {
    format!("{:#}", result.expect_err("it must be refused"))
}

#[test]
fn an_index_gives_back_documents_experts_and_vectors() {
    let folder = tempfile::tempdir().unwrap();
    build(folder.path());
    let index = Index::open(folder.path()).unwrap();
    let documents = index.documents();
    assert_eq!((documents.len(), documents.is_empty()), (4, false));
    for (document, row) in (0..).zip(rows()) {
        assert_eq!(documents.id(document).unwrap(), row.id);
        assert_eq!(documents.row(document).unwrap(), row);
    }
    assert_eq!(
        (0..5).map(|document| index.expert(document)).collect::<Vec<_>>(),
        [Some(5), Some(0), Some(2), Some(1), None]
    );
    assert_eq!(index.folder().vectors().as_slice(), VECTORS);
    assert_eq!(index.folder().pooled().map(sbmoe_index::Vectors::as_slice), Some(&POOLED[..]));
    assert_eq!(index.keys(), Some(&KEYS[..]));
    index.verify(&mut |_| ()).unwrap();
    assert!(refusal(documents.row(4)).contains("no readable row 4"));
    assert_eq!(
        files(folder.path()).len(),
        7,
        "manifest, vectors, pooled, keys, experts, documents and their ends"
    );
}

#[test]
fn hits_with_equal_scores_stand_by_id_descending() {
    let folder = tempfile::tempdir().unwrap();
    build(folder.path());
    let index = Index::open(folder.path()).unwrap();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    let hits = index.search(&[1.0, 0.0], 3, SimdLevel::best(), &pool).unwrap();
    let ids: Vec<String> = hits[0].iter().map(|hit| index.documents().id(hit.document).unwrap()).collect();
    assert_eq!(ids, ["d4", "d3", "d1"]);
}

#[test]
fn a_killed_index_ends_with_the_bytes_of_one_that_was_not() {
    let whole = tempfile::tempdir().unwrap();
    build(whole.path());

    let killed = tempfile::tempdir().unwrap();
    let mut builder = IndexBuilder::open(killed.path(), plan()).unwrap();
    push(&mut builder, 0, 1);
    builder.checkpoint().unwrap();
    // What follows the checkpoint may or may not reach the disk.
    push(&mut builder, 1, 3);
    drop(builder);
    assert_eq!(
        IndexState::of(killed.path()).unwrap(),
        IndexState::Partial { plan: Box::new(plan()), documents: 1 }
    );
    assert!(refusal(Index::open(killed.path())).contains("is not whole, it has 1 documents so far"));

    let mut builder = IndexBuilder::open(killed.path(), plan()).unwrap();
    assert_eq!(builder.documents(), 1);
    push(&mut builder, 1, 4);
    builder.finish().unwrap();
    assert_eq!(files(killed.path()), files(whole.path()));
}

#[test]
fn a_kill_between_the_last_files_loses_nothing() {
    let whole = tempfile::tempdir().unwrap();
    build(whole.path());

    let killed = tempfile::tempdir().unwrap();
    let mut builder = IndexBuilder::open(killed.path(), plan()).unwrap();
    push(&mut builder, 0, 4);
    builder.checkpoint().unwrap();
    let progress = fs_err::read(killed.path().join(PARTIAL_FILE)).unwrap();
    builder.finish().unwrap();
    // As if the kill had come before the manifest: the other files already have their names.
    fs_err::remove_file(killed.path().join(MANIFEST_FILE)).unwrap();
    fs_err::write(killed.path().join(PARTIAL_FILE), progress).unwrap();

    let builder = IndexBuilder::open(killed.path(), plan()).unwrap();
    assert_eq!(builder.documents(), 4);
    builder.finish().unwrap();
    assert_eq!(files(killed.path()), files(whole.path()));
}

#[test]
fn other_settings_do_not_go_on_with_a_part() {
    let folder = tempfile::tempdir().unwrap();
    drop(IndexBuilder::open(folder.path(), plan()).unwrap());
    let other = IndexPlan { gate: "all".to_owned(), ..plan() };
    let message = refusal(IndexBuilder::open(folder.path(), other));
    assert!(message.contains("begun with other settings (model `a model`, gate `top1`)"), "{message}");
}

#[test]
fn a_whole_index_is_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    build(folder.path());
    let message = refusal(IndexBuilder::open(folder.path(), plan()));
    assert!(message.contains("already holds an index of 4 documents"), "{message}");
    let IndexState::Complete(manifest) = IndexState::of(folder.path()).unwrap() else {
        panic!("the index is whole");
    };
    assert!(plan().made(&manifest));
    assert!(IndexPlan { pooled_dim: None, ..plan() }.made(&manifest), "more was kept than is asked for");
    assert!(!IndexPlan { gate: "all".to_owned(), ..plan() }.made(&manifest));
}

#[test]
fn queries_of_another_model_or_gate_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    build(folder.path());
    let index = Index::open(folder.path()).unwrap();
    index.check_queries("a model", "f00d", "top1").unwrap();
    assert!(refusal(index.check_queries("another", "beef", "top1")).contains("another model (`a model`"));
    assert!(refusal(index.check_queries("a model", "f00d", "all")).contains("`--gate top1`"));
}

#[test]
fn a_vector_that_is_not_finite_names_its_document() {
    let folder = tempfile::tempdir().unwrap();
    let mut builder = IndexBuilder::open(folder.path(), plan()).unwrap();
    push(&mut builder, 0, 2);
    let vectors = [1.0, 2.0, 3.0, f32::NAN];
    let batch = Batch {
        documents: &rows()[2..4],
        vectors: &vectors,
        pooled: &POOLED[6..],
        keys: &KEYS[2..],
        experts: &EXPERTS[2..],
    };
    let message = refusal(builder.push(batch));
    assert!(
        message.starts_with("document `d4`: the vector of document 3 has NaN at position 1"),
        "{message}"
    );
}

#[test]
fn batches_must_be_whole() {
    let folder = tempfile::tempdir().unwrap();
    let mut builder = IndexBuilder::open(folder.path(), plan()).unwrap();
    let batch = Batch {
        documents: &rows()[..2],
        vectors: &VECTORS[..4],
        pooled: &[],
        keys: &KEYS[..2],
        experts: &EXPERTS[..2],
    };
    assert!(refusal(builder.push(batch)).contains("0 of pooled vectors"));
    assert_eq!(builder.documents(), 0);
}

#[test]
fn a_folder_without_an_index_says_how_to_make_one() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(IndexState::of(&folder.path().join("none")).unwrap(), IndexState::Absent);
    assert!(refusal(Index::open(folder.path())).contains("make one with `sbmoe encode`"));
}

#[test]
fn damage_is_found() {
    let folder = tempfile::tempdir().unwrap();
    build(folder.path());
    let path = folder.path().join(DOCUMENTS_FILE);
    let text = fs_err::read_to_string(&path).unwrap();
    fs_err::write(&path, text.replace("A title", "B title")).unwrap();
    let index = Index::open(folder.path()).unwrap();
    assert!(refusal(index.verify(&mut |_| ())).contains("damaged or changed"));

    let path = folder.path().join(VECTORS_FILE);
    let bytes = fs_err::read(&path).unwrap();
    fs_err::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    let message = refusal(Index::open(folder.path()));
    assert!(message.contains("has 159 bytes where 160 are expected"), "{message}");
}

#[test]
fn an_index_of_format_version_1_still_opens() {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples/index-version-1");
    let index = Index::open(&sample).unwrap();
    index.verify(&mut |_| ()).unwrap();
    assert_eq!(index.documents().row(0).unwrap(), DocumentRow::new("d1", "A title", "Some text."));
    assert_eq!(index.documents().id(1).unwrap(), "line\nbreak");
    assert_eq!(index.folder().vectors().as_slice(), [1.0, 2.0, -3.5, 4.0]);
    assert_eq!((index.expert(0), index.keys()), (Some(3), Some(&[7, u64::MAX][..])));
}
