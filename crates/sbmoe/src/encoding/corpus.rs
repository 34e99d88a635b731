//! The documents to encode: where they are read, and what is looked at before the long work.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};
use sbmoe_ir::Collection;
use sbmoe_ir::collection::{Documents, documents_from, documents_of};

use crate::sha256::{ReadChecksum, hashed};

/// What a corpus holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survey {
    /// How many documents.
    pub documents: u64,
    /// SHA-256 of the file, which tells a resumed encoding that it goes on with the same documents.
    pub sha256: String,
}

/// Documents to encode: a BEIR folder, or one JSON-lines file.
#[derive(Debug, Clone)]
pub struct Corpus {
    file: PathBuf,
}

impl Corpus {
    /// The corpus at `path`.
    ///
    /// # Errors
    /// A folder without a corpus.
    pub fn open(path: &Path) -> Result<Self> {
        let file = if path.is_dir() { Collection::open(path)?.corpus_file()? } else { path.to_owned() };
        ensure!(
            file.exists(),
            "there is no corpus `{}`: name a BEIR folder or a .jsonl file",
            path.display()
        );
        ensure!(
            file.is_file(),
            "`{}` is a pipe or a device, and a corpus is read more than once: write it to a file first",
            path.display()
        );
        Ok(Self { file })
    }

    /// The documents from the first on.
    ///
    /// # Errors
    /// A file that cannot be opened.
    pub fn documents(&self) -> Result<Documents> {
        Ok(documents_of(&self.file)?)
    }

    /// The documents from the first on, and the checksum of what is read of the file meanwhile.
    ///
    /// # Errors
    /// A file that cannot be opened.
    pub(super) fn documents_with_checksum(&self) -> Result<(Documents, ReadChecksum)> {
        let (reader, checksum) = hashed(fs_err::File::open(&self.file)?);
        Ok((documents_from(reader, &self.file)?, checksum))
    }

    /// Reads every record once, so that a malformed line or an id that stands twice is found before the long work. Eight
    /// bytes a document are held meanwhile.
    ///
    /// # Errors
    /// A malformed line, an id that stands twice, or no document at all.
    pub fn survey(&self) -> Result<Survey> {
        let (documents, checksum) = self.documents_with_checksum()?;
        let mut hashes = Vec::new();
        for document in documents {
            hashes.push(hash_of(&document?.id));
        }
        ensure!(
            !hashes.is_empty(),
            "`{}` holds no documents: expected one a line, as {{\"_id\": \"1\", \"title\": \"\", \"text\": \"…\"}}",
            self.file.display()
        );
        let count = hashes.len() as u64;
        hashes.sort_unstable();
        let suspects: HashSet<u64> =
            hashes.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect();
        if !suspects.is_empty() {
            self.refuse_repeated_ids(&suspects)?;
        }
        Ok(Survey { documents: count, sha256: checksum.finish() })
    }

    /// Refuses a file that is not what the survey saw: one that grew or was written anew while it was encoded.
    pub(super) fn refuse_change(&self, survey: &Survey, read: ReadChecksum) -> Result<()> {
        ensure!(
            read.finish() == survey.sha256,
            "`{}` was changed while it was encoded, so that the index would hold neither the old corpus nor the new: repeat \
             the command, which begins anew, once nothing writes to the corpus",
            self.file.display()
        );
        Ok(())
    }

    /// Reads the records again and compares those ids whose hashes stood twice: two ids may share a hash.
    fn refuse_repeated_ids(&self, suspects: &HashSet<u64>) -> Result<()> {
        let mut lines: HashMap<String, u64> = HashMap::new();
        let mut documents = self.documents()?;
        while let Some(document) = documents.next() {
            let (id, line) = (document?.id, documents.line());
            if !suspects.contains(&hash_of(&id)) {
                continue;
            }
            if let Some(first) = lines.get(&id) {
                bail!(
                    "{}:{line}: the id `{id}` stands on line {first} already: each document needs an id of its own, so \
                     remove one of the two lines or rename its document",
                    self.file.display()
                );
            }
            lines.insert(id, line);
        }
        Ok(())
    }
}

/// The same number for the same id within one run of the program.
fn hash_of(id: &str) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_only_share_a_hash_are_not_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("corpus.jsonl");
        let line = |id: &str| format!("{{\"_id\": \"{id}\", \"text\": \"words\"}}\n");
        fs_err::write(&file, line("a") + &line("b") + "\n" + &line("c")).unwrap();
        let corpus = Corpus::open(&file).unwrap();
        assert_eq!(corpus.survey().unwrap().documents, 3);
        let suspects = HashSet::from(["a", "c"].map(hash_of));
        corpus.refuse_repeated_ids(&suspects).unwrap();
    }
}
