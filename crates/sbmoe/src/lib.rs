//! What the program `sbmoe` is made of: the command line and the pipelines behind it.
//!
//! Reading order: [`cli`] (one file a command), [`training`] and [`index_folder`] (what the long commands do, without a
//! terminal), [`model_source`] and [`hub`] (where models come from). Arithmetic is left to the libraries.

pub mod cli;
pub mod device;
pub mod encoding;
pub mod environment;
pub mod folder_lock;
pub mod hub;
pub mod index_folder;
pub mod interrupt;
pub mod model_source;
pub mod paths;
pub mod quickstart;
pub mod searching;
mod sha256;
pub mod training;
