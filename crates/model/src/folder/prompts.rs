//! `config_sentence_transformers.json`: prompts, and how vectors are meant to be compared.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::keys::{self, harmless};
use super::{FolderError, json_file};

/// The file's name.
pub(super) const FILE: &str = "config_sentence_transformers.json";

/// The names of prompts for documents, the first of which that is there is taken.
const OF_DOCUMENTS: [&str; 3] = ["document", "passage", "corpus"];

/// Texts that are put before what is encoded, by name.
///
/// Queries and documents get what sentence-transformers' documentation says of `encode_query` and `encode_document`: a
/// prompt of their own name, never the default one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prompts {
    /// Name → prompt; `query` and `document` are the usual names.
    pub by_name: BTreeMap<String, String>,
    /// The prompt for texts of no particular kind, of which there are none here.
    pub default_name: Option<String>,
}

impl Prompts {
    /// What is put before a query: the prompt `query`, else nothing.
    pub fn query(&self) -> &str {
        self.first_of(&["query"])
    }

    /// What is put before a document: the prompt `document`, `passage` or `corpus`, else nothing.
    pub fn document(&self) -> &str {
        self.first_of(&OF_DOCUMENTS)
    }

    /// Whether no prompt adds anything.
    pub fn are_empty(&self) -> bool {
        self.by_name.values().all(String::is_empty)
    }

    fn first_of(&self, names: &[&str]) -> &str {
        names.iter().find_map(|name| self.by_name.get(*name)).map_or("", String::as_str)
    }

    /// The default prompt's name and text, where there is a text.
    fn default(&self) -> Option<(&str, &str)> {
        let name = self.default_name.as_deref()?;
        self.by_name.get(name).filter(|prompt| !prompt.is_empty()).map(|prompt| (name, prompt.as_str()))
    }

    /// Where sentence-transformers puts something else before a text, or does so in some of its methods.
    fn warnings(&self, path: &Path) -> Vec<String> {
        let path = path.display();
        let mut warnings = Vec::new();
        let (query, document) = (self.query().is_empty(), self.document().is_empty());
        if let Some((name, _)) = self.default().filter(|_| query || document) {
            let sides = match (query, document) {
                (true, true) => "queries or documents",
                (true, false) => "queries",
                (false, _) => "documents",
            };
            warnings.push(format!(
                "`{path}`: the default prompt `{name}` is not put before {sides}, as in sentence-transformers' \
                 `encode_query` and `encode_document`, while its `encode` puts it before every text; to have it, add it \
                 to the prompts as `query` or `document`"
            ));
        }
        let name = OF_DOCUMENTS.iter().find(|name| self.by_name.contains_key(**name));
        if let Some(name) = name.filter(|name| **name != "document" && !document) {
            warnings.push(format!(
                "`{path}`: the prompt `{name}` is put before documents, while sentence-transformers 5 and 6 put nothing \
                 there unless it is called `document`; add it to the prompts under that name, as a model that is trained \
                 from this one has it"
            ));
        }
        warnings
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
    /// Null is nothing, as for sentence-transformers.
    prompts: Option<BTreeMap<String, Option<String>>>,
    default_prompt_name: Option<String>,
    similarity_fn_name: Option<String>,
    truncate_dim: Option<usize>,
    model_type: Option<String>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

/// What the file says.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) prompts: Prompts,
    pub(super) similarity: Option<Similarity>,
    pub(super) truncate_dim: Option<usize>,
    pub(super) warnings: Vec<String>,
}

/// Reads the file; without it there are no prompts and no similarity is given.
pub(super) fn read(dir: &Path) -> Result<Model, FolderError> {
    let path = dir.join(FILE);
    let Some(config) = json_file::read_if_there::<Config>(&path)? else { return Ok(Model::default()) };
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
    if config.truncate_dim == Some(0) {
        let reason = "`truncate_dim` is 0, which leaves no number of a vector; give at least 1".to_owned();
        return Err(FolderError::Invalid { path, reason });
    }
    let given = config.prompts.unwrap_or_default();
    let by_name: BTreeMap<String, String> =
        given.into_iter().map(|(name, prompt)| (name, prompt.unwrap_or_default())).collect();
    // These two are there, empty, where nothing gives them a text.
    let is_known =
        |name: &String| by_name.contains_key(name) || ["query", "document"].contains(&name.as_str());
    if let Some(name) = config.default_prompt_name.as_ref().filter(|name| !is_known(name)) {
        let reason = format!("`default_prompt_name` is `{name}`, which is not among the prompts");
        return Err(FolderError::Invalid { path, reason });
    }
    let prompts = Prompts { by_name, default_name: config.default_prompt_name };
    let mut warnings = prompts.warnings(&path);
    if let Some(other) = config.model_type.filter(|kind| kind != "SentenceTransformer") {
        warnings.push(keys::warning(&path, "model_type", &json!(other)));
    }
    warnings.extend(keys::unknown(&path, "", &config.others, &harmless::MODEL));
    Ok(Model { prompts, similarity, truncate_dim: config.truncate_dim, warnings })
}

/// The file's content. What was put before queries and documents stands there by these names, which every reader takes;
/// a default prompt that was put before neither is left out, so that `encode` of sentence-transformers does not add it.
/// The similarity is always said, since sentence-transformers would otherwise take the cosine.
pub(super) fn to_json(prompts: &Prompts, similarity: Similarity) -> Value {
    let mut by_name = prompts.by_name.clone();
    for (name, prompt) in [("query", prompts.query()), ("document", prompts.document())] {
        by_name.entry(name.to_owned()).or_insert_with(|| prompt.to_owned());
    }
    let was_used = |prompt: &str| [prompts.query(), prompts.document()].contains(&prompt);
    let default = prompts.default().filter(|(_, prompt)| was_used(prompt)).map(|(name, _)| name);
    json!({
        "model_type": "SentenceTransformer",
        // The oldest releases whose folders look like this one; the readers only compare them with their own.
        "__version__": { "sentence_transformers": "5.0.0", "transformers": "4.41.0", "pytorch": "2.0.0" },
        "prompts": by_name,
        "default_prompt_name": default,
        "similarity_fn_name": match similarity {
            Similarity::Dot => "dot",
            Similarity::Cosine => "cosine",
        },
    })
}
