//! The model card: a README.md whose front matter the hub reads.

use serde_json::json;

/// What a model card says beyond what the folder itself tells.
#[derive(Clone, Debug, Default)]
pub struct ModelCard {
    /// The heading, for example the run's name.
    pub title: String,
    /// The model on the hub that this one was trained from; omitted unless of the form `owner/name`.
    pub base_model: Option<String>,
    /// Markdown paragraphs: the data, the settings, where the numbers come from.
    pub text: String,
    /// Scores that are worth showing.
    pub results: Vec<CardResult>,
}

/// A score of a model card.
#[derive(Clone, Debug, PartialEq)]
pub struct CardResult {
    /// The collection and split, such as `scifact test`.
    pub collection: String,
    /// The measure, such as `nDCG@10`.
    pub measure: String,
    /// Its value.
    pub value: f64,
}

impl ModelCard {
    /// The Markdown of `README.md`. Values of the front matter are written as JSON strings, which YAML reads.
    pub(super) fn to_markdown(&self, has_block: bool) -> String {
        let mut card = String::from("---\nlibrary_name: sentence-transformers\npipeline_tag: sentence-similarity\n");
        card += "tags:\n- sentence-transformers\n- sentence-similarity\n- feature-extraction\n- dense-retrieval\n";
        if has_block {
            card += "- mixture-of-experts\n- sb-moe\n";
        }
        if let Some(base) = self.base_model.as_deref().filter(|base| is_hub_name(base)) {
            card += &format!("base_model: {}\n", json!(base));
        }
        card += &self.model_index();
        card += &format!("---\n\n# {}\n\n", self.title.trim());
        if !self.text.trim().is_empty() {
            card += &format!("{}\n\n", self.text.trim());
        }
        card += &self.table();
        card += &usage(has_block);
        card
    }

    fn model_index(&self) -> String {
        if self.results.is_empty() {
            return String::new();
        }
        let mut index = format!("model-index:\n- name: {}\n  results:\n", json!(self.title.trim()));
        for CardResult { collection, measure, value } in &self.results {
            index += "  - task:\n      type: information-retrieval\n";
            index += &format!("    dataset:\n      name: {0}\n      type: {0}\n", json!(collection));
            index += &format!("    metrics:\n    - type: {}\n      value: {}\n", json!(measure), json!(value));
        }
        index
    }

    fn table(&self) -> String {
        if self.results.is_empty() {
            return String::new();
        }
        let mut table = String::from("| collection | measure | value |\n|---|---|---|\n");
        for CardResult { collection, measure, value } in &self.results {
            table += &format!("| {collection} | {measure} | {value:.4} |\n");
        }
        table + "\n"
    }
}

fn is_hub_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    name.split_once('/').is_some_and(|(owner, model)| {
        [owner, model].iter().all(|part| part.starts_with(|c: char| c.is_ascii_alphanumeric()) && part.chars().all(allowed))
    })
}

fn usage(has_block: bool) -> String {
    let (note, argument) = if has_block {
        (
            "The mixture-of-experts block behind the encoder is the small module `sbmoe.py` beside this file, which \
             sentence-transformers runs only if it is told to trust it.\nServers that skip modules they do not know \
             would serve the vectors of the encoder alone.\n",
            ", trust_remote_code=True",
        )
    } else {
        ("", "")
    };
    format!(
        "## Use\n\nVectors are compared by dot product.\n{note}\n```python\nfrom sentence_transformers import \
         SentenceTransformer\n\nmodel = SentenceTransformer(\"path/to/this/folder\"{argument})\nqueries = \
         model.encode([\"what is a dense retriever?\"])\ndocuments = model.encode([\"a passage\", \"another \
         one\"])\nscores = model.similarity(queries, documents)\n```\n"
    )
}
