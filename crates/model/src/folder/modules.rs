//! `modules.json`: the chain of modules of a sentence-transformers folder, in the names of both generations.

use std::path::{Component, Path, PathBuf};

use serde::Deserialize;

use super::{FolderError, json_file};

/// The file's name.
pub(super) const FILE: &str = "modules.json";

/// The type of our own module, as `modules.json` spells it.
pub(super) const BLOCK_TYPE: &str = "sbmoe.SBMoE";

/// What a chain consists of.
#[derive(Debug)]
pub(super) struct Modules {
    /// The encoder's folder.
    pub(super) encoder: PathBuf,
    /// The folder of the pooling's configuration.
    pub(super) pooling: PathBuf,
    /// Whether the chain normalises the vectors at its end, and before its block if it has one.
    pub(super) normalize: bool,
    /// The block's folder.
    pub(super) block: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Module {
    idx: usize,
    #[serde(default)]
    path: String,
    r#type: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Transformer,
    Pooling,
    Normalize,
    Block,
}

/// Reads the chain; `None` if the folder has none.
pub(super) fn read(dir: &Path) -> Result<Option<Modules>, FolderError> {
    let file = dir.join(FILE);
    let Some(mut entries) = json_file::read_if_there::<Vec<Module>>(&file)? else { return Ok(None) };
    entries.sort_by_key(|module| module.idx);
    let mut kinds = Vec::with_capacity(entries.len());
    let mut folders = Vec::with_capacity(entries.len());
    for Module { path, r#type, .. } in &entries {
        kinds.push(kind(&file, r#type)?);
        if !Path::new(path).components().all(|component| matches!(component, Component::Normal(_))) {
            let reason = format!("the module folder `{path}` is not inside the model's");
            return Err(FolderError::Invalid { path: file, reason });
        }
        folders.push(if path.is_empty() { dir.to_owned() } else { dir.join(path) });
    }
    let (normalize, block) = match kinds.as_slice() {
        [Kind::Transformer, Kind::Pooling] => (false, None),
        [Kind::Transformer, Kind::Pooling, Kind::Normalize] => (true, None),
        [Kind::Transformer, Kind::Pooling, Kind::Block] => (false, Some(2)),
        [Kind::Transformer, Kind::Pooling, Kind::Normalize, Kind::Block, Kind::Normalize] => (true, Some(3)),
        _ => {
            let chain: Vec<&str> = entries.iter().map(|module| module.r#type.as_str()).collect();
            return Err(FolderError::Unsupported {
                path: file,
                key: "the chain of modules".to_owned(),
                found: chain.join(", "),
                supported:
                    "`Transformer`, `Pooling`, then nothing, `Normalize`, `SBMoE`, or `SBMoE` between two \
                            `Normalize`"
                        .to_owned(),
            });
        }
    };
    let block = block.map(|place: usize| folders[place].clone());
    let mut folders = folders.into_iter();
    let (Some(encoder), Some(pooling)) = (folders.next(), folders.next()) else {
        unreachable!("every accepted chain begins with an encoder and a pooling");
    };
    Ok(Some(Modules { encoder, pooling, normalize, block }))
}

/// The kind of a module by its type: `sentence_transformers.models.Pooling` in one generation,
/// `sentence_transformers.sentence_transformer.modules.pooling.Pooling` in the other.
fn kind(file: &Path, r#type: &str) -> Result<Kind, FolderError> {
    if r#type == BLOCK_TYPE || r#type.ends_with(&format!("--{BLOCK_TYPE}")) {
        return Ok(Kind::Block);
    }
    let class = r#type.strip_prefix("sentence_transformers.").and_then(|rest| rest.rsplit('.').next());
    match class {
        Some("Transformer") => Ok(Kind::Transformer),
        Some("Pooling") => Ok(Kind::Pooling),
        Some("Normalize") => Ok(Kind::Normalize),
        _ => Err(FolderError::Unsupported {
            path: file.to_owned(),
            key: "the module".to_owned(),
            found: r#type.to_owned(),
            supported: "sentence-transformers' `Transformer`, `Pooling`, `Normalize`, and `sbmoe.SBMoE`"
                .to_owned(),
        }),
    }
}
