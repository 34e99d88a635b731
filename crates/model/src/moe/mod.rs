//! SB-MoE (arXiv 2510.15683): one mixture-of-experts block behind the last layer of a bi-encoder.
//!
//! `y = x + combine(Σ g_i E_i(x))` for the pooled vector `x [rows, hidden]`.
//! Beside it stands the control that needs neither experts nor a gate, a residual linear map ([`BlockKind::Linear`]).
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
mod sides;
mod training;

pub use block::{Block, Routed};
pub use config::{BlockConfig, BlockKind, Combine, Gate, Start, TrainGate};
pub use draws::{Draws, text_key};
pub use sides::{Side, Sides};
pub use training::KeptBlock;
