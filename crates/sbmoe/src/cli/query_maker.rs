//! The rule by which a model answers an index: vectors of queries are made as those of the documents were.

use anyhow::{Result, ensure};
use sbmoe_index::{Manifest, Similarity};
use sbmoe_kernels::Cpu;
use sbmoe_model::moe::{Gate, Side};
use sbmoe_model::retriever::Retriever;
use serde_json::Value;

use super::model_arguments::ModelArguments;
use super::vector_arguments::VectorArguments;
use crate::encoding::{Normalize, VectorMaker};
use crate::index_folder::Index;

/// The model as the index wants it: its gate, its similarity, its lengths, unless switches say otherwise.
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
    let length = |key: &str| manifest.details.get(key).and_then(Value::as_u64).map(|n| n as usize);
    let (mut retriever, fingerprints) = model.open_with_fingerprint(length("max_length"))?;
    if let Some(length) = length("query_length") {
        retriever.set_query_length(length)?;
    }
    let mut arguments = vectors.clone();
    let serves_documents = retriever.block_serves(Side::Document);
    if arguments.gate.is_none() && serves_documents && manifest.gate != "none" {
        arguments.gate = manifest.gate.parse().ok();
    }
    let seed = manifest.details.get("seed").and_then(Value::as_u64);
    if arguments.seed.is_none() {
        arguments.seed = seed;
    }
    if !force {
        let gate = arguments.gate.filter(|_| serves_documents);
        let gate = gate.map_or_else(|| "none".to_owned(), |gate| gate.to_string());
        index.check_queries(&model.model, &fingerprints.documents, &gate)?;
        check_query_block(&retriever, index)?;
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

/// Refuses an index of the encoder's vectors as a block for queries alone was not trained against.
fn check_query_block(retriever: &Retriever<Cpu>, index: &Index) -> Result<()> {
    let by_cosine = retriever.architecture.normalize;
    let Manifest { similarity, normalize, .. } = index.manifest();
    let index_by_cosine = *normalize || *similarity == Similarity::Cos;
    let fits = !retriever.block_serves(Side::Query)
        || retriever.block_serves(Side::Document)
        || by_cosine == index_by_cosine;
    let name = |by_cosine| if by_cosine { "cosine" } else { "dot product" };
    ensure!(
        fits,
        "the model's block for queries was trained by {}, but the index compares by {}: encode the collection again with \
         this model",
        name(by_cosine),
        name(index_by_cosine)
    );
    Ok(())
}
