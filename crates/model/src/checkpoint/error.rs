//! What can be wrong with a checkpoint, with the facts that a user needs to act on it.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::pickle::PickleError;

/// Why a checkpoint could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// A file could not be opened, mapped, read or written; the message names it.
    #[error(transparent)]
    Io(#[from] io::Error),

    /// A folder without weights.
    #[error(
        "no weights in `{}`: looked for {looked_for}; fetch one of them from where the model comes from",
        dir.display()
    )]
    NoWeights {
        /// The folder.
        dir: PathBuf,
        /// The files that would have done, in the order of preference.
        looked_for: String,
    },

    /// A file that is shorter than its own header says.
    #[error(
        "`{}` is truncated: expected {expected} bytes, found {found}; fetch it again",
        path.display()
    )]
    Truncated {
        /// The file.
        path: PathBuf,
        /// The number of bytes that the header asks for (at least).
        expected: u64,
        /// The number of bytes there are.
        found: u64,
    },

    /// A file whose first bytes belong to no format that is read.
    #[error(
        "`{}` is not a checkpoint: {reason}; safetensors files and state dictionaries of `torch.save` can be read",
        path.display()
    )]
    UnknownFormat {
        /// The file.
        path: PathBuf,
        /// What its beginning looks like.
        reason: String,
    },

    /// A file whose content contradicts its format.
    #[error("`{}` is damaged: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The contradiction.
        reason: String,
    },

    /// A pickle that is malformed or asks for something that is not on the allow-list.
    #[error("`{}`{}: {source}", path.display(), part.as_ref().map(|part| format!(" (`{part}`)")).unwrap_or_default())]
    Pickle {
        /// The file.
        path: PathBuf,
        /// The entry of the archive, or `None` if the pickle stands in the file itself.
        part: Option<String>,
        /// What was met, and at which byte.
        source: PickleError,
    },

    /// Numbers in the byte order of another kind of machine.
    #[error(
        "`{}` was written on a big-endian machine; convert it to safetensors there",
        path.display()
    )]
    BigEndian {
        /// The file.
        path: PathBuf,
    },

    /// An index that names a file which is not there.
    #[error("`{}` names the shard `{shard}`, which is not beside it; fetch the missing file", index.display())]
    MissingShard {
        /// The index.
        index: PathBuf,
        /// The shard's file name.
        shard: String,
    },

    /// An index that promises a tensor which its shard does not hold.
    #[error("`{}` says that `{name}` is in `{shard}`, which does not hold it", index.display())]
    NotInShard {
        /// The index.
        index: PathBuf,
        /// The shard's file name.
        shard: String,
        /// The tensor.
        name: String,
    },

    /// A name that no tensor has.
    #[error("`{}` holds no tensor `{name}`", path.display())]
    UnknownTensor {
        /// The file (the first of several).
        path: PathBuf,
        /// The tensor asked for.
        name: String,
    },

    /// Two tensors that become one when names are made canonical.
    #[error("`{}` holds both `{first}` and `{second}`, which are two names for `{renamed}`", path.display())]
    SameName {
        /// The file (the first of several).
        path: PathBuf,
        /// The first tensor's name.
        first: String,
        /// The second tensor's name.
        second: String,
        /// The name that both would receive.
        renamed: String,
    },

    /// A tensor of integers where numbers are wanted.
    #[error(
        "tensor `{name}` of `{}` holds {dtype}, not one of F16, BF16, F32, F64",
        path.display()
    )]
    NotFloat {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// The type, in the names of safetensors.
        dtype: String,
    },

    /// A weight that is no number.
    #[error(
        "tensor `{name}` of `{}` holds {value} at index {index}; the training that wrote it has diverged",
        path.display()
    )]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// What was found.
        value: NotFinite,
        /// Its place among the tensor's values in row-major order.
        index: usize,
    },

    /// Tensors that a model needs and that are absent or of another shape.
    #[error("`{}` does not fit the model:{}", path.display(), list_mismatches(missing, misshapen))]
    Mismatch {
        /// The file (the first of several).
        path: PathBuf,
        /// The canonical names of the tensors that are absent.
        missing: Vec<String>,
        /// The tensors whose shape differs.
        misshapen: Vec<Misshapen>,
    },
}

/// A tensor of another shape than the model's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misshapen {
    /// The canonical name.
    pub name: String,
    /// The shape that the model's configuration implies.
    pub expected: Vec<usize>,
    /// The shape in the file.
    pub found: Vec<usize>,
}

/// The two kinds of values that are not finite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotFinite {
    /// Not a number.
    Nan,
    /// Plus or minus infinity.
    Infinity,
}

impl fmt::Display for NotFinite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nan => "a NaN",
            Self::Infinity => "an infinity",
        })
    }
}

impl NotFinite {
    /// The first value that is not finite, with its index.
    pub(super) fn find(values: &[f32]) -> Option<(usize, Self)> {
        let index = values.iter().position(|value| !value.is_finite())?;
        Some((index, if values[index].is_nan() { Self::Nan } else { Self::Infinity }))
    }
}

/// `missing `a`, `b`, `c` has shape … where … is expected`, after a space.
fn list_mismatches(missing: &[String], misshapen: &[Misshapen]) -> String {
    let missing = (!missing.is_empty()).then(|| format!(" missing `{}`", missing.join("`, `")));
    let misshapen = misshapen.iter().map(|Misshapen { name, expected, found }| {
        format!(" `{name}` has shape {found:?} where {expected:?} is expected")
    });
    missing.into_iter().chain(misshapen).collect::<Vec<_>>().join(",")
}
