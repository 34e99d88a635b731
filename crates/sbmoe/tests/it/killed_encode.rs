//! `encode`, interrupted and then killed in the middle, ends with the bytes of an encoding that was left alone.
//!
//! Left out: systems without signals.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use sbmoe::index_folder::IndexState;
use serde_json::json;

use crate::program::{bytes, sbmoe, succeeds};
use crate::tiny_model::write_model;

const DOCUMENTS: usize = 12_000;

/// Ids of this length fill the writers' buffers of a mebibyte often, without any work for the encoder.
const ID_LENGTH: usize = 500;

/// The largest of the index's files while it is made.
const GROWING: &str = "documents.jsonl.partial";

fn write_corpus(folder: &Path) -> PathBuf {
    let words = ["heron", "reeds", "frogs", "otter", "rivers", "crabs", "play", "bat", "caves", "echoes"];
    let mut corpus = String::new();
    for number in 0..DOCUMENTS {
        let word = |place: usize| words[(number / (1 + place) + place * number) % words.len()];
        let text: Vec<&str> = (0..number % 40).map(word).collect();
        let id = format!("{number:0ID_LENGTH$}");
        writeln!(corpus, "{}", json!({"_id": id, "title": word(3), "text": text.join(" ")})).unwrap();
    }
    let path = folder.join("corpus.jsonl");
    fs_err::write(&path, corpus).unwrap();
    path
}

/// The files of an index and their bytes.
fn files(index: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs_err::read_dir(index).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), bytes(&path))).collect()
}

fn start(mut command: Command) -> Child {
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Waits until the index has more than `size` bytes of documents on the disk.
#[track_caller]
fn wait_beyond(index: &Path, size: u64, child: &mut Child) {
    let since = Instant::now();
    let written = || fs_err::metadata(index.join(GROWING)).map_or(0, |file| file.len());
    while written() <= size {
        assert_eq!(child.try_wait().unwrap(), None, "the encoding was over before it could be stopped");
        assert!(since.elapsed() < Duration::from_mins(1), "the encoding does not get on");
        sleep(Duration::from_millis(1));
    }
}

/// How many documents a stopped encoding goes on from.
#[track_caller]
fn safe_documents(index: &Path) -> u64 {
    match IndexState::of(index).unwrap() {
        IndexState::Partial { documents, .. } => documents,
        state => panic!("the index is {state:?}, not a part of one"),
    }
}

#[test]
fn an_encoding_that_was_killed_in_the_middle_ends_with_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let (model, corpus) = (write_model(folder.path()), write_corpus(folder.path()));
    let index = |name: &str| folder.path().join(name);
    let encode = |name: &str| {
        let mut command = sbmoe();
        command.arg("encode").arg("--model").arg(&model).arg("--corpus").arg(&corpus);
        command.arg("--keep-pooled").arg("--out").arg(index(name));
        command
    };
    succeeds(&mut encode("whole"));

    // An interrupted encoding makes its documents safe, so that there is a place in the middle to go on from.
    let killed = index("killed");
    let mut child = start(encode("killed"));
    wait_beyond(&killed, 0, &mut child);
    let interrupted = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(interrupted.success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let safe = safe_documents(&killed);
    assert!((1..DOCUMENTS as u64).contains(&safe), "{safe} documents are safe");

    // The next one goes on from there, writes beyond it, and is killed before it can make anything safe.
    let size = fs_err::metadata(killed.join(GROWING)).unwrap().len();
    let mut child = start(encode("killed"));
    wait_beyond(&killed, size, &mut child);
    child.kill().unwrap();
    assert!(!child.wait().unwrap().success());
    assert!(!killed.join("index.json").exists());
    assert!(safe_documents(&killed) >= safe);
    assert!(fs_err::metadata(killed.join(GROWING)).unwrap().len() > size);

    succeeds(&mut encode("killed"));
    let (whole, killed) = (files(&index("whole")), files(&killed));
    assert_eq!(whole.keys().collect::<Vec<_>>(), killed.keys().collect::<Vec<_>>());
    for (name, whole) in &whole {
        assert!(*whole == killed[name], "`{name}` differs");
    }
}
