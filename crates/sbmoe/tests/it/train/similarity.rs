//! By what vectors are compared: as the encoder's folder means it, in training and by the saved model.

use serde_json::Value;

use crate::program::{bytes, fails, stderr, succeeds};
use crate::tiny_model::{Place, write_modules};

const FROZEN: [&str; 3] = ["--freeze-encoder", "--keep", "last"];

const NORMALISING: [&str; 3] = ["Transformer", "Pooling", "Normalize"];

impl Place {
    /// A folder whose encoder has these modules.
    fn with_modules(classes: &[&str]) -> Self {
        let place = Self::new();
        write_modules(&place.model, classes);
        place
    }

    fn saved(&self, file: &str) -> Value {
        serde_json::from_slice(&bytes(&self.run("run/model").join(file))).unwrap()
    }

    /// The classes of the saved model's modules, in their order.
    fn chain(&self) -> Vec<String> {
        let modules = self.saved("modules.json");
        let class = |module: &Value| module["type"].as_str().unwrap().rsplit('.').next().unwrap().to_owned();
        modules.as_array().unwrap().iter().map(class).collect()
    }

    fn says(&self) -> Value {
        self.saved("config_sentence_transformers.json")["similarity_fn_name"].clone()
    }

    #[track_caller]
    fn assert_resolved(&self, similarity: &str, temperature: &str) {
        let config = fs_err::read_to_string(self.run("run/config.toml")).unwrap();
        for line in [format!("similarity = \"{similarity}\"\n"), format!("temperature = {temperature}\n")] {
            assert!(config.contains(&line), "`{line}` is not in {config}");
        }
    }
}

#[test]
fn a_normalising_encoder_is_compared_by_cosine_and_so_is_what_it_becomes() {
    let place = Place::with_modules(&NORMALISING);
    let output = succeeds(&mut place.train("run", &FROZEN));
    assert!(stderr(&output).contains("compared by cosine, temperature 0.05"), "{}", stderr(&output));
    assert_eq!(place.chain(), ["Transformer", "Pooling", "Normalize", "SBMoE", "Normalize"]);
    assert_eq!(place.says(), "cosine");
    place.assert_resolved("cos", "0.05");

    let model = place.run("run/model");
    for vector in place.vectors(&model, "index", &[]).chunks(16) {
        let norm = vector.iter().map(|v| v * v).sum::<f32>();
        assert!((norm - 1.0).abs() < 1e-5, "{norm}");
    }
    assert!(place.scores(&model, "index").iter().all(|(_, score)| score.abs() < 1.0 + 1e-5));
    let refused = fails(&mut place.encode(&model, "other", &["--normalize", "off"]));
    assert!(refused.contains("`--normalize off`") && refused.contains("trained by cosine"), "{refused}");
}

#[test]
fn a_sentence_transformers_folder_that_says_nothing_means_the_cosine() {
    let place = Place::with_modules(&["Transformer", "Pooling"]);
    succeeds(&mut place.train("run", &FROZEN));
    place.assert_resolved("cos", "0.05");
    assert_eq!(place.chain(), ["Transformer", "Pooling", "Normalize", "SBMoE", "Normalize"]);
}

#[test]
fn a_bare_hugging_face_folder_means_the_dot_product() {
    let place = Place::new();
    succeeds(&mut place.train("run", &FROZEN));
    place.assert_resolved("dot", "1.0");
    assert_eq!(place.chain(), ["Transformer", "Pooling", "SBMoE"]);
    assert_eq!(place.says(), "dot");
}

#[test]
fn a_user_who_names_the_dot_product_gets_it() {
    let place = Place::with_modules(&NORMALISING);
    let said = stderr(&succeeds(&mut place.train("run", &[&FROZEN[..], &["--similarity", "dot"]].concat())));
    assert!(said.contains("the encoder was made to be compared by cosine"), "{said}");
    place.assert_resolved("dot", "1.0");
    assert_eq!(place.chain(), ["Transformer", "Pooling", "SBMoE"]);
    assert_eq!(place.says(), "dot");
    let lengths = place.vectors(&place.run("run/model"), "index", &[]);
    let is_one = |vector: &[f32]| (vector.iter().map(|v| v * v).sum::<f32>() - 1.0).abs() < 1e-3;
    assert!(!lengths.chunks(16).all(is_one), "vectors are compared as they are");
}

#[test]
fn the_length_of_a_block_s_input_belongs_to_the_cosine() {
    let scaled = [&FROZEN[..], &["--input-scale", "4"]].concat();
    let place = Place::new();
    let refused = fails(&mut place.train("run", &scaled));
    assert!(refused.contains("`input_scale`") && refused.contains("`--similarity cos`"), "{refused}");
    assert!(!place.run("run").exists());
    succeeds(&mut place.train("run", &[&scaled[..], &["--similarity", "cos"]].concat()));
    // The first Normalize stands before the block.
    assert_eq!(place.saved("3_SBMoE/config.json")["input_scale"], 4.0);
}

#[test]
fn an_encoder_that_is_fine_tuned_by_cosine_normalises() {
    let place = Place::with_modules(&["Transformer", "Pooling"]);
    succeeds(&mut place.train("run", &["--set", "experts=0", "--keep", "last", "--set", "epochs=1"]));
    place.assert_resolved("cos", "0.05");
    assert_eq!(place.chain(), NORMALISING);
    assert_eq!(place.says(), "cosine");
    assert!(
        bytes(&place.run("run/model/model.safetensors")) != bytes(&place.model.join("model.safetensors"))
    );
}
