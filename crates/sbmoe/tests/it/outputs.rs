//! What is written never costs what is there: foreign folders, inputs inside outputs, a second writer, a corpus that changes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use sbmoe::encoding::{Corpus, EncodeOptions, VectorMaker, VectorOptions, encode};
use sbmoe::folder_lock::FolderLock;
use sbmoe_kernels::Cpu;
use sbmoe_model::retriever::Retriever;
use serde_json::json;

use crate::program::{bytes, fails, sbmoe, stderr, succeeds};
use crate::tiny_model::Place;

/// Every file below a folder, with its bytes.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs_err::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.insert(path.clone(), bytes(&path));
        }
    }
    found
}

/// Refused with these words, and nothing in the folder was touched.
#[track_caller]
fn refused(command: &mut Command, folder: &Path, words: &[&str]) {
    let before = files(folder);
    let message = fails(command);
    for word in words {
        assert!(message.contains(word), "`{word}` is not in {message}");
    }
    assert_eq!(files(folder), before, "{message}");
}

fn train(place: &Place, out: &Path, more: &[&str]) -> Command {
    let mut command = sbmoe();
    command.args(["train", "--freeze-encoder", "--epochs", "1", "--experts", "2", "--keep", "last"]);
    command.arg("--data").arg(&place.data).arg("--model").arg(&place.model).arg("--out").arg(out).args(more);
    command
}

fn encode_into(place: &Place, out: &Path) -> Command {
    let mut command = sbmoe();
    command
        .arg("encode")
        .arg("--model")
        .arg(&place.model)
        .arg("--corpus")
        .arg(&place.data)
        .arg("--out")
        .arg(out);
    command
}

fn write(path: PathBuf, text: &str) {
    fs_err::create_dir_all(path.parent().unwrap()).unwrap();
    fs_err::write(path, text).unwrap();
}

#[test]
fn training_leaves_a_folder_that_is_no_run_of_ours_as_it_is() {
    let place = Place::new();
    let out = place.folder.path().join("mine");
    for name in ["best/notes.txt", "last/model.bin", "tensorboard/events", "run.trec", "scores.json"] {
        write(out.join(name), "mine");
    }
    for more in [&[][..], &["--overwrite"], &["--resume"]] {
        refused(&mut train(&place, &out, more), &out, &["and is no run of sbmoe", "another `--out`"]);
    }
    fs_err::write(out.join("env.json"), r#"{"cpu": {"level": 3}}"#).unwrap();
    refused(&mut train(&place, &out, &["--overwrite"]), &out, &["is no run of sbmoe"]);
}

#[test]
fn a_foreign_model_inside_a_run_is_refused_before_the_training() {
    let place = Place::new();
    let out = place.folder.path().join("run");
    succeeds(&mut train(&place, &out, &[]));
    fs_err::remove_dir_all(out.join("model")).unwrap();
    write(out.join("model/weights.bin"), "mine");
    let words = ["run/model", "no model that sbmoe saved"];
    refused(&mut train(&place, &out, &["--overwrite"]), &out, &words);
    fs_err::remove_dir_all(out.join("model")).unwrap();
    // A run of ours is replaced, and what else lies in it stays.
    write(out.join("notes.txt"), "mine");
    succeeds(&mut train(&place, &out, &["--overwrite"]));
    assert_eq!(bytes(&out.join("notes.txt")), b"mine");
}

#[test]
fn a_run_does_not_delete_the_model_that_it_reads() {
    let place = Place::new();
    let out = place.folder.path().join("run");
    succeeds(&mut train(&place, &out, &[]));
    let model = out.join("model").display().to_string();
    let mut command = sbmoe();
    command.args(["train", "--freeze-encoder", "--overwrite", "--model", &model, "--data"]).arg(&place.data);
    refused(command.arg("--out").arg(&out), &out, &["--model", "lies in", "choose another `--out`"]);
    let mut import = sbmoe();
    import
        .args(["import", "--checkpoint"])
        .arg(out.join("model/model.safetensors"))
        .args(["--model", &model]);
    refused(import.arg("--out").arg(out.join("model")), &out, &["--checkpoint", "lies in"]);
}

#[test]
fn an_index_is_not_made_among_other_files() {
    let place = Place::new();
    let out = place.folder.path().join("mine");
    write(out.join("vectors.npy"), "mine");
    refused(&mut encode_into(&place, &out), &out, &["vectors.npy", "belongs to no index"]);
    // What a killed encoding left before its first checkpoint is no hindrance.
    fs_err::remove_file(out.join("vectors.npy")).unwrap();
    write(out.join("vectors.npy.partial"), "half");
    succeeds(&mut encode_into(&place, &out));
}

#[test]
fn a_second_writer_is_refused_while_the_first_lives() {
    let place = Place::new();
    let at = |name: &str| place.folder.path().join(name);
    succeeds(&mut encode_into(&place, &at("index")));
    succeeds(&mut train(&place, &at("run"), &[]));
    let busy = ["is being written by another process", &format!("process {}", std::process::id())];
    let locks = ["new", "index", "run"].map(|name| FolderLock::inside(&at(name)).unwrap());
    refused(&mut encode_into(&place, &at("new")), &at("new"), &busy);
    let mut round = sbmoe();
    refused(round.args(["index", "round", "--storage", "int8"]).arg(at("index")), &at("index"), &busy);
    refused(&mut train(&place, &at("run"), &["--overwrite"]), &at("run"), &busy);
    // What the first has begun may look like anything.
    write(at("new/config.toml"), "half");
    refused(&mut train(&place, &at("new"), &[]), &at("new"), &busy);
    fs_err::remove_dir_all(at("index")).unwrap();
    drop(locks);
    let plan = json!({"model": "m", "fingerprint": "f", "gate": "none", "similarity": "dot", "normalize": false, "dim": 4,
        "experts": false, "details": {}});
    write(at("index/partial.json"), &json!({"plan": plan, "documents": 3}).to_string());
    let lock = FolderLock::inside(&at("index")).unwrap();
    refused(&mut round, &at("index"), &busy);
    drop(lock);
    refused(&mut round, &at("index"), &["is not whole", "3 documents"]);
    fs_err::remove_file(at("new/config.toml")).unwrap();
    fs_err::remove_dir(at("new")).unwrap();
    drop(FolderLock::inside(&at("new")).unwrap());
    assert!(!at("new").exists(), "an empty folder that a lock made goes with it");
    let mut pairs = sbmoe();
    write(at("pairs.jsonl"), "{\"anchor\": \"who\", \"positive\": \"she\"}\n");
    let lock = FolderLock::beside(&at("made")).unwrap();
    let message = fails(pairs.args(["data", "pairs"]).arg(at("pairs.jsonl")).arg(at("made")));
    assert!(busy.iter().all(|word| message.contains(word)), "{message}");
    drop(lock);
    succeeds(&mut pairs);
}

#[test]
fn what_an_encoding_leaves_that_was_killed_at_its_end_is_cleared() {
    let place = Place::new();
    let out = place.folder.path().join("index");
    succeeds(&mut encode_into(&place, &out));
    let whole = files(&out);
    write(out.join(".lock"), "process 4000000\n");
    write(out.join("partial.json"), "{}");
    succeeds(&mut encode_into(&place, &out));
    assert!(files(&out) == whole, "{:?}", files(&out).into_keys());
}

#[test]
fn a_run_that_was_killed_at_its_beginning_is_begun_again() {
    let place = Place::new();
    let out = place.folder.path().join("run");
    write(out.join(".lock"), "process 4000000\n");
    write(out.join(".probe"), "whether the folder can be written");
    write(out.join("..pairs.new.partial/corpus.jsonl"), "half");
    write(place.folder.path().join("pairs.jsonl"), "{\"anchor\": \"who\", \"positive\": \"she\"}\n");
    let mut command = sbmoe();
    command.args([
        "train",
        "--freeze-encoder",
        "--epochs",
        "1",
        "--experts",
        "2",
        "--validation",
        "0",
        "--model",
    ]);
    command
        .arg(&place.model)
        .arg("--pairs")
        .arg(place.folder.path().join("pairs.jsonl"))
        .arg("--out")
        .arg(&out);
    succeeds(&mut command);
    let hidden: Vec<_> = fs_err::read_dir(&out)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with('.'))
        .collect();
    assert_eq!(hidden, Vec::<String>::new());
}

#[test]
fn a_corpus_that_changes_while_it_is_encoded_is_refused() {
    let place = Place::new();
    let out = place.folder.path().join("index");
    let retriever = Retriever::open(&place.model, std::sync::Arc::new(Cpu::new(1)), None).unwrap();
    let maker = VectorMaker::new(retriever, VectorOptions::default()).unwrap();
    let options = EncodeOptions { model: "tiny".into(), fingerprint: "f".into(), keep_pooled: false };
    let corpus = Corpus::open(&place.data).unwrap();
    let survey = corpus.survey().unwrap();
    let path = place.data.join("corpus.jsonl");
    let text = fs_err::read_to_string(&path).unwrap();
    fs_err::write(&path, format!("{text}{{\"_id\": \"late\", \"text\": \"one more\"}}\n")).unwrap();
    let error = encode(&maker, (&corpus, &survey), &out, &options, &mut |_, _| true).unwrap_err();
    assert!(format!("{error:#}").contains("was changed while it was encoded"), "{error:#}");
    // Nothing of it is taken up again.
    let survey = corpus.survey().unwrap();
    assert_eq!(survey.documents, 21);
    encode(&maker, (&corpus, &survey), &out, &options, &mut |_, _| true).unwrap();
}

#[test]
fn a_corpus_that_can_be_read_once_is_refused() {
    let place = Place::new();
    let mut command = Command::new("bash");
    let program = sbmoe().get_program().to_owned();
    let script = "\"$0\" encode --model \"$1\" --corpus <(cat \"$2\") --out \"$3\"";
    command.args(["-c", script]).arg(program).arg(&place.model).arg(place.data.join("corpus.jsonl"));
    let message = fails(command.arg(place.folder.path().join("index")));
    assert!(message.contains("is a pipe") && message.contains("write it to a file first"), "{message}");
    assert!(!place.folder.path().join("index").exists());
}

#[test]
fn a_search_refuses_what_it_could_not_write_before_it_begins() {
    let place = Place::new();
    let at = |name: &str| place.folder.path().join(name);
    let corpus = at("blank.jsonl");
    write(corpus.clone(), "{\"_id\": \"notes one.txt\", \"text\": \"frogs\"}\n");
    let mut command = sbmoe();
    command
        .arg("encode")
        .arg("--model")
        .arg(&place.model)
        .arg("--corpus")
        .arg(corpus)
        .arg("--out")
        .arg(at("index"));
    succeeds(&mut command);
    let search = |queries: &Path, more: &[&str]| {
        let mut command = sbmoe();
        command.arg("search").arg("--model").arg(&place.model).arg("--index").arg(at("index"));
        command.arg("--queries").arg(queries).args(more);
        command
    };
    let run = at("run.trec").display().to_string();
    let message = fails(&mut search(&place.data, &["--out", &run]));
    assert!(message.contains("`notes one.txt`") && message.contains("--json"), "{message}");
    assert!(!at("run.trec").exists());
    succeeds(&mut search(&place.data, &["--json"]));
    succeeds(&mut search(Path::new("frogs"), &[]));

    let queries = place.data.join("queries.jsonl");
    let shown = queries.display().to_string();
    succeeds(&mut encode_into(&place, &at("whole")));
    let search_whole = |more: &[&str]| {
        let mut command = sbmoe();
        command.arg("search").arg("--model").arg(&place.model).arg("--index").arg(at("whole"));
        command.arg("--queries").arg(&queries).args(more);
        command
    };
    refused(&mut search_whole(&["--out", &shown]), &place.data, &["--out", "is a file that is read"]);
    let vectors = at("whole").join("vectors.npy").display().to_string();
    refused(&mut search_whole(&["--out", &vectors]), &at("whole"), &["is a file that is read"]);
    assert!(fails(&mut search_whole(&["--k", "0"])).contains("--k"));
    for path in ["./data/scifct/queries.txt", "queries.tsv", "data/scifct"] {
        let message = fails(&mut search(Path::new(path), &["--out", &run]));
        assert!(message.contains("there is no file or folder"), "{message}");
    }
}

#[test]
fn threads_are_as_many_as_the_machine_has_at_most() {
    let place = Place::new();
    let out = place.folder.path().join("index");
    let output = succeeds(encode_into(&place, &out).args(["--threads", "1000000"]));
    assert!(stderr(&output).contains("`--threads 1000000`"), "{}", stderr(&output));
}
