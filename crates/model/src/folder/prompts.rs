//! `config_sentence_transformers.json`: prompts, and how vectors are meant to be compared.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{FolderError, json_file};

/// The file's name.
pub(super) const FILE: &str = "config_sentence_transformers.json";

/// Texts that are put before what is encoded, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prompts {
    /// Name → prompt; `query` and `document` are the usual names.
    pub by_name: BTreeMap<String, String>,
    /// The prompt for texts of no particular kind.
    pub default_name: Option<String>,
}

impl Prompts {
    /// What is put before a query: the prompt `query`, else the default one, else nothing.
    pub fn query(&self) -> &str {
        self.first_of(&["query"])
    }

    /// What is put before a document: the prompt `document`, `passage` or `corpus`, else the default one, else
    /// nothing.
    pub fn document(&self) -> &str {
        self.first_of(&["document", "passage", "corpus"])
    }

    /// Whether no prompt adds anything.
    pub fn are_empty(&self) -> bool {
        self.by_name.values().all(String::is_empty)
    }

    fn first_of(&self, names: &[&str]) -> &str {
        let named = names.iter().find_map(|name| self.by_name.get(*name));
        let default = || self.default_name.as_ref().and_then(|name| self.by_name.get(name));
        named.or_else(default).map_or("", String::as_str)
    }
}

/// How two vectors are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Similarity {
    /// The dot product of the vectors as they are.
    Dot,
    /// The cosine of their angle.
    Cosine,
}

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    prompts: Option<BTreeMap<String, String>>,
    #[serde(default)]
    default_prompt_name: Option<String>,
    #[serde(default)]
    similarity_fn_name: Option<String>,
}

/// Reads the file; without it there are no prompts and no similarity is given.
pub(super) fn read(dir: &Path) -> Result<(Prompts, Option<Similarity>), FolderError> {
    let path = dir.join(FILE);
    let Some(config) = json_file::read_if_there::<Config>(&path)? else {
        return Ok((Prompts::default(), None));
    };
    let similarity = match config.similarity_fn_name.as_deref() {
        None => None,
        Some("dot" | "dot_product") => Some(Similarity::Dot),
        Some("cosine" | "cos_sim") => Some(Similarity::Cosine),
        Some(other) => {
            return Err(FolderError::Unsupported {
                path,
                key: "`similarity_fn_name`".to_owned(),
                found: other.to_owned(),
                supported: "`dot`, `cosine`".to_owned(),
            });
        }
    };
    let by_name = config.prompts.unwrap_or_default();
    if let Some(name) = config.default_prompt_name.as_ref().filter(|name| !by_name.contains_key(*name)) {
        let reason = format!("`default_prompt_name` is `{name}`, which is not among the prompts");
        return Err(FolderError::Invalid { path, reason });
    }
    Ok((Prompts { by_name, default_name: config.default_prompt_name }, similarity))
}

/// The file's content; the similarity is always said, since sentence-transformers would otherwise take the cosine.
pub(super) fn to_json(prompts: &Prompts, similarity: Similarity) -> Value {
    let mut by_name = prompts.by_name.clone();
    for name in ["query", "document"] {
        by_name.entry(name.to_owned()).or_default();
    }
    json!({
        "model_type": "SentenceTransformer",
        // The oldest releases whose folders look like this one; the readers only compare them with their own.
        "__version__": { "sentence_transformers": "5.0.0", "transformers": "4.41.0", "pytorch": "2.0.0" },
        "prompts": by_name,
        "default_prompt_name": prompts.default_name,
        "similarity_fn_name": match similarity {
            Similarity::Dot => "dot",
            Similarity::Cosine => "cosine",
        },
    })
}
