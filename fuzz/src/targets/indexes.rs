//! Index folders: one file of a small index is mutated, then the index is opened, searched and verified.

use std::cell::LazyCell;
use std::path::Path;

use rayon::{ThreadPool, ThreadPoolBuilder};
use sbmoe::index_folder::Index;
use sbmoe_index::{
    Array, Element, Rounded, RoundedVectors, Rounding, Search, SimdLevel, Store as _, Vectors,
};

use super::{files, one_of, target, texts, told, words};
use crate::target::{Files, Target};

macro_rules! sample {
    ($($name:literal),+) => {
        &[$(($name, include_bytes!(concat!("../../../crates/sbmoe/tests/samples/index-version-1/", $name)))),+]
    };
}

/// An index of two documents in two dimensions.
const INDEX: &[(&str, &[u8])] = sample!(
    "index.json",
    "vectors.npy",
    "documents.jsonl",
    "documents.ends.npy",
    "experts.npy",
    "pooled.npy",
    "pooled.keys.npy"
);

const HEADER: &str = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }";
const WORDS: &str = "'descr' 'fortran_order' 'shape' True False ( () (2,) '<u8' '|i1' '>f4' (0,2) (2,0) \
    \"vectors.int8.npy\" \"files\" \"details\" \"cos\" \"format\" null";

pub(super) fn targets() -> Vec<Target> {
    let index = [
        ("index-manifest", "index.json"),
        ("index-vectors", "vectors.npy"),
        ("index-documents", "documents.jsonl"),
        ("index-ends", "documents.ends.npy"),
        ("index-experts", "experts.npy"),
        ("index-pooled", "pooled.npy"),
        ("index-keys", "pooled.keys.npy"),
    ];
    let copy: Files = vec![
        (
            "vectors.int8.npy",
            npy("{'descr': '|i1', 'fortran_order': False, 'shape': (2, 2), }", &[127, 3, 5, 0x81]),
        ),
        (
            "vectors.int8.rows.npy",
            npy(&HEADER.replace("2)", "3)"), &[0.01_f32; 6].map(f32::to_le_bytes).concat()),
        ),
    ];
    let copies = [("rounded-numbers", "vectors.int8.npy"), ("rounded-rows", "vectors.int8.rows.npy")];
    let header = Target {
        frame: |text| npy(&String::from_utf8_lossy(&text), &[0; 16]),
        ..target("npy-header", "array.npy", texts(&[HEADER]), read_array)
    };
    let whole = target("npy", "array.npy", vec![npy(HEADER, &[0x3f; 16])], read_array);
    let mut targets = one_of(&index, &files(INDEX), read_index);
    targets.extend(one_of(&copies, &copy, read_copy));
    targets.extend([header, whole]);
    targets.into_iter().map(|target| Target { dictionary: words(WORDS), ..target }).collect()
}

/// An array file of version 1 whose numbers begin at a multiple of 16, if the header is as short as it should be.
fn npy(header: &str, numbers: &[u8]) -> Vec<u8> {
    let mut text = header.as_bytes().to_vec();
    text.resize((text.len() + 10 + 1).next_multiple_of(16) - 11, b' ');
    text.push(b'\n');
    [b"\x93NUMPY\x01\x00", &(text.len() as u16).to_le_bytes()[..], &text, numbers].concat()
}

thread_local! {
    static POOL: LazyCell<ThreadPool> =
        LazyCell::new(|| ThreadPoolBuilder::new().num_threads(1).build().expect("a thread can be started"));
}

/// Whether the checksums are right is not what "to the end" means: only the untouched file has them.
fn read_index(folder: &Path) -> Option<()> {
    let index = told(Index::open(folder))?;
    told(index.verify(&mut |_| ()));
    let vectors = index.folder().vectors();
    for document in 0..=vectors.len() as u32 {
        told(index.documents().row(document));
        told(index.documents().id(document));
        index.expert(document);
    }
    index.folder().pooled().and_then(|pooled| pooled.row(1));
    index.keys().and_then(|keys| keys.iter().max());
    POOL.with(|pool| told(index.search(&vec![0.5; vectors.dim()], 3, SimdLevel::best(), pool))).map(drop)
}

/// A copy that says anything about its rows may rule out a hit, and must not do worse.
fn read_copy(folder: &Path) -> Option<()> {
    let copy = told(RoundedVectors::open(folder, Rounding::Int8, 2, 2))?;
    let vectors = [1.0, 0.5, 0.25, -1.0];
    let store = told(Rounded::new(&vectors, &copy, SimdLevel::best()))?;
    let search = Search { queries: &[0.5, 0.5], k: 1, id_order: &|a, b| a.cmp(&b) };
    POOL.with(|pool| told(store.search(&search, pool))).map(drop)
}

fn read_array(folder: &Path) -> Option<()> {
    let path = folder.join("array.npy");
    let vectors = told(Vectors::open(&path));
    let last = vectors.as_ref().and_then(|vectors| vectors.row(vectors.len().checked_sub(1)?));
    assert!(
        last.is_none_or(|row| vectors.as_ref().is_some_and(|vectors| vectors.dim() == row.len())),
        "a whole row"
    );
    let read = [read_as::<f32>(&path), read_as::<u64>(&path), read_as::<u16>(&path), read_as::<i8>(&path)];
    read.into_iter().flatten().next()
}

fn read_as<T: Element>(path: &Path) -> Option<()> {
    let array = told(Array::<T>::open(path))?;
    assert_eq!(array.as_slice().len(), array.rows() * array.shape().columns(), "every row has its numbers");
    assert!(array.row(array.rows()).is_none_or(<[T]>::is_empty), "there is no row behind the last");
    Some(())
}
