//! The state of a run on disk: what a killed run goes on from.
//!
//! `state.safetensors` holds the trained parameters, both moments and the position; `best.safetensors` the trained
//! parameters of the best validation. Each is written to a temporary name and renamed, so both are always whole.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sbmoe_kernels::Ops;
use sbmoe_model::architecture::Architecture;
use sbmoe_model::checkpoint::{self, Values, stream_safetensors};
use sbmoe_model::parameters::{Parameter, ParameterId, Tensors};
use serde::{Deserialize, Serialize};

use crate::{Gain, Groups, Optimizer};

/// Version of the files' layout.
const FORMAT: u32 = 1;
const KEY: &str = "sbmoe.train";

/// The file of the state.
const STATE: &str = "state.safetensors";

/// The file of the best parameters.
const BEST: &str = "best.safetensors";

/// How far a run has come.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Position {
    format: u32,
    /// Hash of everything that shapes the run: a checkpoint of another run is refused.
    pub identity: String,
    /// Epochs done.
    pub epoch: usize,
    /// Steps done within the epoch.
    pub step_in_epoch: usize,
    /// Steps done in all.
    pub steps: u64,
    /// Texts that each expert received so far in this epoch.
    pub routed: Vec<u64>,
    /// The best validation score and the steps at which it was reached.
    pub best: Option<(f64, u64)>,
    /// What the best state gains on the encoder as it came.
    #[serde(default)]
    pub best_gain: Option<Gain>,
    /// Validations since the best one.
    pub worse: usize,
    /// Whether the run is over.
    pub finished: bool,
}

impl Position {
    /// The beginning of the run that `identity` names.
    pub fn start(identity: &str) -> Self {
        Self { format: FORMAT, identity: identity.to_owned(), ..Self::default() }
    }
}

/// Why a checkpoint is of no use.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] checkpoint::CheckpointError),
    /// The folder cannot be made.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The file is not a training state.
    #[error("`{}` holds no training state that this version reads ({reason}); start again without `--resume`", path.display())]
    NotAState {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The state belongs to a run with other settings or other data.
    #[error(
        "`{}` belongs to a run with other settings, data or encoder; resume with the settings of its `config.toml`, or \
         start again without `--resume`", path.display()
    )]
    OtherRun {
        /// The file.
        path: PathBuf,
    },
}

/// The checkpoint folder of a run.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    folder: PathBuf,
}

impl Checkpoint {
    /// The checkpoint in `folder`, which need not exist yet.
    pub fn in_folder(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    fn state(&self) -> PathBuf {
        self.folder.join(STATE)
    }

    fn best(&self) -> PathBuf {
        self.folder.join(BEST)
    }

    /// Whether a state was saved.
    pub fn exists(&self) -> bool {
        self.state().exists()
    }

    /// Removes what an earlier run left.
    ///
    /// # Errors
    /// A file that cannot be removed.
    pub fn clear(&self) -> Result<(), CheckpointError> {
        for file in [self.state(), self.best()] {
            if file.exists() {
                fs_err::remove_file(file)?;
            }
        }
        self.clear_partial()
    }

    /// Removes what a run that was killed was writing: `state.safetensors…partial` and `best.safetensors…partial`.
    fn clear_partial(&self) -> Result<(), CheckpointError> {
        if !self.folder.exists() {
            return Ok(());
        }
        for entry in fs_err::read_dir(&self.folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let own = name.to_str().and_then(|name| name.strip_suffix(".partial")).is_some_and(|name| {
                let name = name.trim_start_matches('.');
                [STATE, BEST].iter().any(|file| name.starts_with(file))
            });
            if own {
                fs_err::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    /// Where the saved state stands.
    ///
    /// # Errors
    /// A file that is no training state of this version.
    pub fn position(&self) -> Result<Position, CheckpointError> {
        let path = self.state();
        let not = |reason: String| CheckpointError::NotAState { path: path.clone(), reason };
        let metadata = checkpoint::metadata(&path)?;
        let text = metadata.get(KEY).ok_or_else(|| not(format!("no `{KEY}` in its header")))?;
        let position: Position = serde_json::from_str(text).map_err(|error| not(error.to_string()))?;
        if position.format != FORMAT {
            return Err(not(format!("format {} where {FORMAT} is read", position.format)));
        }
        Ok(position)
    }

    /// Writes the state.
    ///
    /// # Errors
    /// A failed write; the former state stays.
    pub fn save<O: Ops>(
        &self,
        ops: &O,
        (architecture, groups): (&Architecture, &Groups),
        parameters: &Tensors<O::Buffer>,
        optimizer: &Optimizer<O::Buffer>,
        position: &Position,
    ) -> Result<(), CheckpointError> {
        let trained = trained(architecture, groups);
        let kinds = [("parameter", parameters), ("first", &optimizer.first), ("second", &optimizer.second)];
        let mut tensors = Vec::new();
        for (kind, source) in kinds {
            for &id in &trained {
                let name = format!("{kind}/{}", architecture.layout.get(id).name);
                tensors.push((name, id, source.get(id)));
            }
        }
        let not = |reason: String| CheckpointError::NotAState { path: self.state(), reason };
        let text = serde_json::to_string(position).map_err(|error| not(error.to_string()))?;
        self.write(&self.state(), (ops, architecture), &tensors, &BTreeMap::from([(KEY.to_owned(), text)]))
    }

    /// Writes the trained parameters as the best so far.
    ///
    /// # Errors
    /// A failed write; the former best stays.
    pub fn save_best<O: Ops>(
        &self,
        ops: &O,
        (architecture, groups): (&Architecture, &Groups),
        parameters: &Tensors<O::Buffer>,
    ) -> Result<(), CheckpointError> {
        let named = |id: ParameterId| (architecture.layout.get(id).name.clone(), id, parameters.get(id));
        let tensors: Vec<_> = trained(architecture, groups).into_iter().map(named).collect();
        self.write(&self.best(), (ops, architecture), &tensors, &BTreeMap::new())
    }

    /// Reads the state into parameters and optimiser, and says where it stands. What a killed run was writing is removed.
    ///
    /// # Errors
    /// A state of another run, or a damaged one.
    pub fn load<O: Ops>(
        &self,
        ops: &O,
        (architecture, groups): (&Architecture, &Groups),
        identity: &str,
        parameters: &mut Tensors<O::Buffer>,
        optimizer: &mut Optimizer<O::Buffer>,
    ) -> Result<Position, CheckpointError> {
        let position = self.position()?;
        if position.identity != identity {
            return Err(CheckpointError::OtherRun { path: self.state() });
        }
        self.clear_partial()?;
        let file = checkpoint::Checkpoint::open_file(&self.state())?;
        for id in trained(architecture, groups) {
            let parameter = architecture.layout.get(id);
            let read = |kind: &str| {
                let name = format!("{kind}/{}", parameter.name);
                values(&file, &self.state(), &name, &parameter.shape).map(|values| ops.upload(&values))
            };
            *parameters.get_mut(id) = read("parameter")?;
            *optimizer.first.get_mut(id) = read("first")?;
            *optimizer.second.get_mut(id) = read("second")?;
        }
        optimizer.steps = position.steps;
        Ok(position)
    }

    /// Reads the best trained parameters.
    ///
    /// # Errors
    /// A missing or damaged file.
    pub fn load_best<O: Ops>(
        &self,
        ops: &O,
        (architecture, groups): (&Architecture, &Groups),
        parameters: &mut Tensors<O::Buffer>,
    ) -> Result<(), CheckpointError> {
        let file = checkpoint::Checkpoint::open_file(&self.best())?;
        for id in trained(architecture, groups) {
            let Parameter { name, shape } = architecture.layout.get(id);
            *parameters.get_mut(id) = ops.upload(&values(&file, &self.best(), name, shape)?);
        }
        Ok(())
    }

    /// Writes one tensor after the other: beside a step's memory there is little room for copies.
    fn write<O: Ops>(
        &self,
        path: &Path,
        (ops, architecture): (&O, &Architecture),
        tensors: &[(String, ParameterId, &O::Buffer)],
        metadata: &BTreeMap<String, String>,
    ) -> Result<(), CheckpointError> {
        fs_err::create_dir_all(&self.folder)?;
        let heads: Vec<_> = tensors
            .iter()
            .map(|(name, id, _)| (name.as_str(), architecture.layout.get(*id).shape.as_slice()))
            .collect();
        Ok(stream_safetensors(path, &heads, metadata, |tensor| Cow::Owned(ops.download(tensors[tensor].2)))?)
    }
}

/// The numbers of a tensor that must have this shape: what is trained on looks at no length again.
fn values(
    file: &checkpoint::Checkpoint,
    path: &Path,
    name: &str,
    shape: &[usize],
) -> Result<Values, CheckpointError> {
    let tensor = file.get(name)?;
    if tensor.shape != shape {
        let reason = format!("`{name}` has the shape {:?} where {shape:?} is expected", tensor.shape);
        return Err(CheckpointError::NotAState { path: path.to_owned(), reason });
    }
    Ok(tensor.values)
}

fn trained(architecture: &Architecture, groups: &Groups) -> Vec<ParameterId> {
    architecture.layout.ids().filter(|id| groups.trains(*id)).collect()
}
