//! The application's tests, one binary: the house rules, the shipped collection, the commands.

mod house;
mod shipped_collection;

mod folder;
mod program;

mod data;
mod evaluate;
