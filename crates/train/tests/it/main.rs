//! Tests of the training crate from outside: one binary, one module a subject.

mod equivalence;
#[path = "../../../model/tests/it/golden.rs"]
mod golden;
mod loss;
mod optimizer;
mod resume;
mod small;
mod steps;
