//! The one name of a tensor that checkpoints of different years and heads give several names to.

/// The name without the prefix `bert.`, with `weight` and `bias` for the layer norm's older `gamma` and `beta`.
///
/// ```
/// use sbmoe_model::checkpoint::names::canonical;
///
/// assert_eq!(canonical("bert.embeddings.LayerNorm.gamma"), "embeddings.LayerNorm.weight");
/// assert_eq!(canonical("encoder.layer.0.output.dense.bias"), "encoder.layer.0.output.dense.bias");
/// ```
pub fn canonical(name: &str) -> String {
    let name = name.strip_prefix("bert.").unwrap_or(name);
    if let Some(layer) = name.strip_suffix("LayerNorm.gamma") {
        return format!("{layer}LayerNorm.weight");
    }
    if let Some(layer) = name.strip_suffix("LayerNorm.beta") {
        return format!("{layer}LayerNorm.bias");
    }
    name.to_owned()
}

/// Whether a canonical name belongs to a part that an encoder does without: the heads of pre-training, the pooler,
/// and the buffer of positions.
pub(super) fn is_dispensable(canonical: &str) -> bool {
    canonical.starts_with("cls.")
        || canonical.starts_with("pooler.")
        || canonical == "embeddings.position_ids"
        || canonical == "embeddings.token_type_ids"
}
