//! Queries against an index: where they come from, and the rankings that come back.

mod queries;
mod rank;

pub use queries::Queries;
pub(crate) use rank::simd_level;
pub use rank::{Ranked, RankedHit, rank};
