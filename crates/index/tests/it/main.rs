//! The crate's promises, tested through its public interface.

mod files;
mod folder;
mod rounded;
mod search;
mod storage;
