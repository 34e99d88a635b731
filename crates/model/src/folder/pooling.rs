//! `1_Pooling/config.json`: one key in the newer generation, a flag for each mode in the older one.

use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::keys;
use super::{BertConfig, FolderError, Pooling, Prompts, json_file};

/// The flags of the older generation and the modes' names in the newer one.
const MODES: [(&str, &str); 6] = [
    ("pooling_mode_cls_token", "cls"),
    ("pooling_mode_mean_tokens", "mean"),
    ("pooling_mode_max_tokens", "max"),
    ("pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens"),
    ("pooling_mode_weightedmean_tokens", "weightedmean"),
    ("pooling_mode_lasttoken", "lasttoken"),
];

#[derive(Deserialize)]
struct Config {
    #[serde(alias = "word_embedding_dimension")]
    embedding_dimension: Option<usize>,
    pooling_mode: Option<OneOrMore>,
    include_prompt: Option<bool>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

/// Reads the pooling and what to warn about; several modes at once (a concatenation) and modes that the engine lacks are
/// refused by name.
pub(super) fn read(
    dir: &Path,
    bert: &BertConfig,
    prompts: &Prompts,
) -> Result<(Pooling, Vec<String>), FolderError> {
    let path = dir.join("config.json");
    let config: Config = json_file::read(&path)?;
    let modes = match config.pooling_mode {
        Some(OneOrMore::One(mode)) => vec![mode],
        Some(OneOrMore::More(modes)) => modes,
        None => {
            let on = MODES.iter().filter(|(flag, _)| config.others.get(*flag) == Some(&json!(true)));
            on.map(|(_, mode)| (*mode).to_owned()).collect()
        }
    };
    // Without any flag sentence-transformers takes the mean.
    let mode = if modes.is_empty() { "mean".to_owned() } else { modes.join(" + ") };
    let pooling = mode.parse().map_err(|_| FolderError::Unsupported {
        path: path.clone(),
        key: "the pooling mode".to_owned(),
        found: mode,
        supported: "one of `mean`, `cls`, `max`".to_owned(),
    })?;
    if let Some(dimension) = config.embedding_dimension.filter(|dimension| *dimension != bert.hidden_size) {
        let hidden = bert.hidden_size;
        let reason =
            format!("it pools vectors of {dimension} numbers, but the encoder's `hidden_size` is {hidden}");
        return Err(FolderError::Invalid { path, reason });
    }
    if config.include_prompt == Some(false) && !prompts.are_empty() {
        return Err(FolderError::Unsupported {
            path,
            key: "`include_prompt`".to_owned(),
            found: "false".to_owned(),
            supported: "`true`, or a model without prompts".to_owned(),
        });
    }
    let flags = MODES.map(|(flag, _)| flag);
    Ok((pooling, keys::unknown(&path, "", &config.others, &flags)))
}

/// The content in the older generation's form, which every server understands.
pub(super) fn to_json(pooling: Pooling, hidden: usize) -> Value {
    let chosen = pooling.to_string();
    let mut object = Map::new();
    object.insert("word_embedding_dimension".to_owned(), json!(hidden));
    for (flag, mode) in MODES {
        object.insert(flag.to_owned(), json!(mode == chosen));
    }
    object.insert("include_prompt".to_owned(), json!(true));
    Value::Object(object)
}
