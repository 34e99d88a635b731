//! The keys of the authors' own state dictionaries (FaySokli/SB-MoE), translated into ours.

/// Our name for a key of an authors' file; `None` for what a retriever does not need.
///
/// `doc_model.*` is the encoder, `specializer.{i}.query_embedding_changer_{1,4}` are an expert's layers, `cls_1` and `cls_3`
/// the gate's, `noise_linear` the noise head.
pub fn canonical(key: &str) -> Option<String> {
    if let Some(encoder) = key.strip_prefix("doc_model.") {
        return Some(encoder.to_owned());
    }
    if let Some(rest) = key.strip_prefix("specializer.") {
        let (number, layer) = rest.split_once('.')?;
        let (layer, kind) = layer.strip_prefix("query_embedding_changer_")?.split_once('.')?;
        let layer = match layer {
            "1" => "down",
            "4" => "up",
            _ => return None,
        };
        return Some(format!("experts.{number}.{layer}.{kind}"));
    }
    [("cls_1.", "gate.hidden."), ("cls_3.", "gate.output."), ("noise_linear.", "noise.")]
        .iter()
        .find_map(|(theirs, ours)| key.strip_prefix(theirs).map(|kind| format!("{ours}{kind}")))
}

/// The number of experts among canonical names: one more than the highest number, 0 without any.
pub fn n_experts<'a>(names: impl Iterator<Item = &'a str>) -> usize {
    let number = |name: &str| name.strip_prefix("experts.")?.split_once('.')?.0.parse::<usize>().ok();
    names.filter_map(number).map(|number| number + 1).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_the_authors_model_has_our_name() {
        for (theirs, ours) in [
            ("doc_model.encoder.layer.0.output.dense.bias", "encoder.layer.0.output.dense.bias"),
            ("specializer.11.query_embedding_changer_1.weight", "experts.11.down.weight"),
            ("specializer.0.query_embedding_changer_4.bias", "experts.0.up.bias"),
            ("cls_1.weight", "gate.hidden.weight"),
            ("cls_3.bias", "gate.output.bias"),
            ("noise_linear.weight", "noise.weight"),
        ] {
            assert_eq!(canonical(theirs).as_deref(), Some(ours));
        }
        assert_eq!(canonical("specializer.0.dropout.weight"), None);
        assert_eq!(canonical("loss.weight"), None);
    }

    #[test]
    fn experts_are_counted_by_their_highest_number() {
        assert_eq!(
            n_experts(["experts.0.up.bias", "experts.10.up.bias", "gate.hidden.bias"].into_iter()),
            11
        );
        assert_eq!(n_experts(["gate.hidden.bias"].into_iter()), 0);
    }
}
