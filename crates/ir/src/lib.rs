//! What retrieval is judged with: collections, judgments, runs, and the measures over them.
//!
//! Reading order: [`collection`] (BEIR folders, streamed), [`qrels`] (who judged what), [`order`] (the one order of
//! hits), [`run`] (what a system returned), [`measure`] (nDCG@10 and its kin) and [`evaluate`](mod@evaluate), which
//! joins them. Every value equals that of the standard evaluation program (trec_eval 10) to all digits it prints.
//! Beside these, [`seen`] tells queries apart whose answers were trained on, [`mine`] takes hard negatives from a run,
//! [`pairs`] makes a collection of ready-made training pairs, and [`scores`] reads what a teacher says of pairs. [`atomic_file`] is how every file is written.
//!
//! Left out: vectors, networks, printing, environment variables. Files are read and written; nothing else is touched.
//!
//! ```
//! use sbmoe_ir::{EvaluateOptions, Hit, Measure, Qrels, Ranking, Run, evaluate};
//!
//! let qrels = Qrels::from_judgments([("q1", "d1", 2), ("q1", "d2", 1)])?;
//! let mut run = Run::new();
//! run.push(Ranking::new("q1", vec![Hit::new("d2", 0.5_f32), Hit::new("d1", 0.9_f32)])?)?;
//!
//! let ndcg: Measure = "nDCG@10".parse()?;
//! let evaluation = evaluate(&qrels, &run, &[ndcg], &EvaluateOptions::default())?;
//! assert_eq!(evaluation.means, [1.0]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod atomic_file;
pub mod collection;
pub mod evaluate;
pub mod measure;
pub mod mine;
pub mod order;
pub mod pairs;
pub mod qrels;
pub mod run;
pub mod run_writer;
pub mod scores;
pub mod seen;

mod error;
mod gzip;
mod lines;
mod text_hash;

pub use collection::{Collection, Document, Negatives, Query, Split};
pub use error::Error;
pub use evaluate::{EvaluateOptions, Evaluation, MissingQueries, evaluate};
pub use measure::Measure;
pub use order::{Score, total_order};
pub use qrels::{Grade, Qrels};
pub use run::{Hit, Ranking, Run};
pub use run_writer::RunWriter;
pub use seen::TrainingPositives;
