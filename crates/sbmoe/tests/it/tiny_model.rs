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
use serde_json::json;
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
}

/// A BEIR folder of 20 documents and 12 training, 4 dev and 4 test queries.
pub(crate) fn write_collection(parent: &Path) -> PathBuf {
    let folder = parent.join("animals");
    fs_err::create_dir_all(folder.join("qrels")).unwrap();
    let (mut corpus, mut queries) = (String::new(), String::new());
    for (number, [animal, home, food, fame]) in (1..).zip(ANIMALS) {
        let text = format!("It lives among {home} and feeds on {food}; people know it for {fame}.");
        writeln!(
            corpus,
            "{}",
            json!({"_id": format!("d{number}"), "title": format!("The {animal}"), "text": text})
        )
        .unwrap();
        let text = match number % 3 {
            0 => format!("what feeds on {food}"),
            1 => format!("which animal do people know for {fame}"),
            _ => format!("who lives among {home}"),
        };
        writeln!(queries, "{}", json!({"_id": format!("q{number}"), "text": text})).unwrap();
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
    let folder = parent.join("tiny-bert");
    fs_err::create_dir_all(&folder).unwrap();
    let vocabulary = vocabulary();
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

fn vocabulary() -> Vec<String> {
    let glue = "the it lives among and feeds on people know for what which animal do who . ;";
    let words: BTreeSet<&str> = ANIMALS.iter().flatten().copied().chain(glue.split(' ')).collect();
    let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
    special.into_iter().chain(words).map(str::to_owned).collect()
}
