//! The application's tests, one binary: the house rules, the shipped collection, the commands.

mod house;
mod shipped_collection;

mod authors_sample;
mod folder;
mod program;
mod tiny_model;

mod bad_weights;
mod build_commit;
mod data;
mod evaluate;
mod formats;
mod import_pt;
#[cfg(unix)]
mod killed_encode;
mod mine;
mod odd_inputs;
mod outputs;
mod quickstart;
mod retrieval;
mod train;

mod hub;
mod index_folder;
