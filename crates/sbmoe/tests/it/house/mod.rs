//! The house rules: what STYLE and DESIGN ask of every file, checked by reading the repository.
//!
//! This module and its parts use the standard library alone, so that `./check` compiles and runs them in seconds, before
//! anything else is built: `rustc --test` on this file. As a part of the application's tests they run with the rest.
//! Each rule is a function from text to faults and is itself tested on text that breaks it.
//!
//! Left out: what rustfmt, rustc and clippy check.

mod documents;
mod licences;
mod manifests;
mod rules;
mod source;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use self::{licences::Allowed, manifests::Manifest, source::Source};

#[test]
fn every_file_says_what_it_is_for() {
    check_sources(rules::opening);
}

#[test]
fn no_file_is_too_long() {
    check_sources(rules::length);
}

#[test]
fn files_are_named_after_concepts() {
    check_sources(rules::name);
}

#[test]
fn nothing_is_left_over_or_silenced() {
    check_sources(rules::leftovers);
}

#[test]
fn libraries_never_print() {
    check_sources(rules::printing);
}

#[test]
fn libraries_never_read_their_surroundings() {
    check_sources(rules::surroundings);
}

#[test]
fn files_are_opened_through_fs_err() {
    check_sources(rules::file_system);
}

#[test]
fn crates_keep_their_direction() {
    let faults: Vec<String> = manifests().iter().flat_map(Manifest::faults).collect();
    assert_no_faults(&faults);
}

#[test]
fn documents_are_short_and_true_on_every_machine() {
    assert_no_faults(&documents::faults(&Tree::of_repository()));
}

#[test]
fn dependencies_of_libraries_bring_no_command_line_or_runtime() {
    let manifests = manifests();
    let libraries = manifests.iter().map(|manifest| &manifest.package).filter(|package| *package != "sbmoe");
    let mut arguments = vec!["--edges", "normal,build", "--format", "{p}"];
    arguments.extend(libraries.clone().flat_map(|package| ["--package", package]));
    let tree = cargo_tree(&arguments);
    let names: Vec<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(
        libraries.clone().all(|package| names.contains(&package.as_str())),
        "a library is missing:\n{tree}"
    );
    let brought = manifests::APPLICATION_ONLY.iter().filter(|name| names.contains(name));
    let faults =
        brought.map(|name| format!("a library brings `{name}`: see `cargo tree --workspace -i {name}`"));
    assert_no_faults(&faults.collect::<Vec<_>>());
}

#[test]
fn dependencies_come_from_the_registry_under_licences_that_are_allowed() {
    let tree = Tree::of_repository();
    let allowed = Allowed::parse(&tree.text("deny.toml").expect("deny.toml is committed"));
    let lock = tree.text("Cargo.lock").expect("Cargo.lock is committed");
    // Everything comes from one registry, the one that cargo knows without being told: none is configured here.
    let sources: BTreeSet<&str> = lock.lines().filter_map(|line| line.strip_prefix("source = ")).collect();
    let registries = sources.iter().filter(|source| source.starts_with("\"registry+")).count();
    let foreign = sources.iter().filter(|source| registries > 1 || !source.starts_with("\"registry+"));
    let mut faults: Vec<String> = foreign.map(|source| format!("{source} is not the registry")).collect();

    let everything = ["--workspace", "--edges", "normal,build,dev", "--format", "{p}|{l}|", "--no-dedupe"];
    let packages = cargo_tree(&everything);
    let mut packages: Vec<&str> = packages.lines().filter(|line| !line.is_empty()).collect();
    packages.sort_unstable();
    packages.dedup();
    assert!(packages.len() > manifests().len(), "`cargo tree` lists only {packages:?}");
    for line in packages {
        let [name, licence, _] = line.splitn(3, '|').collect::<Vec<_>>()[..] else {
            panic!("unexpected line `{line}`")
        };
        let package = name.split(' ').next().unwrap_or(name);
        if !allowed.permits(package, licence) {
            faults.push(format!("`{name}` is under `{licence}`, which deny.toml does not allow"));
        }
    }
    assert_no_faults(&faults);
}

/// The repository's files.
struct Tree {
    root: PathBuf,
    /// Names of files and folders that are not committed.
    ignored: Vec<String>,
}

impl Tree {
    fn of_repository() -> Self {
        let mut tree = Self {
            root: Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."),
            ignored: vec![".git".to_owned()],
        };
        let ignored = tree.text(".gitignore").expect(".gitignore is committed");
        tree.ignored.extend(ignored.lines().map(|line| line.trim_matches('/').to_owned()));
        tree
    }

    /// Every committed file, relative to the root, in a fixed order.
    fn files(&self) -> Vec<String> {
        self.files_under("")
    }

    #[expect(clippy::disallowed_methods, reason = "the standard library alone is at hand here")]
    fn files_under(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.root.join(folder)).expect("the repository's folders can be read");
        let mut files = Vec::new();
        for entry in entries {
            let entry = entry.expect("the repository's folders can be read");
            let (Ok(name), Ok(kind)) = (entry.file_name().into_string(), entry.file_type()) else { continue };
            let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            if self.ignored.contains(&name) {
                continue;
            }
            if kind.is_dir() {
                files.append(&mut self.files_under(&path));
            } else if kind.is_file() {
                files.push(path);
            }
        }
        files.sort_unstable();
        files
    }

    /// A file's text; `None` when it is not there or not text.
    #[expect(clippy::disallowed_methods, reason = "the standard library alone is at hand here")]
    fn text(&self, path: &str) -> Option<String> {
        let text = String::from_utf8(fs::read(self.root.join(path)).ok()?).ok()?;
        (!text.contains('\0')).then_some(text)
    }
}

fn sources() -> Vec<Source> {
    let tree = Tree::of_repository();
    let is_rust = |path: &String| Path::new(path).extension().is_some_and(|extension| extension == "rs");
    let rust = tree.files_under("crates").into_iter().filter(is_rust);
    let sources: Vec<Source> =
        rust.filter_map(|path| tree.text(&path).map(|text| Source { path, text })).collect();
    assert!(
        sources.iter().any(|source| source.path == "crates/sbmoe/src/main.rs"),
        "the sources are not where they were"
    );
    sources
}

fn manifests() -> Vec<Manifest> {
    let tree = Tree::of_repository();
    let files = tree.files_under("crates").into_iter().filter(|path| path.ends_with("Cargo.toml"));
    let manifests: Vec<Manifest> =
        files.filter_map(|path| tree.text(&path)).map(|text| Manifest::parse(&text)).collect();
    assert!(
        manifests.iter().any(|manifest| manifest.package == "sbmoe"),
        "the manifests are not where they were"
    );
    manifests
}

/// What `cargo tree` says of every platform, or of this one where the others' packages are not at hand: a test does not
/// fetch them. `./check` fetches them first.
fn cargo_tree(arguments: &[&str]) -> String {
    let run = |target: &[&str]| {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.current_dir(env!("CARGO_MANIFEST_DIR")).args([
            "tree",
            "--locked",
            "--offline",
            "--prefix",
            "none",
        ]);
        command.args(arguments).args(target).output().expect("cargo can be started")
    };
    let mut output = run(&["--target", "all"]);
    if !output.status.success() {
        output = run(&[]);
    }
    assert!(output.status.success(), "`cargo tree` failed: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("cargo prints UTF-8")
}

fn check_sources(rule: fn(&Source) -> Vec<String>) {
    let faults_of = |source: &Source| -> Vec<String> {
        rule(source).into_iter().map(|fault| format!("{} {fault}", source.path)).collect()
    };
    let faults: Vec<String> = sources().iter().flat_map(faults_of).collect();
    assert_no_faults(&faults);
}

fn assert_no_faults(faults: &[String]) {
    assert!(faults.is_empty(), "{} fault(s):\n{}\n", faults.len(), faults.join("\n"));
}
