//! A made-up collection and a random encoder that knows its words: small enough to train within a test.
//!
//! Everything is a function of constants, so that two tests see the same bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use sbmoe_kernels::{Key, Pooling};
use sbmoe_model::architecture::Architecture;
use sbmoe_model::checkpoint::{NamedTensor, write_safetensors};
use sbmoe_model::folder::BertConfig;
use serde_json::{Value, json};
use tempfile::TempDir;

/// An animal, where it lives, what it eats, what it is known for: a document each.
const ANIMALS: [[&str; 4]; 20] = [
    ["heron", "reeds", "frogs", "patience"],
    ["otter", "rivers", "crabs", "play"],
    ["badger", "burrows", "worms", "digging"],
    ["falcon", "cliffs", "pigeons", "speed"],
    ["beaver", "lodges", "bark", "dams"],
    ["gecko", "walls", "moths", "climbing"],
    ["walrus", "ice", "clams", "tusks"],
    ["camel", "deserts", "thorns", "thirst"],
    ["mole", "tunnels", "grubs", "darkness"],
    ["puffin", "islands", "herring", "colour"],
    ["bison", "prairies", "grass", "herds"],
    ["lynx", "forests", "hares", "silence"],
    ["koala", "eucalypts", "leaves", "sleep"],
    ["urchin", "reefs", "kelp", "spines"],
    ["bat", "caves", "midges", "echoes"],
    ["ibex", "peaks", "lichen", "balance"],
    ["toad", "gardens", "slugs", "warts"],
    ["stork", "chimneys", "voles", "travel"],
    ["squid", "depths", "shrimp", "ink"],
    ["yak", "plateaus", "sedge", "wool"],
];

/// Queries of the splits: training, dev, test, in this order.
const QUERIES: [usize; 3] = [12, 4, 4];

/// A folder that is removed at the end, with the collection and the encoder in it.
pub(crate) struct Place {
    pub(crate) folder: TempDir,
    pub(crate) data: PathBuf,
    pub(crate) model: PathBuf,
}

impl Place {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (data, model) = (write_collection(folder.path()), write_model(folder.path()));
        Self { folder, data, model }
    }

    /// Three questions about each animal take the place of the queries: question `3 a + k` asks about animal `a`. No split
    /// judges any of them yet.
    pub(crate) fn ask_everything(&self) {
        let mut queries = String::new();
        for (place, animal) in ANIMALS.iter().enumerate() {
            for kind in 0..3 {
                let id = format!("q{}", 3 * place + kind);
                writeln!(queries, "{}", json!({"_id": id, "text": question(kind, animal)})).unwrap();
            }
        }
        fs_err::write(self.data.join("queries.jsonl"), queries).unwrap();
        for split in ["train", "dev", "test"] {
            fs_err::remove_file(self.data.join(format!("qrels/{split}.tsv"))).unwrap();
        }
    }

    /// The judgments of a split: questions with the animals that answer them.
    pub(crate) fn judge(&self, split: &str, answers: impl IntoIterator<Item = (usize, usize)>) {
        let mut qrels = "query-id\tcorpus-id\tscore\n".to_owned();
        for (question, animal) in answers {
            writeln!(qrels, "q{question}\td{}\t1", animal + 1).unwrap();
        }
        fs_err::write(self.data.join(format!("qrels/{split}.tsv")), qrels).unwrap();
    }
}

/// How many animals, and documents, there are.
pub(crate) const N_ANIMALS: usize = ANIMALS.len();

/// A question that one animal answers.
fn question(kind: usize, [_, home, food, fame]: &[&str; 4]) -> String {
    match kind {
        0 => format!("what feeds on {food}"),
        1 => format!("which animal do people know for {fame}"),
        _ => format!("who lives among {home}"),
    }
}

/// A BEIR folder of 20 documents and 12 training, 4 dev and 4 test queries.
pub(crate) fn write_collection(parent: &Path) -> PathBuf {
    let folder = parent.join("animals");
    fs_err::create_dir_all(folder.join("qrels")).unwrap();
    let (mut corpus, mut queries) = (String::new(), String::new());
    for (number, facts @ [animal, home, food, fame]) in (1..).zip(&ANIMALS) {
        let text = format!("It lives among {home} and feeds on {food}; people know it for {fame}.");
        writeln!(
            corpus,
            "{}",
            json!({"_id": format!("d{number}"), "title": format!("The {animal}"), "text": text})
        )
        .unwrap();
        writeln!(queries, "{}", json!({"_id": format!("q{number}"), "text": question(number % 3, facts)}))
            .unwrap();
    }
    fs_err::write(folder.join("corpus.jsonl"), corpus).unwrap();
    fs_err::write(folder.join("queries.jsonl"), queries).unwrap();
    let mut first = 1;
    for (split, count) in ["train", "dev", "test"].iter().zip(QUERIES) {
        let mut qrels = "query-id\tcorpus-id\tscore\n".to_owned();
        for number in first..first + count {
            // The neighbour was looked at and does not answer.
            let neighbour = number % ANIMALS.len() + 1;
            write!(qrels, "q{number}\td{number}\t2\nq{number}\td{neighbour}\t0\n").unwrap();
        }
        fs_err::write(folder.join(format!("qrels/{split}.tsv")), qrels).unwrap();
        first += count;
    }
    folder
}

/// A Hugging Face folder with a random BERT: 2 layers, hidden size 16, 2 heads, 64 positions.
pub(crate) fn write_model(parent: &Path) -> PathBuf {
    let glue = "the it lives among and feeds on people know for what which animal do who . ;";
    write_model_of(parent, ANIMALS.iter().flatten().copied().chain(glue.split(' ')).collect())
}

/// The same encoder with a vocabulary of other words.
pub(crate) fn write_model_of(parent: &Path, words: BTreeSet<&str>) -> PathBuf {
    let folder = parent.join("tiny-bert");
    fs_err::create_dir_all(&folder).unwrap();
    let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
    let vocabulary: Vec<&str> = special.into_iter().chain(words).collect();
    let config = json!({
        "model_type": "bert",
        "vocab_size": vocabulary.len(),
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "max_position_embeddings": 64,
    });
    fs_err::write(folder.join("config.json"), config.to_string()).unwrap();
    fs_err::write(folder.join("vocab.txt"), vocabulary.join("\n")).unwrap();

    let bert: BertConfig = serde_json::from_value(config).unwrap();
    let layout = Architecture::new(bert, Pooling::Mean, None).layout;
    let values: Vec<Vec<f32>> =
        layout.parameters().iter().map(|parameter| random(&parameter.name, parameter.len())).collect();
    let tensors: Vec<NamedTensor<'_>> = layout
        .parameters()
        .iter()
        .zip(&values)
        .map(|(parameter, values)| NamedTensor { name: &parameter.name, shape: &parameter.shape, values })
        .collect();
    write_safetensors(&folder.join("model.safetensors"), &tensors, &BTreeMap::new()).unwrap();
    folder
}

/// Normal weights; layer norms begin as 1 and 0.
fn random(name: &str, count: usize) -> Vec<f32> {
    if name.contains("LayerNorm") {
        return vec![if name.ends_with("weight") { 1.0 } else { 0.0 }; count];
    }
    let key = Key::new(1).purpose(name);
    (0..count as u64).map(|place| (0.3 * key.with(place).normal()) as f32).collect()
}

/// Makes a model's folder one of sentence-transformers, with these modules; it says nothing of similarity.
pub(crate) fn write_modules(folder: &Path, classes: &[&str]) {
    let module = |(idx, class): (usize, &&str)| {
        let path = if idx == 0 { String::new() } else { format!("{idx}_{class}") };
        json!({"idx": idx, "name": "", "path": path, "type": format!("sentence_transformers.models.{class}")})
    };
    let modules: Value = classes.iter().enumerate().map(module).collect();
    for (name, content) in
        [("modules.json", modules), ("1_Pooling/config.json", json!({"pooling_mode": "mean"}))]
    {
        let path = folder.join(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, content.to_string()).unwrap();
    }
}
