//! The parsers under test, each with small valid files and the words of its format.

mod checkpoints;
mod collections;
mod indexes;
mod models;
mod training;

use std::fmt::Display;
use std::path::Path;

use crate::target::{Files, Target};

/// Every target.
pub fn all() -> Vec<Target> {
    [
        collections::targets(),
        models::targets(),
        checkpoints::targets(),
        indexes::targets(),
        training::targets(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A target whose inputs are whole files and stand alone.
fn target(
    name: &'static str,
    file: &'static str,
    seeds: Vec<Vec<u8>>,
    read: fn(&Path) -> Option<()>,
) -> Target {
    Target { name, file, beside: Vec::new(), seeds, dictionary: Vec::new(), frame: |bytes| bytes, read }
}

/// A dictionary of words between blanks.
fn words(words: impl AsRef<[u8]>) -> Vec<Vec<u8>> {
    words.as_ref().split(|byte| *byte == b' ').map(<[u8]>::to_vec).collect()
}

/// Seeds of text.
fn texts(seeds: &[&str]) -> Vec<Vec<u8>> {
    seeds.iter().map(|seed| seed.as_bytes().to_vec()).collect()
}

/// What was read; an error is written out first, since a message may fail where the parser does not.
fn told<T, E: Display>(result: Result<T, E>) -> Option<T> {
    result.map_err(|error| format!("{error:#}")).ok()
}

/// Files that are parts of the program.
fn files(files: &[(&'static str, &[u8])]) -> Files {
    files.iter().map(|(name, content)| (*name, content.to_vec())).collect()
}

/// One target for each of several files of a folder, named after the file.
fn one_of(
    names: &[(&'static str, &'static str)],
    files: &Files,
    read: fn(&Path) -> Option<()>,
) -> Vec<Target> {
    let of = |&(name, file): &(&'static str, &'static str)| {
        let (_, seed) = files.iter().find(|(other, _)| *other == file).expect("it is one of them");
        Target { beside: files.clone(), ..target(name, file, vec![seed.clone()], read) }
    };
    names.iter().map(of).collect()
}
