//! Queries from a BEIR folder or a file.

use std::path::Path;

use anyhow::{Result, ensure};
use sbmoe_ir::collection::{Query, queries_of};
use sbmoe_ir::{Collection, Split};

/// All queries of a file or a BEIR folder; `split` narrows a folder's to those that the split judges.
///
/// # Errors
/// A malformed line, a split for a file, or no query at all.
pub fn read_queries(path: &Path, split: Option<Split>) -> Result<Vec<Query>> {
    let queries = if path.is_dir() {
        let collection = Collection::open(path)?;
        match split {
            Some(split) => collection.judged_queries(&collection.qrels(split)?)?,
            None => collection.queries()?.collect::<Result<Vec<Query>, _>>()?,
        }
    } else {
        ensure!(
            split.is_none(),
            "`--split` narrows a BEIR folder's queries, but `{}` is a file",
            path.display()
        );
        queries_of(path)?.collect::<Result<Vec<Query>, _>>()?
    };
    ensure!(!queries.is_empty(), "`{}` holds no queries", path.display());
    Ok(queries)
}
