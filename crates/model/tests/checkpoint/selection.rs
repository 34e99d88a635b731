//! Choosing a model's tensors from a file, whatever names it uses.

use sbmoe_model::checkpoint::names::canonical;
use sbmoe_model::checkpoint::{Checkpoint, CheckpointError, Wanted};

use crate::samples::{expected, put, safetensors, sample};

fn wanted(tensors: &[(&str, &[usize])]) -> Vec<Wanted> {
    tensors.iter().map(|(name, shape)| Wanted { name: (*name).to_owned(), shape: shape.to_vec() }).collect()
}

#[test]
fn prefixes_and_older_layer_norms_are_understood() {
    let wanted = wanted(&[
        ("embeddings.LayerNorm.bias", &[4]),
        ("embeddings.LayerNorm.weight", &[4]),
        ("encoder.layer.0.attention.self.query.weight", &[3, 4]),
    ]);
    let state = expected("state");
    for file in ["legacy.bin", "gamma_beta.bin"] {
        let checkpoint = Checkpoint::open_file(&sample(&format!("checkpoint/{file}"))).unwrap();
        let selection = checkpoint.select(&wanted).unwrap();
        let names = [
            "bert.embeddings.LayerNorm.bias",
            "bert.embeddings.LayerNorm.weight",
            "bert.encoder.layer.0.attention.self.query.weight",
        ];
        for (name, tensor) in names.iter().zip(selection.tensors().map(Result::unwrap)) {
            assert_eq!(tensor, state[*name], "{file}");
        }
        // The head of pre-training and the positions are passed over in silence; the rest is named.
        assert!(selection.unexpected.contains(&"scale".to_owned()), "{:?}", selection.unexpected);
        assert!(selection.unexpected.contains(&"bert.embeddings.word_embeddings.weight".to_owned()));
        assert!(
            !selection
                .unexpected
                .iter()
                .any(|name| name.starts_with("cls.") || name.contains("position_ids"))
        );
    }
}

#[test]
fn everything_that_does_not_fit_is_listed_at_once() {
    let checkpoint = Checkpoint::open_file(&sample("checkpoint/zip.bin")).unwrap();
    let error = checkpoint
        .select(&wanted(&[
            ("embeddings.word_embeddings.weight", &[7, 4]),
            ("embeddings.LayerNorm.weight", &[4]),
            ("encoder.layer.1.output.dense.bias", &[4]),
            ("encoder.layer.1.output.dense.weight", &[4, 4]),
            ("scale", &[1]),
        ]))
        .unwrap_err()
        .to_string();
    assert!(
        error.ends_with(
            "zip.bin` does not fit the model: missing `encoder.layer.1.output.dense.bias`, \
             `encoder.layer.1.output.dense.weight`, `embeddings.word_embeddings.weight` has shape [5, 4] where [7, 4] is \
             expected, `scale` has shape [] where [1] is expected"
        ),
        "{error}"
    );
}

#[test]
fn renaming_drops_what_has_no_name() {
    let checkpoint = Checkpoint::open_file(&sample("checkpoint/zip.bin")).unwrap();
    let renamed = checkpoint.rename(|name| name.strip_prefix("bert.embeddings.").map(str::to_owned)).unwrap();
    let names: Vec<&str> = renamed.names().collect();
    assert_eq!(names, ["LayerNorm.bias", "LayerNorm.weight", "position_ids", "word_embeddings.weight"]);
    assert_eq!(renamed.get("LayerNorm.bias").unwrap(), expected("state")["bert.embeddings.LayerNorm.bias"]);
}

#[test]
fn two_names_for_one_tensor_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let header = r#"{"bert.a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#;
    let path = put(dir.path(), "twice.safetensors", safetensors(header, &[0; 8]));
    let error = Checkpoint::open_file(&path).unwrap().select(&wanted(&[("a", &[1])])).unwrap_err();
    assert!(matches!(error, CheckpointError::SameName { .. }), "{error}");
    let error = Checkpoint::open_file(&path).unwrap().rename(|name| Some(canonical(name))).unwrap_err();
    assert!(
        error.to_string().ends_with("holds both `a` and `bert.a`, which are two names for `a`"),
        "{error}"
    );
}

#[test]
fn canonical_names_touch_nothing_else() {
    for name in [
        "gate.hidden.weight",
        "experts.0.up.bias",
        "fit_denses.0.weight",
        "LayerNorm.gamma_extra",
        "albert.a",
    ] {
        assert_eq!(canonical(name), name);
    }
    assert_eq!(
        canonical("bert.encoder.layer.0.output.LayerNorm.beta"),
        "encoder.layer.0.output.LayerNorm.bias"
    );
}
