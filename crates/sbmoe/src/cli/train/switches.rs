//! The switches of `sbmoe train` that are keys of config.toml.

use std::path::PathBuf;

use clap::Args;
use sbmoe_index::Similarity;
use sbmoe_model::moe::{Combine, Gate, Sides, Start, TrainGate};
use serde::Serialize;

/// The switches that are keys of config.toml, by those names.
#[derive(Debug, Args, Serialize)]
pub(super) struct Switches {
    /// The collection: a folder with corpus.jsonl, queries.jsonl and qrels/train.tsv
    #[arg(long, value_name = "DIR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<PathBuf>,

    /// A file of training pairs or triplets in place of a collection: .jsonl or .csv with columns anchor, positive and
    /// negative, plain or .gz (`sbmoe data pairs --help` says more); the collection that is made of it is RUN/pairs
    #[arg(long, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pairs: Option<PathBuf>,

    /// The encoder: a model folder, or a name on the Hugging Face hub
    #[arg(long, value_name = "DIR|NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,

    /// Branch, tag or commit of a model on the hub
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<String>,

    /// How vectors are compared, in training and by the trained model: dot or cos [default: as the model's folder says; cos
    /// for a sentence-transformers folder that says nothing, dot for a bare Hugging Face one]
    #[arg(long, value_name = "HOW", help_heading = "Block")]
    #[serde(skip_serializing_if = "Option::is_none")]
    similarity: Option<Similarity>,

    /// What stands behind the encoder: experts, or linear, a residual linear map without experts or a gate [default:
    /// experts]
    #[arg(long, value_name = "WHAT", value_parser = ["experts", "linear"], hide_possible_values = true, help_heading = "Block")]
    #[serde(skip_serializing_if = "Option::is_none")]
    block: Option<String>,

    /// Rank of the linear map [default: full]
    #[arg(long, value_name = "R", help_heading = "Block")]
    #[serde(skip_serializing_if = "Option::is_none")]
    rank: Option<usize>,

    /// Which texts pass through the block: both, query or document; with `query` an index of the encoder's vectors stays
    /// valid [default: both]
    #[arg(long, value_name = "SIDES", help_heading = "Block")]
    #[serde(skip_serializing_if = "Option::is_none")]
    sides: Option<Sides>,

    /// Where the block starts: zero, at the encoder, or random [default: zero with --combine sum or --block linear]
    #[arg(long, value_name = "WHERE", help_heading = "Block")]
    #[serde(skip_serializing_if = "Option::is_none")]
    start: Option<Start>,

    /// Length of the block's input where vectors are compared by cosine [default: 4 where --combine normalises, else 1]
    #[arg(long, value_name = "S", help_heading = "Block")]
    #[serde(skip_serializing_if = "Option::is_none")]
    input_scale: Option<f64>,

    /// What the block's term is multiplied by in use: 0 is the encoder, 1 what was trained [default: 1]
    #[arg(long, value_name = "S", help_heading = "Block")]
    #[serde(skip_serializing_if = "Option::is_none")]
    residual: Option<f64>,

    /// Experts; 0 fine-tunes the encoder without a block [default: 6]
    #[arg(long, value_name = "N", help_heading = "Block")]
    #[serde(skip_serializing_if = "Option::is_none")]
    experts: Option<usize>,

    /// Width of each expert [default: half the hidden size]
    #[arg(long, value_name = "W", help_heading = "Block")]
    #[serde(skip_serializing_if = "Option::is_none")]
    expert_width: Option<usize>,

    /// How experts are weighed in training: noisy-top1, straight-through, soft, random or uniform [default: soft]
    #[arg(long, value_name = "GATE", help_heading = "Block")]
    #[serde(skip_serializing_if = "Option::is_none")]
    train_gate: Option<TrainGate>,

    /// How they are weighed in use: top1, all, random or uniform [default: what the training gate is meant for]
    #[arg(long, value_name = "GATE", help_heading = "Block")]
    #[serde(skip_serializing_if = "Option::is_none")]
    gate: Option<Gate>,

    /// How experts join the encoder's vector: normalize-mixture, normalize-experts or sum [default: normalize-mixture]
    #[arg(long, value_name = "HOW", help_heading = "Block")]
    #[serde(skip_serializing_if = "Option::is_none")]
    combine: Option<Combine>,

    /// Scale of the gate's training noise, 0 for none [default: 1 for noisy-top1, else 0]
    #[arg(long, value_name = "S", help_heading = "Block")]
    #[serde(skip_serializing_if = "Option::is_none")]
    gate_noise: Option<f64>,

    /// Weight of the load-balance term, 0 for none [default: 0]
    #[arg(long, value_name = "B", help_heading = "Block")]
    #[serde(skip_serializing_if = "Option::is_none")]
    balance: Option<f64>,

    /// The most passes over the training queries [default: 20 with --freeze-encoder, else 3]
    #[arg(long, value_name = "E", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    epochs: Option<usize>,

    /// Queries a step [default: 64]
    #[arg(long, value_name = "B", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    batch_size: Option<usize>,

    /// Which queries share a batch: near, whose documents are harder negatives for one another, or random [default: near]
    #[arg(long, value_name = "HOW", value_parser = ["near", "random"], hide_possible_values = true, help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    batching: Option<String>,

    /// Documents that join each batch, paired with their own titles or first words, 0 for none [default: 0]
    #[arg(long, value_name = "N", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    anchor: Option<usize>,

    /// Tokens at which texts are cut [default: the model's length, else 256]
    #[arg(long, value_name = "L", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_length: Option<usize>,

    /// Numbers that the encoder's products are computed in: f32, or bf16, which is faster where the level (SBMOE_SIMD) has
    /// an instruction for it [default: f32]
    #[arg(long, value_name = "NUMBERS", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    precision: Option<String>,

    /// Scores are divided by this in the loss [default: .05 by cosine, 1 by dot product]
    #[arg(long, value_name = "T", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,

    /// Learning rate of the block [default: 1e-3]
    #[arg(long, value_name = "RATE", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    lr: Option<f64>,

    /// Learning rate of the encoder [default: 2e-5]
    #[arg(long, value_name = "RATE", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    encoder_lr: Option<f64>,

    /// Leave the encoder as it is and train the block on stored vectors
    #[arg(long, help_heading = "Training")]
    #[serde(skip_serializing_if = "is_off")]
    freeze_encoder: bool,

    /// How the rates move: constant, linear or cosine [default: constant with --freeze-encoder,
    /// else linear]
    #[arg(long, value_name = "HOW", value_parser = ["constant", "linear", "cosine"], hide_possible_values = true)]
    #[arg(help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    schedule: Option<String>,

    /// Steps of linear growth of the rates at the start [default: 0 with --freeze-encoder, else a tenth of all]
    #[arg(long, value_name = "N", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    warmup_steps: Option<u64>,

    /// The largest norm of the gradient, 0 for no clipping [default: 0]
    #[arg(long, value_name = "NORM", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    clip: Option<f64>,

    /// Explicit negatives a query, where the collection has negatives.jsonl or a teacher scored some [default: 1]
    #[arg(long, value_name = "N", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    negatives: Option<usize>,

    /// Who looks for whom in a batch: one-way, each query for its document, or both, each document for its query, too;
    /// both suits pairs of equals, such as duplicate questions [default: one-way]
    #[arg(long, value_name = "HOW", value_parser = ["one-way", "both"], hide_possible_values = true, help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    directions: Option<String>,

    /// Learn from a teacher's scores, too, such as a cross-encoder's: a .tsv file of query-id, corpus-id, score, or JSON
    /// lines with these keys, plain or .gz. Scored documents that are no positives join their query's negatives, of which
    /// `--negatives` are drawn a step: raise it to learn of more at once
    #[arg(long, value_name = "FILE", help_heading = "Distillation")]
    #[serde(skip_serializing_if = "Option::is_none")]
    distill: Option<PathBuf>,

    /// Learn from a teacher model, too: a model folder, or a name on the hub, whose vectors are computed once and compared
    /// as it is meant to be; every query and document of a batch is scored
    #[arg(long, value_name = "DIR|NAME", help_heading = "Distillation")]
    #[serde(skip_serializing_if = "Option::is_none")]
    teacher: Option<String>,

    /// How scores are compared with the teacher's: kl, as distributions over each query's documents, whatever their scale,
    /// or margin-mse, by the margins between positive and others, which must be of the teacher's scale [default: kl]
    #[arg(long, value_name = "LOSS", value_parser = ["kl", "margin-mse"], hide_possible_values = true)]
    #[arg(help_heading = "Distillation")]
    #[serde(skip_serializing_if = "Option::is_none")]
    distill_loss: Option<String>,

    /// What the teacher's scores are divided by for kl: the smaller, the more its first document counts [default: 0.05 for
    /// a teacher model that compares by cosine, else 1]
    #[arg(long, value_name = "T", help_heading = "Distillation")]
    #[serde(skip_serializing_if = "Option::is_none")]
    distill_temperature: Option<f64>,

    /// Weight of the distillation loss beside the judgments' [default: 1]
    #[arg(long, value_name = "W", help_heading = "Distillation")]
    #[serde(skip_serializing_if = "Option::is_none")]
    distill_weight: Option<f64>,

    /// The seed of every random draw [default: 42]
    #[arg(long, value_name = "S", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,

    /// The part of the training queries to hold out where there are no dev judgments; 0 trains on every query without
    /// validation [default: five folds of fewer than 2 000 queries with --freeze-encoder, else 200 queries or a fifth]
    #[arg(long, value_name = "FRACTION", help_heading = "Validation")]
    #[serde(skip_serializing_if = "Option::is_none")]
    validation: Option<f64>,

    /// Documents that validation queries are ranked over, those that are judged and others drawn at random; all with
    /// --freeze-encoder [default: those that are judged and the encoder's first hundred, and in the end all]
    #[arg(long, value_name = "N", help_heading = "Validation")]
    #[serde(skip_serializing_if = "Option::is_none")]
    validation_documents: Option<usize>,

    /// Stop after this many epochs in a row without a better nDCG@10, 0 for never [default: 5 with
    /// --freeze-encoder, else 2]
    #[arg(long, value_name = "N", help_heading = "Validation")]
    #[serde(skip_serializing_if = "Option::is_none")]
    patience: Option<usize>,

    /// Standard errors by which the best state must exceed the encoder as it came to be kept [default: 2]
    #[arg(long, value_name = "N", help_heading = "Validation")]
    #[serde(skip_serializing_if = "Option::is_none")]
    accept: Option<f64>,

    /// After the choice, train once more on training and held-out judgments together, for as many epochs
    #[arg(long, help_heading = "Validation")]
    #[serde(skip_serializing_if = "is_off")]
    retrain: bool,

    /// Which state becomes RUN/model: best or last; the other one stays beside it, as RUN/last or RUN/best. Without
    /// validation there is only the last [default: best]
    #[arg(long, value_name = "WHICH", value_parser = ["best", "last"], hide_possible_values = true)]
    #[arg(help_heading = "Validation")]
    #[serde(skip_serializing_if = "Option::is_none")]
    keep: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_off(switch: &bool) -> bool {
    !switch
}
