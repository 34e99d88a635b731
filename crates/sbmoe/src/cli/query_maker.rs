//! The rule by which a model answers an index: vectors of queries are made as those of the documents were.

use anyhow::{Result, ensure};
use sbmoe_model::moe::Gate;
use serde_json::Value;

use super::model_arguments::ModelArguments;
use super::vector_arguments::VectorArguments;
use crate::encoding::{Normalize, VectorMaker};
use crate::index_folder::Index;

/// The model as the index wants it: its gate, its similarity, its maximum length, unless switches say otherwise.
///
/// Another model, gate, similarity or seed than the index was made with is refused, unless `force` is on.
pub(super) fn query_maker(
    index: &Index,
    model: &ModelArguments,
    vectors: &VectorArguments,
    few_texts: bool,
    force: bool,
) -> Result<VectorMaker> {
    let manifest = index.manifest();
    let folder = index.folder().path().display();
    let max_length = manifest.details.get("max_length").and_then(Value::as_u64).map(|n| n as usize);
    let (retriever, fingerprint) = model.open_with_fingerprint(max_length)?;
    let mut arguments = vectors.clone();
    let has_block = retriever.architecture.block.is_some();
    if arguments.gate.is_none() && has_block && manifest.gate != "none" {
        arguments.gate = manifest.gate.parse().ok();
    }
    let seed = manifest.details.get("seed").and_then(Value::as_u64);
    if arguments.seed.is_none() {
        arguments.seed = seed;
    }
    if !force {
        let gate = arguments.gate.map_or_else(|| "none".to_owned(), |gate| gate.to_string());
        index.check_queries(&model.model, &fingerprint, &gate)?;
    }
    arguments.similarity.get_or_insert(manifest.similarity);
    if arguments.normalize == Normalize::Auto {
        arguments.normalize = if manifest.normalize { Normalize::On } else { Normalize::Off };
    }
    let maker = arguments.maker(retriever, few_texts)?;
    let compares =
        |similarity, normalize: bool| format!("{similarity}{}", if normalize { ", normalised" } else { "" });
    let (asked, made) =
        (compares(maker.similarity, maker.normalize), compares(manifest.similarity, manifest.normalize));
    ensure!(
        force || asked == made,
        "the index in `{folder}` compares by {made}, not by {asked}: leave `--similarity` and `--normalize` out, or encode \
         the collection again"
    );
    ensure!(
        force || maker.gate != Some(Gate::Random) || vectors.seed.is_none() || vectors.seed == seed,
        "the index in `{folder}` was made with another seed of the random gate: leave `--seed` out, or encode again"
    );
    Ok(maker)
}
