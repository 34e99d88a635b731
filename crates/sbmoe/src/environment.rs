//! Every environment variable that the program reads, besides the hub's ([`crate::hub::environment`]).

use std::env;

/// `SBMOE_SIMD`: `scalar`, `avx2`, `avx512`, `avx512bf16`, `amx` or `neon`; the machine's best when unset.
pub fn simd() -> Option<String> {
    env::var("SBMOE_SIMD").ok().filter(|value| !value.is_empty())
}
