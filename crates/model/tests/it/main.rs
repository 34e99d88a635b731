//! Tests of the model crate from outside: one binary, one module a subject.

mod adapter;
mod alone;
mod bert;
mod block;
mod golden;
