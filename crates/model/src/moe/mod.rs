//! SB-MoE (arXiv 2510.15683): one mixture-of-experts block behind the last layer of a bi-encoder.
//!
//! `y = x + combine(Σ g_i E_i(x))` for the pooled vector `x [rows, hidden]`.
//! How the block is trained ([`TrainGate`]) and how it is used ([`Gate`]) are independent choices, so that one training
//! run serves every use.
//! How often each expert is routed to is counted from what was routed ([`Routed`]), in every mode.

pub mod authors;
mod block;
mod combine;
mod config;
mod draws;
mod experts;
mod gate;
mod initial;
mod training;

pub use block::{Block, Routed};
pub use config::{BlockConfig, Combine, Gate, TrainGate};
pub use draws::{Draws, text_key};
pub use training::KeptBlock;
