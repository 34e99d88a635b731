//! The two sides of a retriever, and which of them a block serves.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::config::named;

/// Which side of the retriever a text is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// What is searched for.
    Query,
    /// What is found.
    Document,
}

/// The sides whose texts pass through the block. With one side only, the other side's vectors are the encoder's: a block
/// for queries needs no new document vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sides {
    /// Queries and documents, as in the paper.
    #[default]
    Both,
    /// Queries alone.
    Query,
    /// Documents alone.
    Document,
}

impl Sides {
    /// Whether texts of `side` pass through the block.
    pub fn include(self, side: Side) -> bool {
        match self {
            Self::Both => true,
            Self::Query => side == Side::Query,
            Self::Document => side == Side::Document,
        }
    }
}

named!(Sides, "side", Both = "both", Query = "query", Document = "document");
named!(Side, "side", Query = "query", Document = "document");
