//! A pickle machine that builds plain data and storages of tensors, and nothing else.
//!
//! Python's pickle is a program for a stack machine whose instructions may call any function by name. This reader
//! knows the instructions that state dictionaries consist of and the handful of names that PyTorch uses for tensors
//! ([`Global`]); at the first other instruction or name it stops, saying which and at which byte. It never looks
//! anything up, so a hostile file can at worst be refused.
//!
//! Objects live in an arena and refer to one another by index: a pickle that nests or refers to itself cannot make
//! the reader recurse. Memory is bounded by the pickle's length, which is bounded by [`MOST_BYTES`].
//!
//! Left out: everything that is not needed for tensors, among it classes, code, numpy arrays and quantised types.
//! Reference: the opcodes' documentation in CPython's `pickletools`.

mod construction;
mod cursor;
mod global;
mod machine;
mod opcode;
mod value;

pub use self::global::Global;
pub use self::machine::{MOST_BYTES, read};
pub use self::value::{Heap, Pickle, Storage, TensorView, Value};

/// Why a pickle was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PickleError {
    /// A function or class that is not on the allow-list.
    #[error(
        "the pickle asks to import `{name}` at byte {offset}, which is not on the list of harmless names; nothing was \
         executed; if you trust the file, load it in PyTorch and save its weights as safetensors"
    )]
    ForbiddenGlobal {
        /// `module.name`.
        name: String,
        /// Where the instruction stands, counted from the beginning of the file or archive entry.
        offset: usize,
    },

    /// An instruction that is not on the allow-list.
    #[error(
        "the pickle uses the instruction {opcode} at byte {offset}, which is not on the list of harmless ones; nothing \
         was executed; if you trust the file, load it in PyTorch and save its weights as safetensors"
    )]
    ForbiddenOpcode {
        /// The instruction's name, or its byte where it has none.
        opcode: String,
        /// Where it stands.
        offset: usize,
    },

    /// The pickle ends in the middle of an instruction.
    #[error("the pickle ends at byte {offset} in the middle of an instruction: the file is truncated")]
    Truncated {
        /// Where it ends.
        offset: usize,
    },

    /// An instruction whose operands do not fit it.
    #[error("the pickle is malformed at byte {offset}: {reason}")]
    Malformed {
        /// Where the instruction stands.
        offset: usize,
        /// What is wrong.
        reason: String,
    },
}
