//! `encode`, `search`, `index` and `import` from outside: the path from a corpus to a run, and what goes wrong on it.

mod rounded;
mod settings;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use sbmoe_index::Vectors;
use sbmoe_model::checkpoint::{NamedTensor, write_safetensors};
use tempfile::TempDir;

use crate::program::{bytes, fails, sbmoe, stderr, stdout, succeeds};
use crate::tiny_model::{write_collection, write_model};

/// A collection, an encoder and a model with a block trained on them.
struct Place {
    folder: TempDir,
    data: PathBuf,
    encoder: PathBuf,
}

impl Place {
    fn new() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let (data, encoder) = (write_collection(folder.path()), write_model(folder.path()));
        Self { folder, data, encoder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A saved model with a block of three experts, better than the encoder or not.
    fn trained(&self) -> PathBuf {
        let mut command = sbmoe();
        command.args(["train", "--freeze-encoder", "--epochs", "3", "--experts", "3", "--batch-size", "4"]);
        command.args(["--keep", "last", "--lr", "0.01"]);
        command
            .arg("--data")
            .arg(&self.data)
            .arg("--model")
            .arg(&self.encoder)
            .arg("--out")
            .arg(self.path("run"));
        succeeds(&mut command);
        self.path("run").join("model")
    }

    fn encode(&self, model: &Path, out: &str, more: &[&str]) -> Command {
        let mut command = sbmoe();
        command.arg("encode").arg("--model").arg(model).arg("--corpus").arg(&self.data).args(more);
        command.arg("--out").arg(self.path(out));
        command
    }

    fn search(&self, model: &Path, index: &str, queries: &str, more: &[&str]) -> Command {
        let mut command = sbmoe();
        command.arg("search").arg("--model").arg(model).arg("--index").arg(self.path(index));
        command.arg("--queries").arg(queries).args(more);
        command
    }

    fn vectors(&self, index: &str) -> Vec<f32> {
        Vectors::open(&self.path(index).join("vectors.npy"))
            .expect("an index has vectors")
            .as_slice()
            .to_vec()
    }
}

#[test]
fn a_corpus_becomes_a_run_that_can_be_evaluated() {
    let place = Place::new();
    let model = place.trained();
    succeeds(&mut place.encode(&model, "index", &[]));
    let (data, run) = (place.data.display().to_string(), place.path("run.trec"));
    let mut search = place.search(&model, "index", &data, &["--split", "test", "--k", "5", "--out"]);
    succeeds(search.arg(&run));
    let text = fs_err::read_to_string(&run).expect("the run was written");
    assert_eq!(text.lines().count(), 4 * 5, "four test queries of five hits");
    let mut evaluate = sbmoe();
    evaluate.arg("evaluate").arg("--qrels").arg(place.data.join("qrels/test.tsv")).arg("--run").arg(&run);
    let output = succeeds(evaluate.args(["-m", "Judged@5", "--json"]));
    assert!(stdout(&output).contains("Judged@5"), "{}", stdout(&output));
    // The whole queries file without `--split`, on standard output without `--out`.
    let output = succeeds(&mut place.search(&model, "index", &data, &["--k", "1"]));
    assert_eq!(stdout(&output).lines().count(), 20);
}

#[test]
fn rounded_products_give_nearly_the_vectors_and_the_index_says_so() {
    let place = Place::new();
    succeeds(&mut place.encode(&place.encoder, "exact", &[]));
    let data = place.data.display().to_string();
    for precision in ["bf16", "int8"] {
        let switch = ["--precision", precision];
        succeeds(&mut place.encode(&place.encoder, precision, &switch));
        let (exact, rounded) = (place.vectors("exact"), place.vectors(precision));
        let size: f64 = exact.iter().map(|x| f64::from(*x).powi(2)).sum();
        let error: f64 = exact.iter().zip(&rounded).map(|(a, b)| f64::from(a - b).powi(2)).sum();
        let relative = (error / size).sqrt();
        assert!(relative > 0.0 && relative < 0.05, "{precision}: {relative}");
        let manifest =
            fs_err::read_to_string(place.path(precision).join("index.json")).expect("the manifest");
        assert!(manifest.contains(&format!(r#""precision": "{precision}""#)), "{manifest}");
        // Queries may be encoded in either, and the same command finds its work done.
        succeeds(&mut place.search(&place.encoder, precision, &data, &["--k", "1"]));
        succeeds(&mut place.search(
            &place.encoder,
            precision,
            &data,
            &["--k", "1", "--precision", precision],
        ));
        let again = succeeds(&mut place.encode(&place.encoder, precision, &switch));
        assert!(stderr(&again).contains("nothing to do"), "{}", stderr(&again));
    }
    let from = place.path("int8").display().to_string();
    let mut reapplied = sbmoe();
    reapplied.args(["encode", "--precision", "int8", "--from", &from, "--model"]).arg(&place.encoder);
    let refused = fails(reapplied.arg("--out").arg(place.path("again")));
    assert!(refused.contains("leave it out"), "{refused}");
    let refused = fails(&mut place.encode(&place.encoder, "other", &["--precision", "fp16"]));
    assert!(refused.contains("choose `f32`, `bf16` or `int8`"), "{refused}");
}

#[test]
fn a_text_is_answered_with_title_snippet_score_and_expert() {
    let place = Place::new();
    let model = place.trained();
    succeeds(&mut place.encode(&model, "index", &["--gate", "top1"]));
    let question = "which animal do people know for patience";
    let output = succeeds(&mut place.search(&model, "index", question, &["--k", "2"]));
    let answer = stdout(&output);
    assert!(answer.starts_with("query → expert "), "{answer}");
    assert!(
        answer.contains(" expert ") && answer.contains("The ") && answer.contains("It lives among"),
        "{answer}"
    );
    assert_eq!(answer.lines().count(), 1 + 2 * 2, "{answer}");
    let output = succeeds(&mut place.search(&model, "index", question, &["--json"]));
    let hits: serde_json::Value = serde_json::from_str(&stdout(&output)).expect("one JSON object a query");
    assert_eq!(hits["hits"].as_array().map(Vec::len), Some(5));
}

#[test]
fn stored_pooled_vectors_give_the_vectors_of_the_encoder() {
    let place = Place::new();
    let model = place.trained();
    succeeds(&mut place.encode(&place.encoder, "pooled", &["--keep-pooled", "--max-length", "64"]));
    for gate in ["top1", "all", "random", "uniform"] {
        let fresh = format!("fresh-{gate}");
        succeeds(&mut place.encode(&model, &fresh, &["--gate", gate, "--max-length", "64"]));
        let mut again = sbmoe();
        again.arg("encode").arg("--model").arg(&model).args(["--gate", gate, "--max-length", "64"]);
        again.arg("--from").arg(place.path("pooled")).arg("--out").arg(place.path(&format!("again-{gate}")));
        succeeds(&mut again);
        for (a, b) in place.vectors(&fresh).iter().zip(place.vectors(&format!("again-{gate}"))) {
            assert!((a - b).abs() < 1e-5, "gate {gate}: {a} and {b}");
        }
    }
    // An index without pooled vectors says how to get them.
    let mut from = sbmoe();
    from.arg("encode").arg("--model").arg(&model).arg("--from").arg(place.path("fresh-all"));
    assert!(fails(from.arg("--out").arg(place.path("never"))).contains("--keep-pooled"));
}

#[test]
fn gates_give_different_vectors_and_cosine_gives_unit_ones() {
    let place = Place::new();
    let model = place.trained();
    succeeds(&mut place.encode(&model, "all", &["--gate", "all"]));
    succeeds(&mut place.encode(&model, "uniform", &["--gate", "uniform"]));
    assert_ne!(place.vectors("all"), place.vectors("uniform"));
    succeeds(&mut place.encode(&model, "cosine", &["--similarity", "cos"]));
    for vector in place.vectors("cosine").chunks(16) {
        let norm: f32 = vector.iter().map(|v| v * v).sum();
        assert!((norm - 1.0).abs() < 1e-5, "{norm}");
    }
    assert!(
        fails(&mut place.encode(&place.encoder, "never", &["--gate", "all"]))
            .contains("no mixture-of-experts")
    );
}

#[test]
fn an_index_refuses_queries_of_another_model_or_gate_unless_told_to() {
    let place = Place::new();
    let model = place.trained();
    succeeds(&mut place.encode(&model, "index", &["--gate", "all"]));
    let error = fails(&mut place.search(&place.encoder, "index", "what feeds on frogs", &[]));
    assert!(error.contains("made with another model"), "{error}");
    let error = fails(&mut place.search(&model, "index", "what feeds on frogs", &["--gate", "top1"]));
    assert!(error.contains("made with the gate `all`"), "{error}");
    succeeds(&mut place.search(&model, "index", "what feeds on frogs", &["--gate", "top1", "--force"]));
}

#[test]
fn an_index_refuses_queries_that_are_compared_otherwise() {
    let place = Place::new();
    succeeds(&mut place.encode(&place.encoder, "unit", &["--normalize", "on"]));
    let hits = |more: &[&str]| stdout(&succeeds(&mut place.search(&place.encoder, "unit", "frogs", more)));
    assert_eq!(hits(&[]), hits(&["--normalize", "on"]), "the index's own way is the default");
    let error = fails(&mut place.search(&place.encoder, "unit", "frogs", &["--normalize", "off"]));
    assert!(error.contains("compares by dot, normalised"), "{error}");
    let error = fails(&mut place.search(&place.encoder, "unit", "frogs", &["--similarity", "cos"]));
    assert!(error.contains("not by cos"), "{error}");
    let error = fails(&mut place.search(&place.encoder, "unit", "frogs", &["--split", "test"]));
    assert!(error.contains("no folder"), "{error}");
}

#[test]
fn a_run_on_standard_output_is_appended_to_what_is_there() {
    let place = Place::new();
    succeeds(&mut place.encode(&place.encoder, "index", &[]));
    let path = place.path("all.trec");
    fs_err::write(&path, "before\n").expect("a writable folder");
    let file = fs_err::OpenOptions::new().append(true).open(&path).expect("the file is there");
    let data = place.data.display().to_string();
    let mut search = place.search(&place.encoder, "index", &data, &["--k", "1"]);
    succeeds(search.stdout(file.into_file()));
    let text = fs_err::read_to_string(&path).expect("the file is there");
    assert!(text.starts_with("before\n"), "{text}");
    assert!(text.lines().count() <= 21, "{text}");
}

#[test]
fn an_encoding_that_was_killed_goes_on_and_a_finished_one_is_left_alone() {
    let place = Place::new();
    succeeds(&mut place.encode(&place.encoder, "whole", &[]));
    let output = succeeds(&mut place.encode(&place.encoder, "whole", &[]));
    assert!(stderr(&output).contains("already"), "{}", stderr(&output));
    // A reader that dies half-way: the corpus is malformed at its end, which the first pass refuses with nothing made.
    let corpus = place.data.join("corpus.jsonl");
    let text = fs_err::read_to_string(&corpus).expect("the corpus is there");
    fs_err::write(&corpus, format!("{text}not JSON\n")).expect("a writable folder");
    let error = fails(&mut place.encode(&place.encoder, "never", &[]));
    assert!(error.contains("corpus.jsonl:21") || error.contains("line 21"), "{error}");
    assert!(!place.path("never").exists());
    // Other documents do not continue an index.
    fs_err::write(&corpus, text.replace("heron", "egret")).expect("a writable folder");
    assert!(fails(&mut place.encode(&place.encoder, "whole", &[])).contains("already holds an index"));
}

#[test]
fn an_id_that_stands_twice_is_refused_before_anything_is_written() {
    let place = Place::new();
    let corpus = place.data.join("corpus.jsonl");
    let text = fs_err::read_to_string(&corpus).expect("the corpus is there");
    fs_err::write(&corpus, format!("{text}\n{{\"_id\": \"d3\", \"text\": \"again\"}}\n"))
        .expect("a writable folder");
    let error = fails(&mut place.encode(&place.encoder, "never", &[]));
    assert!(error.contains("corpus.jsonl:22: the id `d3` stands on line 3 already"), "{error}");
    assert!(error.contains("remove one of the two lines or rename"), "{error}");
    assert!(!place.path("never").exists());
}

#[test]
fn a_damaged_index_is_found() {
    let place = Place::new();
    succeeds(&mut place.encode(&place.encoder, "index", &[]));
    let check = |place: &Place| {
        let mut command = sbmoe();
        command.args(["index", "check"]).arg(place.path("index"));
        command
    };
    succeeds(&mut check(&place));
    let vectors = place.path("index").join("vectors.npy");
    let mut content = bytes(&vectors);
    let last = content.len() - 1;
    content[last] ^= 1;
    fs_err::write(&vectors, &content).expect("a writable folder");
    assert!(fails(&mut check(&place)).contains("vectors.npy"));
    fs_err::write(&vectors, &content[..last]).expect("a writable folder");
    let error = fails(&mut place.search(&place.encoder, "index", "frogs", &[]));
    assert!(error.contains("vectors.npy"), "{error}");
}

#[test]
fn empty_queries_are_refused() {
    let place = Place::new();
    succeeds(&mut place.encode(&place.encoder, "index", &[]));
    let empty = place.path("empty.jsonl");
    fs_err::write(&empty, "").expect("a writable folder");
    let error = fails(&mut place.search(&place.encoder, "index", &empty.display().to_string(), &[]));
    assert!(error.contains("empty.jsonl") && error.contains("no queries"), "{error}");
    assert!(fails(&mut place.search(&place.encoder, "index", " ", &[])).contains("--queries"));
    let error = fails(&mut place.search(&place.encoder, "index", "nowhere.jsonl", &[]));
    assert!(error.contains("nowhere.jsonl"), "{error}");
}

#[test]
fn weights_that_cannot_be_used_are_named() {
    let place = Place::new();
    let weights = place.encoder.join("model.safetensors");
    let good = bytes(&weights);
    let error = |content: &[u8]| {
        fs_err::write(&weights, content).expect("a writable folder");
        let error = fails(&mut place.encode(&place.encoder, "never", &[]));
        assert!(error.contains("model.safetensors"), "{error}");
        error
    };
    assert!(error(&good[..good.len() - 10]).contains("bytes"));
    let mut nan = good.clone();
    let end = nan.len();
    nan[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    assert!(error(&nan).contains("NaN"));
    assert!(!place.path("never").exists());
}

#[test]
fn a_pickle_that_would_run_something_is_refused() {
    let place = Place::new();
    fs_err::remove_file(place.encoder.join("model.safetensors")).expect("the weights are there");
    let mut file = fs_err::File::create(place.encoder.join("pytorch_model.bin")).expect("a writable folder");
    // PyTorch's older form: its magic number, its protocol, then a pickle that calls os.system.
    file.write_all(b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}.").expect("room");
    file.write_all(b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R.").expect("room");
    let error = fails(&mut place.encode(&place.encoder, "never", &[]));
    assert!(error.contains("os.system") || error.contains("os system"), "{error}");
    assert!(error.contains("safetensors"), "the error says what to do: {error}");
}

#[test]
fn a_full_disk_is_an_error_and_the_command_can_be_repeated() {
    let place = Place::new();
    let data = place.data.display().to_string();
    succeeds(&mut place.encode(&place.encoder, "index", &[]));
    if Path::new("/dev/full").exists() {
        let error =
            fails(place.search(&place.encoder, "index", &data, &["--out", "/dev/full"]).arg("--json"));
        assert!(error.contains("/dev/full") || error.contains("space"), "{error}");
    }
    if cfg!(unix) {
        // A limit of one block a file, in a shell that ignores the signal, so that writes fail as on a full disk.
        let script = "trap '' XFSZ; ulimit -f 1; exec \"$0\" \"$@\"";
        let program = sbmoe();
        let mut limited = Command::new("sh");
        limited.args(["-c", script]).arg(program.get_program());
        limited.arg("encode").arg("--model").arg(&place.encoder).arg("--corpus").arg(&place.data);
        let error = fails(limited.arg("--out").arg(place.path("limited")));
        assert!(error.contains("limited"), "{error}");
        assert!(!place.path("limited").join("index.json").exists());
        succeeds(&mut place.encode(&place.encoder, "limited", &[]));
        assert_eq!(place.vectors("limited"), place.vectors("index"));
    }
}

#[test]
fn a_checkpoint_of_the_paper_s_code_becomes_a_model() {
    let place = Place::new();
    let encoder = sbmoe_model::checkpoint::Checkpoint::open(&place.encoder).expect("the tiny encoder");
    let mut tensors: Vec<(String, Vec<usize>, Vec<f32>)> = encoder
        .names()
        .map(|name| {
            let tensor = encoder.get(name).expect("a tensor of floats");
            (format!("doc_model.{name}"), tensor.shape, tensor.values.into_vec())
        })
        .collect();
    let mut add = |name: String, shape: &[usize]| {
        let count = shape.iter().product::<usize>();
        let values = (0..count).map(|i| ((i * 7 + name.len()) % 11) as f32 * 0.02 - 0.1).collect();
        tensors.push((name, shape.to_vec(), values));
    };
    for expert in 0..4 {
        for (layer, outputs, inputs) in [(1, 8, 16), (4, 16, 8)] {
            let name = format!("specializer.{expert}.query_embedding_changer_{layer}");
            add(format!("{name}.weight"), &[outputs, inputs]);
            add(format!("{name}.bias"), &[outputs]);
        }
    }
    for (name, outputs, inputs) in [("cls_1", 8, 16), ("cls_3", 4, 8), ("noise_linear", 4, 16)] {
        add(format!("{name}.weight"), &[outputs, inputs]);
        add(format!("{name}.bias"), &[outputs]);
    }
    let named: Vec<NamedTensor<'_>> =
        tensors.iter().map(|(name, shape, values)| NamedTensor { name, shape, values }).collect();
    let checkpoint = place.path("authors.pt");
    write_safetensors(&checkpoint, &named, &std::collections::BTreeMap::new()).expect("a writable folder");
    let import = |checkpoint: &Path, out: &str| {
        let mut command = sbmoe();
        command.arg("import").arg("--checkpoint").arg(checkpoint).arg("--model").arg(&place.encoder);
        command.arg("--out").arg(place.path(out));
        command
    };
    let output = succeeds(&mut import(&checkpoint, "imported"));
    assert!(stdout(&output).contains("4 experts"), "{}", stdout(&output));
    succeeds(&mut place.encode(&place.path("imported"), "index", &[]));
    // A file without experts is no checkpoint of the block.
    let error = fails(&mut import(&place.encoder.join("model.safetensors"), "never"));
    assert!(error.contains("no expert"), "{error}");
}
