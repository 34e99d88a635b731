//! A fingerprint by which an index tells the model it was made with from every other.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use fs_err::File;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{FolderError, json_file, modules, prompts, sentence};
use crate::checkpoint::weight_files;

/// Our own file in a saved model.
pub(super) const FILE: &str = "sbmoe.json";

/// The version of [`FILE`]'s format.
const FORMAT: u32 = 1;

/// The content of [`FILE`].
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Stamp {
    /// The version of the format.
    format: u32,
    /// The fingerprint of the folder as it was saved, for which the next key holds.
    fingerprint: String,
    /// The fingerprint of the model that makes the same document vectors, where that is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    documents: Option<String>,
}

/// By what an index knows its model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprints {
    /// Of the whole model: 64 hexadecimal digits.
    pub model: String,
    /// Of what makes its document vectors: the model's own, but for a block that serves queries alone, whose document
    /// vectors are those of the encoder that it was trained behind.
    pub documents: String,
}

impl Stamp {
    /// The stamp of a folder that is complete but for it.
    pub(super) fn of(dir: &Path, documents: Option<&str>) -> Result<Self, FolderError> {
        Ok(Self { format: FORMAT, fingerprint: compute(dir)?, documents: documents.map(str::to_owned) })
    }
}

/// The fingerprint of a model folder.
///
/// It is the SHA-256 of the files that decide which vector a text gets: configuration, weights, tokenizer, pooling,
/// block, prompts. A model card may change without changing it. A saved model that was changed since, by whatever
/// program, is another one: what it says of its document vectors holds no longer.
///
/// # Errors
/// A file that cannot be read, a folder without weights, or a stamp of a newer format.
pub fn fingerprint(dir: &Path) -> Result<Fingerprints, FolderError> {
    let path = dir.join(FILE);
    let stamp = json_file::read_if_there::<Stamp>(&path)?;
    if let Some(stamp) = stamp.as_ref().filter(|stamp| stamp.format != FORMAT) {
        return Err(FolderError::Unsupported {
            path,
            key: "`format`".to_owned(),
            found: stamp.format.to_string(),
            supported: format!("`{FORMAT}`; a newer sbmoe wrote this model"),
        });
    }
    let model = compute(dir)?;
    let documents = stamp.filter(|stamp| stamp.fingerprint == model).and_then(|stamp| stamp.documents);
    Ok(Fingerprints { documents: documents.unwrap_or_else(|| model.clone()), model })
}

fn compute(dir: &Path) -> Result<String, FolderError> {
    let modules = modules::read(dir)?;
    let encoder = modules.as_ref().map_or_else(|| dir.to_owned(), |modules| modules.encoder.clone());
    let mut optional = vec![dir.join(modules::FILE), dir.join(prompts::FILE)];
    let names = ["config.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt", "added_tokens.json"];
    optional.extend(names.map(|name| encoder.join(name)));
    optional.push(sentence::path(&encoder));
    if !encoder.join("tokenizer.json").is_file() {
        // Beside a whole tokenizer it repeats what that says.
        optional.push(encoder.join("special_tokens_map.json"));
    }
    let mut weights = weight_files(&encoder)?;
    if let Some(modules) = modules {
        optional.push(modules.pooling.join("config.json"));
        if let Some(block) = modules.block {
            optional.push(block.join("config.json"));
            weights.extend(weight_files(&block)?);
        }
    }
    let mut files: BTreeMap<String, PathBuf> = BTreeMap::new();
    for path in optional.into_iter().filter(|path| path.is_file()).chain(weights) {
        let relative = path.strip_prefix(dir).unwrap_or(&path);
        let parts: Vec<_> = relative.components().map(|part| part.as_os_str().to_string_lossy()).collect();
        files.insert(parts.join("/"), path);
    }

    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    for (name, path) in files {
        let mut file = File::open(path)?;
        // The lengths keep two different lists of files from running together to the same bytes.
        hash.update((name.len() as u64).to_le_bytes());
        hash.update(name.as_bytes());
        hash.update(file.metadata()?.len().to_le_bytes());
        loop {
            let count = file.read(&mut buffer)?;
            if count == 0 {
                break;
            }
            hash.update(&buffer[..count]);
        }
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat())
}
