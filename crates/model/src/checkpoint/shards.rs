//! Which files of a model folder hold its weights: one, or the shards that an index lists.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;

use super::{Checkpoint, CheckpointError};

/// A file that holds every tensor, and the index that stands in its place when there are several, by preference.
const LAYOUTS: [(&str, &str); 2] = [
    ("model.safetensors", "model.safetensors.index.json"),
    ("pytorch_model.bin", "pytorch_model.bin.index.json"),
];

/// The `*.index.json` beside shards; its `metadata` is of no use here.
#[derive(Deserialize)]
struct Index {
    /// Tensor name → the shard's file name.
    weight_map: BTreeMap<String, String>,
}

/// The files of a folder that hold weights: the index first where there is one, then the shards sorted by name.
///
/// # Errors
/// A folder without weights, or an index that cannot be read.
pub fn weight_files(dir: &Path) -> Result<Vec<PathBuf>, CheckpointError> {
    match find(dir)? {
        Weights::Whole(path) => Ok(vec![path]),
        Weights::Sharded(path) => {
            let index = read_index(&path)?;
            let mut shards: Vec<PathBuf> = index.weight_map.values().map(|shard| dir.join(shard)).collect();
            shards.sort();
            shards.dedup();
            shards.insert(0, path);
            Ok(shards)
        }
    }
}

/// Opens the weights of a folder.
pub(super) fn open(dir: &Path) -> Result<Checkpoint, CheckpointError> {
    match find(dir)? {
        Weights::Whole(path) => Checkpoint::open_file(&path),
        Weights::Sharded(path) => open_index(dir, &path),
    }
}

enum Weights {
    Whole(PathBuf),
    Sharded(PathBuf),
}

fn find(dir: &Path) -> Result<Weights, CheckpointError> {
    for (whole, index) in LAYOUTS {
        let path = dir.join(whole);
        if path.is_file() {
            return Ok(Weights::Whole(path));
        }
        let path = dir.join(index);
        if path.is_file() {
            return Ok(Weights::Sharded(path));
        }
    }
    let looked_for: Vec<String> =
        LAYOUTS.iter().map(|(whole, index)| format!("`{whole}`, `{index}`")).collect();
    Err(CheckpointError::NoWeights { dir: dir.to_owned(), looked_for: looked_for.join(", ") })
}

fn read_index(path: &Path) -> Result<Index, CheckpointError> {
    let text = fs_err::read_to_string(path)?;
    let malformed = |reason: String| CheckpointError::Malformed { path: path.to_owned(), reason };
    let index: Index = serde_json::from_str(&text).map_err(|error| malformed(error.to_string()))?;
    for shard in index.weight_map.values() {
        let mut components = Path::new(shard).components();
        if !matches!((components.next(), components.next()), (Some(Component::Normal(_)), None)) {
            return Err(malformed(format!("the shard `{shard}` is not the name of a file beside it")));
        }
    }
    Ok(index)
}

fn open_index(dir: &Path, path: &Path) -> Result<Checkpoint, CheckpointError> {
    let Index { weight_map } = read_index(path)?;
    let mut shards: BTreeMap<&str, Checkpoint> = BTreeMap::new();
    for shard in weight_map.values() {
        if shards.contains_key(shard.as_str()) {
            continue;
        }
        let shard_path = dir.join(shard);
        if !shard_path.is_file() {
            return Err(CheckpointError::MissingShard { index: path.to_owned(), shard: shard.clone() });
        }
        shards.insert(shard, Checkpoint::open_file(&shard_path)?);
    }
    let order: BTreeMap<&str, usize> =
        shards.keys().enumerate().map(|(place, shard)| (*shard, place)).collect();
    let mut entries = BTreeMap::new();
    for (name, shard) in &weight_map {
        let Some(entry) = shards[shard.as_str()].entries.get(name) else {
            let (shard, name) = (shard.clone(), name.clone());
            return Err(CheckpointError::NotInShard { index: path.to_owned(), shard, name });
        };
        let mut entry = entry.clone();
        entry.file = order[shard.as_str()];
        entries.insert(name.clone(), entry);
    }
    let files = shards.into_values().flat_map(|shard| shard.files).collect();
    Ok(Checkpoint { files, entries })
}
