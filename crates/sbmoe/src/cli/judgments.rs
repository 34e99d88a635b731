//! The judgments that a command reads: a file, or those of a collection's folder.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use sbmoe_ir::{Collection, Qrels, Split};

/// The judgments of a file, or of a folder's split, which is `test` unless `asked` says otherwise.
pub(super) fn judgments(path: &Path, asked: Option<Split>) -> Result<Qrels> {
    if !path.is_dir() {
        if asked.is_some() {
            bail!(
                "`--split` chooses among the judgments of a folder, but `{}` is no folder: leave `--split` out",
                path.display()
            );
        }
        return Ok(Qrels::read(path)?);
    }
    let collection = Collection::open(path)?;
    let split = asked.unwrap_or(Split::Test);
    let splits: Vec<String> = collection.splits().iter().map(|split| format!("`--split {split}`")).collect();
    collection.qrels(split).with_context(|| match &splits[..] {
        [] => "the collection has no judgments".to_owned(),
        splits => format!("judgments of `{split}` (there are {})", splits.join(", ")),
    })
}

/// The judgments of a file, or those of a folder that are trained on.
pub(super) fn training_judgments(path: &Path) -> Result<Qrels> {
    if path.is_dir() { Ok(Collection::open(path)?.qrels(Split::Train)?) } else { Ok(Qrels::read(path)?) }
}
