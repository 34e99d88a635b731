//! The switches that decide how vectors are made and compared; they mean the same in every command.

use anyhow::Result;
use clap::Args;
use sbmoe_index::Similarity;
use sbmoe_kernels::{Cpu, Precision};
use sbmoe_model::moe::Gate;
use sbmoe_model::retriever::Retriever;

use crate::encoding::{Normalize, VectorMaker, VectorOptions};

/// How vectors are made and compared.
#[derive(Debug, Clone, Args)]
pub(super) struct VectorArguments {
    /// How the block weighs its experts: top1 (one expert a text), all, random, uniform [default: the model's own]
    #[arg(long, value_name = "GATE")]
    pub(super) gate: Option<Gate>,

    /// Whether compared vectors have length 1: auto follows the model folder, on, off
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub(super) normalize: Normalize,

    /// How vectors are compared: dot, cos [default: the model's own, else dot]
    #[arg(long, value_name = "HOW")]
    pub(super) similarity: Option<Similarity>,

    /// Seed of the random gate [default: the model's own]
    #[arg(long, value_name = "S")]
    pub(super) seed: Option<u64>,

    /// Numbers that the encoder's products are computed in: f32, bf16, int8 (faster; scores change a little)
    /// [default: f32]
    #[arg(long, value_name = "NUMBERS")]
    pub(super) precision: Option<Precision>,
}

impl VectorArguments {
    /// Decides everything for `retriever`, which will see a few texts at most or many.
    pub(super) fn maker(&self, retriever: Retriever<Cpu>, few_texts: bool) -> Result<VectorMaker> {
        let Self { gate, normalize, similarity, seed, precision } = *self;
        let precision = precision.unwrap_or_default();
        VectorMaker::new(retriever, VectorOptions { gate, normalize, similarity, seed, precision, few_texts })
    }
}
