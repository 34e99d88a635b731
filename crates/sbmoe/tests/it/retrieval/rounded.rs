//! `index round` and `encode --storage`: a copy that searches read changes no byte of what they find.

use super::Place;
use crate::program::{bytes, fails, sbmoe, stderr, stdout, succeeds};

#[test]
fn a_rounded_copy_changes_no_byte_of_a_run() {
    let place = Place::new();
    let data = place.data.display().to_string();
    succeeds(&mut place.encode(&place.encoder, "index", &[]));
    let index = place.path("index").display().to_string();
    let searched = || {
        let many = succeeds(&mut place.search(&place.encoder, "index", &data, &["--k", "7"]));
        let one = succeeds(&mut place.search(&place.encoder, "index", "what feeds on frogs", &["--json"]));
        stdout(&many) + &stdout(&one)
    };
    let index_command = |arguments: &[&str]| {
        let mut command = sbmoe();
        command.arg("index").args(arguments);
        command
    };
    let exact = searched();
    let manifest = bytes(&place.path("index/index.json"));
    for (storage, other) in [("bf16", "int8"), ("int8", "bf16")] {
        let round = succeeds(&mut index_command(&["round", &index, "--storage", storage]));
        assert!(stdout(&round).contains(&format!("a copy in {storage}")), "{}", stdout(&round));
        assert!(place.path("index").join(format!("vectors.{storage}.npy")).exists());
        assert!(!place.path("index").join(format!("vectors.{other}.npy")).exists());
        assert_eq!(searched(), exact, "{storage}");
        let show = stdout(&succeeds(&mut index_command(&["show", &index])));
        assert!(show.contains(&format!("a copy in {storage}, which searches read")), "{show}");
        succeeds(&mut index_command(&["check", &index]));
        // The same storage when the collection is encoded, byte for byte.
        succeeds(&mut place.encode(&place.encoder, storage, &["--storage", storage]));
        for name in
            ["index.json".to_owned(), format!("vectors.{storage}.npy"), format!("vectors.{storage}.rows.npy")]
        {
            assert_eq!(
                bytes(&place.path(storage).join(&name)),
                bytes(&place.path("index").join(&name)),
                "{name}"
            );
        }
    }
    succeeds(&mut index_command(&["round", &index, "--storage", "f32"]));
    assert_eq!((searched(), bytes(&place.path("index/index.json"))), (exact, manifest));
    assert!(
        !place.path("index/vectors.int8.npy").exists() && !place.path("index/vectors.int8.rows.npy").exists()
    );
    // Encoding again leaves the storage alone unless told to change it.
    let again = succeeds(&mut place.encode(&place.encoder, "index", &["--storage", "int8"]));
    assert!(stderr(&again).contains("its storage is changed"), "{}", stderr(&again));
    let again = succeeds(&mut place.encode(&place.encoder, "index", &[]));
    assert!(stderr(&again).contains("nothing to do"), "{}", stderr(&again));
    assert!(place.path("index/vectors.int8.npy").exists());
}

#[test]
fn a_damaged_copy_is_refused_found_and_mended() {
    let place = Place::new();
    succeeds(&mut place.encode(&place.encoder, "index", &["--storage", "int8"]));
    let index = place.path("index").display().to_string();
    let command = |arguments: &[&str]| {
        let mut command = sbmoe();
        command.arg("index").args(arguments);
        command
    };
    let path = place.path("index/vectors.int8.npy");
    let whole = bytes(&path);
    let mut changed = whole.clone();
    *changed.last_mut().expect("the file has numbers") ^= 1;
    fs_err::write(&path, &changed).expect("a writable folder");
    let error = fails(&mut command(&["check", &index]));
    assert!(error.contains("vectors.int8.npy") && error.contains("damaged or changed"), "{error}");
    fs_err::write(&path, &whole[..whole.len() - 3]).expect("a writable folder");
    let error = fails(&mut place.search(&place.encoder, "index", "frogs", &[]));
    assert!(error.contains("vectors.int8.npy") && error.contains("cut short"), "{error}");
    succeeds(&mut command(&["round", &index, "--storage", "int8"]));
    assert_eq!(bytes(&path), whole);
    succeeds(&mut command(&["check", &index]));
    let error = fails(&mut command(&["round", &index, "--storage", "int4"]));
    assert!(error.contains("choose `f32`, `bf16` or `int8`"), "{error}");
    let error =
        fails(&mut command(&["round", &place.path("none").display().to_string(), "--storage", "int8"]));
    assert!(error.contains("holds no index"), "{error}");
}
