//! What a sentence-transformers folder says about lengths, prompts and numbers, from the command line: followed, said, and
//! kept by a model that is trained from it.

use serde_json::{Value, json};

use super::Place;
use crate::program::{bytes, sbmoe, stderr, stdout, succeeds};

const SENTENCE: &str = "sentence_bert_config.json";
const MODEL: &str = "config_sentence_transformers.json";

/// As long as any document of the collection.
const DOCUMENTS: usize = 20;

impl Place {
    /// Makes the encoder's folder one of sentence-transformers with these settings.
    fn say(&self, sentence: &Value, model: &Value, modules: &[&str]) {
        let put = |name: &str, content: &Value| {
            let path = self.encoder.join(name);
            fs_err::create_dir_all(path.parent().expect("a folder")).expect("a writable folder");
            fs_err::write(path, content.to_string()).expect("a writable folder");
        };
        let module = |(idx, class): (usize, &&str)| {
            let path = if idx == 0 { String::new() } else { format!("{idx}_{class}") };
            json!({"idx": idx, "name": "", "path": path, "type": format!("sentence_transformers.models.{class}")})
        };
        let chain = ["Transformer", "Pooling"].iter().chain(modules).enumerate().map(module).collect();
        put("modules.json", &chain);
        put("1_Pooling/config.json", &json!({"pooling_mode": "mean"}));
        put(SENTENCE, sentence);
        put(MODEL, model);
    }

    /// The vectors of the corpus and what encoding it wrote to standard error.
    fn encoded(&self, index: &str, more: &[&str]) -> (Vec<f32>, String) {
        let output = succeeds(&mut self.encode(&self.encoder, index, more));
        (self.vectors(index), stderr(&output))
    }

    /// The scores of a query's hits.
    fn scores(&self, index: &str, query: &str) -> Vec<f64> {
        let output = succeeds(&mut self.search(&self.encoder, index, query, &["--k", "20", "--json"]));
        let hits: Value = serde_json::from_str(&stdout(&output)).expect("one JSON object a query");
        let hits = hits["hits"].as_array().expect("hits").iter();
        hits.map(|hit| hit["score"].as_f64().expect("a score")).collect()
    }

    /// What `index.json` says of how the index was made.
    fn detail(&self, index: &str, key: &str) -> Value {
        let manifest = bytes(&self.path(index).join("index.json"));
        let manifest: Value = serde_json::from_slice(&manifest).expect("the manifest is JSON");
        manifest["details"][key].clone()
    }

    /// A file of the model that is trained from the encoder, without its encoder being touched, and what was said.
    fn kept(&self, name: &str) -> (Value, String) {
        let mut command = sbmoe();
        command.args(["train", "--freeze-encoder", "--epochs", "1", "--keep", "last", "--overwrite"]);
        command.arg("--data").arg(&self.data).arg("--model").arg(&self.encoder);
        let output = succeeds(command.arg("--out").arg(self.path("run")));
        let file = bytes(&self.path("run").join("model").join(name));
        (serde_json::from_slice(&file).expect("a file of JSON"), stderr(&output))
    }
}

fn dot() -> Value {
    json!({"similarity_fn_name": "dot"})
}

#[test]
fn queries_and_documents_have_their_own_lengths_until_a_user_gives_one() {
    let place = Place::new();
    let sentence = json!({"max_seq_length": 30, "query_length": 5, "document_length": DOCUMENTS});
    place.say(&sentence, &dot(), &[]);
    let (sides, _) = place.encoded("sides", &[]);
    let lengths = ["max_length", "query_length"].map(|key| place.detail("sides", key));
    assert_eq!(lengths, [json!(DOCUMENTS), json!(5)]);
    // A query of six tokens with its special ones, and the same without its last word.
    let (long, short) = ("who lives among reeds", "who lives among");
    assert_eq!(place.scores("sides", long), place.scores("sides", short));
    let (one, _) = place.encoded("one", &["--max-length", "20"]);
    assert_eq!((one, place.detail("one", "query_length")), (sides, Value::Null), "documents are cut alike");
    assert_ne!(place.scores("one", long), place.scores("one", short), "queries are not");
    // A model that is trained from it reads as it does.
    let (kept, _) = place.kept(SENTENCE);
    let expected = json!({"max_seq_length": 30, "do_lower_case": false, "query_length": 5, "document_length": DOCUMENTS});
    assert_eq!(kept, expected);
    let card = String::from_utf8(bytes(&place.path("run/model/README.md"))).expect("text");
    assert!(card.contains("cut at 5 (queries) and 20 (documents) tokens"), "{card}");
}

#[test]
fn the_first_numbers_of_a_vector_are_compared_where_the_folder_says_so() {
    let place = Place::new();
    place.say(&json!({}), &dot(), &["Normalize"]);
    let (whole, _) = place.encoded("whole", &[]);
    let cut = json!({"similarity_fn_name": "dot", "truncate_dim": 4});
    place.say(&json!({}), &cut, &["Normalize"]);
    let (first, _) = place.encoded("first", &["--keep-pooled"]);
    // As in sentence-transformers, the module comes first: what is left is shorter than 1.
    let expected: Vec<f32> = whole.chunks(16).flat_map(|vector| vector[..4].to_vec()).collect();
    assert_eq!(first, expected);
    assert_eq!(place.scores("first", "who lives among reeds").len(), 20);
    let (cosine, _) = place.encoded("cosine", &["--similarity", "cos"]);
    for (vector, first) in cosine.chunks(4).zip(first.chunks(4)) {
        let norm = |vector: &[f32]| vector.iter().map(|v| v * v).sum::<f32>().sqrt();
        assert!((norm(vector) - 1.0).abs() < 1e-5 && norm(first) < 0.99, "{vector:?}");
        assert!((vector[0] * norm(first) - first[0]).abs() < 1e-6, "{vector:?}");
    }
    let mut again = sbmoe();
    again.arg("encode").arg("--model").arg(&place.encoder).arg("--from").arg(place.path("first"));
    succeeds(again.arg("--out").arg(place.path("again")));
    assert_eq!(place.vectors("again"), first, "stored pooled vectors stay whole");
    // Training says that it compares all of them, and so does what it leaves.
    let (kept, said) = place.kept(MODEL);
    assert!(said.contains("`truncate_dim` 4 is left out: training compares vectors of all 16"), "{said}");
    assert_eq!(kept.get("truncate_dim"), None);
}

#[test]
fn a_default_prompt_is_put_before_nothing_and_every_command_says_so_once() {
    let place = Place::new();
    place.say(&json!({}), &dot(), &[]);
    let (bare, said) = place.encoded("bare", &[]);
    assert!(!said.contains("warning"), "{said}");
    let scores = place.scores("bare", "who lives among reeds");
    let default = json!({"prompts": {"any": "people know "}, "default_prompt_name": "any", "similarity_fn_name": "dot"});
    place.say(&json!({}), &default, &[]);
    let (vectors, encoded) = place.encoded("default", &[]);
    assert_eq!(vectors, bare);
    assert_eq!(place.scores("default", "who lives among reeds"), scores);
    let searched = stderr(&succeeds(&mut place.search(&place.encoder, "default", "reeds", &[])));
    let (kept, trained) = place.kept(MODEL);
    for said in [encoded, searched, trained] {
        let warning = "the default prompt `any` is not put before queries or documents";
        assert_eq!(said.matches(warning).count(), 1, "{said}");
    }
    // The trained model had no prompt, so that `encode` of sentence-transformers must not find a default one.
    assert_eq!(kept["default_prompt_name"], Value::Null);
    assert_eq!(kept["prompts"], json!({"any": "people know ", "query": "", "document": ""}));
}

#[test]
fn a_trained_model_keeps_the_prompts_that_it_was_trained_with() {
    let place = Place::new();
    for name in ["document", "passage", "corpus"] {
        let prompts = json!({"prompts": {"query": "who ", name: "it "}, "default_prompt_name": "query"});
        place.say(&json!({}), &prompts, &[]);
        let (kept, _) = place.kept(MODEL);
        let mut expected = json!({"query": "who ", "document": "it "});
        expected[name] = json!("it ");
        assert_eq!((&kept["prompts"], &kept["default_prompt_name"]), (&expected, &json!("query")));
        succeeds(&mut place.encode(&place.encoder, name, &["--keep-pooled"]));
        succeeds(&mut place.encode(&place.path("run/model"), &format!("{name}-trained"), &["--keep-pooled"]));
        let pooled = |index: &str| bytes(&place.path(index).join("pooled.npy"));
        assert!(pooled(name) == pooled(&format!("{name}-trained")), "{name}");
    }
}

#[test]
fn a_folder_that_is_silent_about_similarity_is_warned_about() {
    let place = Place::new();
    let warning = "sentence-transformers would compare them by cosine, as `--similarity cos` does";
    let warned = |more: &[&str]| place.encoded(&more.join("-"), more).1.contains(warning);
    place.say(&json!({}), &json!({}), &[]);
    assert!(!warned(&["--similarity=dot"]), "a user who says it knows it");
    assert!(!warned(&["--normalize=on"]) && warned(&["--normalize=auto"]));
    place.say(&json!({}), &dot(), &[]);
    assert!(!warned(&["--threads=1"]));
}
