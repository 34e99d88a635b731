//! Models by name: the Hugging Face hub and its cache on this machine.
//!
//! [`resolve`] turns a name such as `sentence-transformers/all-MiniLM-L6-v2` into a folder that the libraries can
//! open. What the cache has is taken from there without a word to the network; the rest is downloaded into the
//! cache's own layout, so that Python programs share it. The revision is pinned: every file comes from one commit,
//! which is returned.
//!
//! The client is written for the few requests that it makes. The crate `hf-hub` does not take up a download that
//! already has all its bytes, appends to a partial file when a server ignores the range asked for, checks no
//! checksums, and knows neither offline mode nor time-outs.

pub mod environment;

mod cache;
mod client;
mod download;
mod model_files;
mod repository;

use std::path::PathBuf;

use anyhow::{Context, Result};

use self::cache::{Cache, Lookup};
use self::client::{Answer, Client, Unreachable};
use self::environment::HubEnvironment;
use self::model_files::{Need, collect};
use self::repository::Repository;

/// The revision that a name without one means.
pub const DEFAULT_REVISION: &str = "main";

/// A model that is on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The folder of the model's files.
    pub dir: PathBuf,
    /// The commit that they come from, 40 hexadecimal digits.
    pub commit: String,
    /// Where they came from now.
    pub origin: Origin,
    /// Files that the model may have, that the cache lacks and that the hub could not be asked for.
    pub unasked: Vec<String>,
}

/// Where a model's files came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Every file was in the cache.
    Cache,
    /// The hub was asked for a file at least.
    Download,
}

/// How far the download of a file has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transfer<'a> {
    /// The file's path within the model.
    pub file: &'a str,
    /// Bytes on this machine, those of an earlier attempt included.
    pub done: u64,
    /// Bytes in all, if the hub says so.
    pub total: Option<u64>,
}

/// Finds the model `name` at `revision` (a branch, a tag or a commit) in the cache or downloads it.
///
/// `progress` is called with every piece that arrives. A download that was broken off, even by a kill, goes on
/// where it stopped when it is asked for again.
///
/// # Errors
/// `name` or `revision` cannot be one; the model is not in the cache and the hub may not be asked, cannot be
/// reached, or has no such model; a file arrives damaged; the disk is full.
pub fn resolve(
    name: &str,
    revision: &str,
    environment: &HubEnvironment,
    progress: &mut dyn FnMut(Transfer<'_>),
) -> Result<Resolved> {
    let repository = Repository::parse(name, revision)?;
    let cache = Cache::new(&environment.cache, &repository, environment.symlinks);
    let client = (!environment.offline).then(|| Client::new(environment));
    let mut origin = Origin::Cache;
    let commit = match (cache.commit(&repository)?, &client) {
        (Some(commit), _) => commit,
        (None, Some(client)) => {
            origin = Origin::Download;
            client.commit(&repository).map_err(|error| explain(error, &repository, environment))?
        }
        (None, None) => return Err(offline(&repository, environment)),
    };

    let pinned = repository.at(&commit);
    let mut unasked = Vec::new();
    let mut reachable = true;
    collect(&mut |file, need| {
        match cache.lookup(&commit, file) {
            Lookup::Here(path) => return Ok(Some(path)),
            Lookup::KnownAbsent => return Ok(None),
            Lookup::Unknown => (),
        }
        let may_do_without = need == Need::Optional;
        let Some(client) = client.as_ref().filter(|_| reachable || !may_do_without) else {
            if may_do_without {
                unasked.push(file.to_owned());
                return Ok(None);
            }
            return Err(offline(&repository, environment).context(format!("`{file}` is missing")));
        };
        match fetch(client, &cache, &pinned, &commit, file, progress) {
            Ok(path) => {
                origin = Origin::Download;
                Ok(path)
            }
            Err(error) if may_do_without && error.is::<Unreachable>() => {
                reachable = false;
                unasked.push(file.to_owned());
                Ok(None)
            }
            Err(error) => Err(explain(error, &repository, environment)),
        }
    })
    .with_context(|| format!("the model `{name}` at revision `{revision}` cannot be had from the hub"))?;
    cache.remember(&repository, &commit)?;
    Ok(Resolved { dir: cache.snapshot(&commit), commit, origin, unasked })
}

/// Downloads one file of a commit, or learns that there is none.
fn fetch(
    client: &Client,
    cache: &Cache,
    pinned: &Repository,
    commit: &str,
    file: &str,
    progress: &mut dyn FnMut(Transfer<'_>),
) -> Result<Option<PathBuf>> {
    let url = client.url(pinned, file);
    let metadata = match client.metadata(&url, pinned)? {
        Answer::Found(metadata) => metadata,
        Answer::Absent => {
            cache.remember_absence(commit, file)?;
            return Ok(None);
        }
    };
    let blob = cache.blob(&metadata.etag);
    let _lock = cache.lock(&metadata.etag)?;
    if !blob.exists() {
        let mut told = |done, total| progress(Transfer { file, done, total });
        download::download(client, &url, &metadata, &blob, &mut told)
            .with_context(|| format!("`{file}` cannot be downloaded"))?;
    }
    Ok(Some(cache.link(commit, file, &metadata.etag)?))
}

fn offline(repository: &Repository, environment: &HubEnvironment) -> anyhow::Error {
    anyhow::anyhow!(
        "`HF_HUB_OFFLINE` is set and the cache `{}` does not have all of `{}` at revision `{}`: unset it to download the model, \
         bring the cache of a machine that ran `hf download {}`, or give the folder of a model instead of its name",
        environment.cache.display(),
        repository.name(),
        repository.revision(),
        repository.name()
    )
}

/// Says what to do about a hub that cannot be reached.
fn explain(error: anyhow::Error, repository: &Repository, environment: &HubEnvironment) -> anyhow::Error {
    if error.is::<Unreachable>() {
        error.context(format!(
            "`{}` is not in the cache `{}`: check the network, name a mirror in `HF_ENDPOINT`, or give the folder of a model \
             instead of its name",
            repository.name(),
            environment.cache.display()
        ))
    } else {
        error
    }
}
