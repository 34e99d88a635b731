//! The application's tests, one binary: the house rules, the shipped collection, the commands.

mod house;
mod shipped_collection;

mod folder;
mod program;
mod tiny_model;

mod data;
mod evaluate;
mod quickstart;
mod retrieval;
mod train;

mod hub;
mod index_folder;
