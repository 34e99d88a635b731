//! Tests of the training crate from outside: one binary, one module a subject.

mod distillation;
mod equivalence;
mod formats;
#[path = "../../../model/tests/it/golden.rs"]
mod golden;
mod loss;
mod optimizer;
mod patience;
mod resume;
mod small;
mod steps;
mod stored;
mod warnings;
