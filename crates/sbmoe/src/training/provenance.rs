//! What a run was made of: `env.json`, and the identity by which a checkpoint knows its run.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Result;
use sbmoe_index::FileRecord;
use sbmoe_ir::{Collection, Split};
use sbmoe_kernels::Cpu;
use serde::Serialize;

use super::config::RunConfig;
use super::journal::now;
use super::judgments::{HeldOutFrom, Judgments};
use super::teaching::TeacherModel;
use crate::model_source::ModelSource;
use crate::sha256::Sha256Hex;

/// The content of `env.json`.
#[derive(Debug, Serialize)]
pub(super) struct Provenance {
    version: &'static str,
    /// The commit that the program was built from, where the build knew it (`build.rs`).
    commit: Option<&'static str>,
    cpu: Processor,
    seed: u64,
    model: Model,
    /// Size and SHA-256 of every file of the collection that the run reads, by name within the folder.
    data: BTreeMap<String, FileRecord>,
    teacher: Option<Teacher>,
    /// Seconds since 1970.
    started: f64,
    /// The step of the checkpoint that the run went on from last.
    resumed_from_step: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Processor {
    architecture: &'static str,
    /// The instructions that the loops ran on; results may differ between levels in their last bits.
    level: String,
    /// Results do not depend on it.
    threads: usize,
}

#[derive(Debug, Serialize)]
struct Model {
    name: String,
    dir: PathBuf,
    /// The commit on the hub.
    commit: Option<String>,
    fingerprint: String,
}

/// Whom the run learned from besides its judgments.
#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum Teacher {
    Scores {
        file: PathBuf,
        #[serde(flatten)]
        record: FileRecord,
    },
    Model(Model),
}

impl Provenance {
    /// Reads the collection's files for their checksums.
    pub(super) fn new(
        collection: &Collection,
        judgments: &Judgments,
        (source, fingerprint): (&ModelSource, &str),
        config: &RunConfig,
        cpu: &Cpu,
    ) -> Result<Self> {
        let mut files = vec![collection.corpus_file()?, collection.queries_file()?];
        files.push(collection.qrels_file(Split::Train)?);
        if judgments.held_out_from == Some(HeldOutFrom::Dev) {
            files.push(collection.qrels_file(Split::Dev)?);
        }
        let negatives = ["negatives.jsonl", "negatives.jsonl.gz"].map(|name| collection.folder().join(name));
        if judgments.has_negatives() {
            files.extend(negatives.into_iter().find(|path| path.is_file()));
        }
        let mut data = BTreeMap::new();
        for path in files {
            let name = path.strip_prefix(collection.folder()).unwrap_or(&path).display().to_string();
            data.insert(name, FileRecord::of(&path)?);
        }
        Ok(Self {
            version: env!("CARGO_PKG_VERSION"),
            commit: option_env!("SBMOE_BUILD_COMMIT"),
            cpu: Processor {
                architecture: std::env::consts::ARCH,
                level: cpu.level().to_string(),
                threads: cpu.threads(),
            },
            seed: config.seed,
            model: Model {
                name: config.model.clone().unwrap_or_default(),
                dir: source.dir.clone(),
                commit: source.commit.clone(),
                fingerprint: fingerprint.to_owned(),
            },
            data,
            teacher: None,
            started: now(),
            resumed_from_step: None,
        })
    }

    /// Notes the teacher, `model` where it is one; reads a file of scores for its checksum.
    pub(super) fn taught(&mut self, config: &RunConfig, model: Option<&TeacherModel>) -> Result<()> {
        let of_file = |file: &PathBuf| -> Result<Teacher> {
            Ok(Teacher::Scores { file: file.clone(), record: FileRecord::of(file)? })
        };
        self.teacher = match model {
            None => config.distill.as_ref().map(of_file).transpose()?,
            Some(model) => Some(Teacher::Model(Model {
                name: config.teacher.clone().unwrap_or_default(),
                dir: model.source.dir.clone(),
                commit: model.source.commit.clone(),
                fingerprint: model.fingerprint.clone(),
            })),
        };
        Ok(())
    }

    /// Notes that the run goes on from `step`.
    pub(super) fn resumed_from(&mut self, step: u64) {
        self.resumed_from_step = Some(step);
    }

    /// A hash of everything that shapes the run's results on this machine: values, model, data and teacher.
    pub(super) fn identity(&self, config: &RunConfig) -> String {
        let mut hash = Sha256Hex::new();
        hash.part(serde_json::to_string(&config.shape()).expect("a configuration is plain data"));
        hash.part(&self.model.fingerprint);
        hash.part(&self.cpu.level);
        for (name, record) in &self.data {
            hash.part(name);
            hash.part(&record.sha256);
        }
        match &self.teacher {
            None => {}
            Some(Teacher::Scores { record, .. }) => hash.part(format!("scores {}", record.sha256)),
            Some(Teacher::Model(model)) => hash.part(format!("teacher {}", model.fingerprint)),
        }
        hash.finish()
    }
}
