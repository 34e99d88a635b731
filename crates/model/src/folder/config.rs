//! `config.json`: the sizes and switches of a BERT encoder, and the refusal of everything that is none.

use std::path::Path;

use sbmoe_kernels::Activation;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{FolderError, json_file, keys};

/// The file's name.
const FILE: &str = "config.json";

/// The configuration of a BERT encoder, in the names of Hugging Face; absent keys take the defaults of their library.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BertConfig {
    /// Rows of the table of words.
    pub vocab_size: usize,
    /// `h`, the width of a token's vector.
    pub hidden_size: usize,
    /// Layers.
    pub num_hidden_layers: usize,
    /// Attention heads; they divide the hidden size.
    pub num_attention_heads: usize,
    /// The width of the feed-forward layer.
    pub intermediate_size: usize,
    /// The activation of the feed-forward layer (default `gelu`).
    #[serde(default)]
    pub hidden_act: HiddenAct,
    /// Dropout on hidden states in training (default 0.1).
    #[serde(default = "default_dropout")]
    pub hidden_dropout_prob: f64,
    /// Dropout on attention weights in training (default 0.1).
    #[serde(default = "default_dropout")]
    pub attention_probs_dropout_prob: f64,
    /// Rows of the table of positions: the longest input (default 512).
    #[serde(default = "default_positions")]
    pub max_position_embeddings: usize,
    /// Rows of the table of segment types (default 2).
    #[serde(default = "default_types")]
    pub type_vocab_size: usize,
    /// The ε of every layer norm (default 1e-12).
    #[serde(default = "default_epsilon")]
    pub layer_norm_eps: f64,
}

/// The most numbers of one table: more than any encoder has, and few enough that sizes in bytes cannot overflow.
pub(crate) const MOST_ELEMENTS: usize = 1 << 40;

/// The activations that BERT encoders come with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HiddenAct {
    /// `x Φ(x)` with the normal distribution's Φ (default).
    #[default]
    #[serde(alias = "gelu_python")]
    Gelu,
    /// Its approximation by tanh.
    #[serde(alias = "gelu_pytorch_tanh")]
    GeluNew,
    /// `max(x, 0)`.
    Relu,
}

impl HiddenAct {
    /// The operator that computes it.
    pub fn activation(self) -> Activation {
        match self {
            Self::Gelu => Activation::Gelu,
            Self::GeluNew => Activation::GeluTanh,
            Self::Relu => Activation::Relu,
        }
    }
}

/// Beginnings of the class names of other families, for configurations that say nothing but the class.
const OTHER_FAMILIES: [&str; 13] = [
    "Albert",
    "Camembert",
    "Deberta",
    "DistilBert",
    "Electra",
    "Ernie",
    "MPNet",
    "ModernBert",
    "MobileBert",
    "NomicBert",
    "Roberta",
    "T5",
    "XLM",
];

impl BertConfig {
    /// Reads `config.json` of an encoder's folder.
    ///
    /// A configuration without `model_type` is taken for BERT's if it has BERT's keys and names no class of another
    /// family; the shapes of the weights then have the last word.
    ///
    /// # Errors
    /// No such file, another architecture, or sizes that do not fit each other.
    pub fn read(dir: &Path) -> Result<Self, FolderError> {
        let path = dir.join(FILE);
        let Some(value) = json_file::read_if_there::<Value>(&path)? else {
            return Err(FolderError::NoModel { dir: dir.to_owned() });
        };
        refuse_others(&path, &value)?;
        let config: Self = serde_json::from_value(value)
            .map_err(|source| FolderError::Json { path: path.clone(), source })?;
        config.check(&path)?;
        Ok(config)
    }

    /// What the file says that is left out here: code of the model's own.
    pub(super) fn warnings(dir: &Path) -> Result<Vec<String>, FolderError> {
        let path = dir.join(FILE);
        let value: Value = json_file::read(&path)?;
        let found = value.get("auto_map").filter(|found| keys::says_something(found));
        Ok(found.map(|found| keys::warning(&path, "auto_map", found)).into_iter().collect())
    }

    /// The content of a `config.json` that other programs understand.
    pub(super) fn to_json(&self, pad_token_id: u32) -> Value {
        let mut value = json!(self);
        let others = json!({
            "architectures": ["BertModel"],
            "initializer_range": 0.02,
            "model_type": "bert",
            "pad_token_id": pad_token_id,
            "position_embedding_type": "absolute",
            "torch_dtype": "float32",
        });
        if let (Value::Object(object), Value::Object(others)) = (&mut value, others) {
            object.extend(others);
        }
        value
    }

    /// Refuses more layers than weights of `tensors` tensors can hold, before a name is made for each.
    pub(crate) fn check_layers(&self, dir: &Path, tensors: usize) -> Result<(), FolderError> {
        if self.num_hidden_layers <= tensors {
            return Ok(());
        }
        let layers = self.num_hidden_layers;
        let reason = format!(
            "`num_hidden_layers` is {layers}, but the weights beside it hold {tensors} tensors in all"
        );
        Err(FolderError::Invalid { path: dir.join(FILE), reason })
    }

    fn check(&self, path: &Path) -> Result<(), FolderError> {
        let invalid = |reason: String| Err(FolderError::Invalid { path: path.to_owned(), reason });
        let sizes = [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("num_attention_heads", self.num_attention_heads),
            ("intermediate_size", self.intermediate_size),
            ("max_position_embeddings", self.max_position_embeddings),
            ("type_vocab_size", self.type_vocab_size),
        ];
        if let Some((key, _)) = sizes.iter().find(|(_, size)| *size == 0) {
            return invalid(format!("`{key}` is 0"));
        }
        let (hidden, heads) = (self.hidden_size, self.num_attention_heads);
        if !hidden.is_multiple_of(heads) {
            return invalid(format!("`num_attention_heads` {heads} does not divide `hidden_size` {hidden}"));
        }
        // Every table and weight has one of these pairs as its shape; the weights themselves say how large they are.
        let fits = |rows: &usize| rows.checked_mul(hidden).is_some_and(|count| count <= MOST_ELEMENTS);
        if let Some((key, size)) = sizes.iter().find(|(_, size)| !fits(size)) {
            return invalid(format!(
                "`{key}` {size} with `hidden_size` {hidden} makes a table of more than {MOST_ELEMENTS} numbers"
            ));
        }
        let probabilities = [
            ("hidden_dropout_prob", self.hidden_dropout_prob),
            ("attention_probs_dropout_prob", self.attention_probs_dropout_prob),
        ];
        if let Some((key, rate)) = probabilities.iter().find(|(_, rate)| !(0.0..1.0).contains(rate)) {
            return invalid(format!("`{key}` is {rate}, not in 0 ≤ p < 1"));
        }
        if !(self.layer_norm_eps >= 0.0 && self.layer_norm_eps.is_finite()) {
            return invalid(format!("`layer_norm_eps` is {}", self.layer_norm_eps));
        }
        Ok(())
    }
}

/// Refuses what would load and give wrong vectors.
fn refuse_others(path: &Path, value: &Value) -> Result<(), FolderError> {
    let unsupported = |key: &str, found: &str, supported: &str| {
        let (key, found, supported) = (format!("`{key}`"), found.to_owned(), supported.to_owned());
        Err(FolderError::Unsupported { path: path.to_owned(), key, found, supported })
    };
    let text = |key: &str| value.get(key).and_then(Value::as_str);
    match text("model_type") {
        Some("bert") => {}
        Some(other) => {
            return unsupported("model_type", other, "`bert` (BERT, TinyBERT, MiniLM, Contriever)");
        }
        None => {
            let classes = value.get("architectures").and_then(Value::as_array);
            let mut classes = classes.into_iter().flatten().filter_map(Value::as_str);
            let other = classes.find(|class| OTHER_FAMILIES.iter().any(|family| class.starts_with(family)));
            if let Some(class) = other {
                return unsupported("architectures", class, "`BertModel` and the like, `Contriever`");
            }
        }
    }
    if let Some(kind) = text("position_embedding_type").filter(|kind| *kind != "absolute") {
        return unsupported("position_embedding_type", kind, "`absolute`");
    }
    let known = |act: &&str| serde_json::from_value::<HiddenAct>(json!(act)).is_ok();
    if let Some(act) = text("hidden_act").filter(|act| !known(act)) {
        return unsupported("hidden_act", act, "`gelu`, `gelu_new` (or `gelu_pytorch_tanh`), `relu`");
    }
    if value.get("is_decoder") == Some(&json!(true)) {
        return unsupported("is_decoder", "true", "`false`");
    }
    for key in ["quantization_config", "pruned_heads"] {
        if let Some(found) = value.get(key).filter(|found| keys::says_something(found)) {
            return unsupported(key, &found.to_string(), "none");
        }
    }
    // The weights of an adapter lie beside the encoder's, to which other programs add them.
    let adapter = path.with_file_name("adapter_config.json");
    if adapter.is_file() {
        return Err(FolderError::Unsupported {
            path: adapter,
            key: "the encoder with".to_owned(),
            found: "an adapter".to_owned(),
            supported: "encoders into whose weights it was merged (`merge_and_unload` of `peft`)".to_owned(),
        });
    }
    Ok(())
}

fn default_dropout() -> f64 {
    0.1
}

fn default_positions() -> usize {
    512
}

fn default_types() -> usize {
    2
}

fn default_epsilon() -> f64 {
    1e-12
}
