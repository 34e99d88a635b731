//! Queries from a BEIR folder or a file, looked at before the long work and then read block by block.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};
use sbmoe_ir::collection::{Query, queries_of};
use sbmoe_ir::{Collection, Qrels, Split};

/// Queries that are searched at once: memory grows with these × k, and not with the number of queries.
const BLOCK: usize = 1000;

/// Well-formed queries, no id twice.
#[derive(Debug)]
pub struct Queries {
    source: Source,
    len: usize,
}

#[derive(Debug)]
enum Source {
    /// A file that can be read again, narrowed to judged queries where there are judgments.
    File(PathBuf, Option<Qrels>),
    /// Queries of a pipe or of the command line, which cannot.
    Here(Vec<Query>),
}

impl Queries {
    /// All queries of a file or a BEIR folder; `split` narrows a folder's to those that the split judges.
    ///
    /// Every query is read once here and not kept, except where the file is a pipe; 8 bytes a query are held meanwhile.
    ///
    /// # Errors
    /// A malformed line, an id that stands twice, a judgment of a query that is not there, a split for a file, or no query.
    pub fn open(path: &Path, split: Option<Split>) -> Result<Self> {
        let source = if path.is_dir() {
            let collection = Collection::open(path)?;
            let qrels = split.map(|split| collection.qrels(split)).transpose()?;
            Source::File(collection.queries_file()?, qrels)
        } else {
            ensure!(
                split.is_none(),
                "`--split` narrows a BEIR folder's queries, but `{}` is a file",
                path.display()
            );
            if path.is_file() {
                Source::File(path.to_owned(), None)
            } else {
                Source::Here(queries_of(path)?.collect::<Result<_, _>>()?)
            }
        };
        let mut len = 0;
        let (mut hashes, mut suspects) = (HashSet::new(), HashSet::new());
        for query in source.read()? {
            let hash = hash_of(&query?.id);
            if !hashes.insert(hash) {
                suspects.insert(hash);
            }
            len += 1;
        }
        // Two ids may share a hash.
        let mut ids = HashSet::new();
        for query in source.read()?.take(if suspects.is_empty() { 0 } else { usize::MAX }) {
            let id = query?.id;
            ensure!(
                !suspects.contains(&hash_of(&id)) || ids.insert(id.clone()),
                "query `{id}` stands twice; each query needs an id of its own"
            );
        }
        if let Source::File(path, Some(qrels)) = &source {
            qrels.refuse_unknown_queries(&path.display().to_string(), |id| hashes.contains(&hash_of(id)))?;
        }
        ensure!(len > 0, "`{}` holds no queries", path.display());
        Ok(Self { source, len })
    }

    /// One query, of the text that a user typed.
    pub fn typed(text: &str) -> Self {
        let query =
            Query { id: "query".to_owned(), text: text.to_owned(), metadata: serde_json::Value::Null };
        Self { source: Source::Here(vec![query]), len: 1 }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The file that they are read from, unless that is a pipe.
    pub fn file(&self) -> Option<&Path> {
        match &self.source {
            Source::File(path, _) => Some(path),
            Source::Here(_) => None,
        }
    }

    /// Calls `visit` with up to a thousand queries at a time, in the order of the file.
    ///
    /// # Errors
    /// What `visit` says, and a file that was changed since it was opened.
    pub fn blocks(&self, visit: &mut dyn FnMut(&[Query]) -> Result<()>) -> Result<()> {
        let mut queries = self.source.read()?;
        let mut left = self.len;
        while left > 0 {
            let block: Vec<Query> = queries.by_ref().take(BLOCK).collect::<Result<_>>()?;
            if block.is_empty() || block.len() > left {
                break;
            }
            left -= block.len();
            visit(&block)?;
        }
        if left > 0 || queries.next().is_some() {
            bail!(
                "the queries were changed while they were searched; search again once nothing writes to them"
            );
        }
        Ok(())
    }
}

impl Source {
    fn read(&self) -> Result<Box<dyn Iterator<Item = Result<Query>> + '_>> {
        Ok(match self {
            Self::File(path, qrels) => {
                let is_judged =
                    |query: &Query| qrels.as_ref().is_none_or(|qrels| qrels.get(&query.id).is_some());
                let judged = move |query: &Result<Query, _>| query.as_ref().map_or(true, is_judged);
                Box::new(queries_of(path)?.filter(judged).map(|query| Ok(query?)))
            }
            Self::Here(queries) => Box::new(queries.iter().cloned().map(Ok)),
        })
    }
}

/// The same number for the same id within one run of the program.
fn hash_of(id: &str) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(id)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    #[test]
    fn blocks_are_the_queries_in_the_order_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("queries.jsonl");
        let mut text = String::new();
        for number in 0..2 * BLOCK + 5 {
            writeln!(text, "{{\"_id\": \"q{number}\", \"text\": \"words\"}}").unwrap();
        }
        fs_err::write(&path, &text).unwrap();
        let queries = Queries::open(&path, None).unwrap();
        let (mut sizes, mut ids) = (Vec::new(), Vec::new());
        queries
            .blocks(&mut |block| {
                sizes.push(block.len());
                ids.extend(block.iter().map(|query| query.id.clone()));
                Ok(())
            })
            .unwrap();
        assert_eq!(sizes, [BLOCK, BLOCK, 5]);
        assert_eq!(ids, (0..2 * BLOCK + 5).map(|number| format!("q{number}")).collect::<Vec<_>>());
        fs_err::write(&path, text + "{\"_id\": \"more\", \"text\": \"words\"}\n").unwrap();
        let message = queries.blocks(&mut |_| Ok(())).unwrap_err().to_string();
        assert!(message.contains("changed while they were searched"), "{message}");
    }

    #[test]
    fn an_id_that_stands_twice_is_refused_before_the_search() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("queries.jsonl");
        let line = |id: &str| format!("{{\"_id\": \"{id}\", \"text\": \"words\"}}\n");
        fs_err::write(&path, line("a") + &line("b") + &line("a")).unwrap();
        let message = Queries::open(&path, None).unwrap_err().to_string();
        assert!(message.contains("query `a` stands twice"), "{message}");
    }
}
