//! The edge to the tokenizer's library, which panics on some files and texts: here that is an error.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// What `work` gives, or why it gives nothing.
///
/// Nothing that `work` changes may be used after an error.
pub(super) fn guarded<T>(work: impl FnOnce() -> tokenizers::Result<T>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(panic) => {
            let said = panic.downcast_ref::<&str>().map(|said| (*said).to_owned());
            let said = said.or_else(|| panic.downcast_ref::<String>().cloned());
            Err(format!("the tokenizer's library stopped at it ({})", said.unwrap_or_default()))
        }
    }
}
