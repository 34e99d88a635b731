//! The model card: a README.md whose front matter the hub reads.

use serde_json::json;

use super::WriteFolder;
use crate::moe::Sides;

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
    pub(super) fn to_markdown(&self, model: &WriteFolder<'_>) -> String {
        let has_block = model.block.is_some();
        let mut sections = vec![self.front_matter(has_block), format!("# {}", self.title.trim())];
        if !self.text.trim().is_empty() {
            sections.push(self.text.trim().to_owned());
        }
        if !self.results.is_empty() {
            sections.push(self.table());
        }
        sections.push(usage(model));
        sections.join("\n\n")
    }

    fn front_matter(&self, has_block: bool) -> String {
        let mut lines = vec![
            "---".to_owned(),
            "library_name: sentence-transformers".to_owned(),
            "pipeline_tag: sentence-similarity".to_owned(),
            "tags:".to_owned(),
        ];
        let tags = ["sentence-transformers", "sentence-similarity", "feature-extraction", "dense-retrieval"];
        let of_block: &[&str] = if has_block { &["mixture-of-experts", "sb-moe"] } else { &[] };
        lines.extend(tags.iter().chain(of_block).map(|tag| format!("- {tag}")));
        if let Some(base) = self.base_model.as_deref().filter(|base| is_hub_name(base)) {
            lines.push(format!("base_model: {}", json!(base)));
        }
        if !self.results.is_empty() {
            lines.push(format!("model-index:\n- name: {}\n  results:", json!(self.title.trim())));
        }
        for CardResult { collection, measure, value } in &self.results {
            lines.push("  - task:\n      type: information-retrieval".to_owned());
            lines.push(format!("    dataset:\n      name: {0}\n      type: {0}", json!(collection)));
            lines.push(format!(
                "    metrics:\n    - type: {}\n      value: {}",
                json!(measure),
                json!(value)
            ));
        }
        lines.push("---".to_owned());
        lines.join("\n")
    }

    fn table(&self) -> String {
        let head = "| collection | measure | value |\n|---|---|---|".to_owned();
        let rows = self.results.iter().map(|CardResult { collection, measure, value }| {
            format!("| {collection} | {measure} | {value:.4} |")
        });
        std::iter::once(head).chain(rows).collect::<Vec<_>>().join("\n")
    }
}

fn is_hub_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    name.split_once('/').is_some_and(|(owner, model)| {
        [owner, model]
            .iter()
            .all(|part| part.starts_with(|c: char| c.is_ascii_alphanumeric()) && part.chars().all(allowed))
    })
}

fn usage(model: &WriteFolder<'_>) -> String {
    let (note, argument) = if model.block.is_some() {
        (
            "The block behind the encoder is the small module `sbmoe.py` beside this file, which sentence-transformers runs \
             only if it is told to trust it.\nServers that skip modules they do not know would serve the vectors of the \
             encoder alone.\n",
            ", trust_remote_code=True",
        )
    } else {
        ("", "")
    };
    let one_sided = match model.block.map(|block| block.config.sides) {
        None | Some(Sides::Both) => "",
        Some(Sides::Query) => "The block serves queries alone: documents keep the encoder's vectors.\n",
        Some(Sides::Document) => "The block serves documents alone: queries keep the encoder's vectors.\n",
    };
    let similarity = if model.normalize { "cosine" } else { "dot product" };
    format!(
        "## Use\n\nVectors are compared by {similarity}.\n{note}{one_sided}\n```python\nfrom sentence_transformers import \
         SentenceTransformer\n\nmodel = SentenceTransformer(\"path/to/this/folder\"{argument})\nqueries = \
         model.encode_query([\"what is a dense retriever?\"])\ndocuments = model.encode_document([\"a passage\", \"another \
         one\"])\nscores = model.similarity(queries, documents)\n```\n"
    )
}
