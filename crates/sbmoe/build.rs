//! Tells the program the commit that it is built from, for the `env.json` of its runs.
//!
//! `SBMOE_COMMIT` wins where it is set (empty: no commit is named); else git is asked, and where there is no repository,
//! as in an unpacked archive, there is no commit.

#[path = "build/commit.rs"]
mod commit;

use std::env;
use std::path::Path;

fn main() {
    let folder = env::var_os("CARGO_MANIFEST_DIR").expect("cargo names the crate's folder");
    let folder = Path::new(&folder);
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=build/commit.rs");
    println!("cargo::rerun-if-env-changed=SBMOE_COMMIT");
    for path in commit::watched(folder) {
        println!("cargo::rerun-if-changed={}", path.display());
    }
    if let Some(commit) = commit::commit(folder, env::var("SBMOE_COMMIT").ok()) {
        println!("cargo::rustc-env=SBMOE_BUILD_COMMIT={commit}");
    }
}
