//! The direction of the crates, read from their `Cargo.toml`s: leaves know nothing of each other, and what belongs to the
//! application stays there.

/// Which of our crates each crate may know. A crate that is missing here has no place yet, which is a fault.
const DIRECTION: [(&str, &[&str]); 6] = [
    ("sbmoe-ir", &[]),
    ("sbmoe-index", &[]),
    ("sbmoe-kernels", &[]),
    ("sbmoe-model", &["sbmoe-kernels"]),
    ("sbmoe-train", &["sbmoe-kernels", "sbmoe-model"]),
    ("sbmoe", &["sbmoe-index", "sbmoe-ir", "sbmoe-kernels", "sbmoe-model", "sbmoe-train"]),
];

/// What only the application may depend on: command lines, runtimes, servers, untyped errors, terminals.
pub(super) const APPLICATION_ONLY: [&str; 5] = ["anyhow", "axum", "clap", "indicatif", "tokio"];

/// A crate's own manifest.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Manifest {
    /// The package's name.
    pub(super) package: String,
    /// The packages that it names in any table of dependencies, `dev` and `build` included.
    pub(super) dependencies: Vec<String>,
    inherits_lints: bool,
}

impl Manifest {
    /// Reads the little of TOML that manifests use: tables, and keys at the beginning of a line.
    pub(super) fn parse(text: &str) -> Self {
        let mut manifest = Self { package: String::new(), dependencies: Vec::new(), inherits_lints: false };
        let mut table = "";
        for line in text.lines().map(str::trim) {
            if let Some(header) = line.strip_prefix('[') {
                table = header.trim_end_matches(']');
                if let Some((of, name)) = table.rsplit_once('.')
                    && is_dependencies(of)
                {
                    manifest.dependencies.push(name.trim_matches('"').to_owned());
                }
            } else if let Some((key, value)) = line.split_once('=') {
                manifest.take(table, key.trim(), value.trim());
            }
        }
        manifest
    }

    fn take(&mut self, table: &str, key: &str, value: &str) {
        match (table, key) {
            ("package", "name") => value.trim_matches('"').clone_into(&mut self.package),
            ("lints", "workspace") => self.inherits_lints = value == "true",
            _ if is_dependencies(table) && !key.starts_with('#') => {
                let name = key.split('.').next().unwrap_or(key);
                let renamed = value.split_once("package").and_then(|(_, rest)| rest.split('"').nth(1));
                self.dependencies.push(renamed.unwrap_or(name).trim_matches('"').to_owned());
            }
            _ => {}
        }
    }

    /// What is wrong with the crate's place in the workspace.
    pub(super) fn faults(&self) -> Vec<String> {
        let Some((_, may_know)) = DIRECTION.iter().find(|(package, _)| *package == self.package) else {
            return vec![format!("`{}` has no place in `DIRECTION`", self.package)];
        };
        let is_ours = |name: &str| name == "sbmoe" || name.starts_with("sbmoe-");
        let mut faults = Vec::new();
        for name in &self.dependencies {
            if is_ours(name) && !may_know.contains(&name.as_str()) {
                faults.push(format!("`{}` must not depend on `{name}`", self.package));
            }
            if self.package != "sbmoe" && APPLICATION_ONLY.contains(&name.as_str()) {
                faults.push(format!("`{}` is a library and must not depend on `{name}`", self.package));
            }
        }
        if !self.inherits_lints {
            faults.push(format!(
                "`{}` does not inherit the lints: add `[lints] workspace = true`",
                self.package
            ));
        }
        faults
    }
}

fn is_dependencies(table: &str) -> bool {
    ["dependencies", "dev-dependencies", "build-dependencies"]
        .into_iter()
        .any(|name| table == name || (table.starts_with("target.") && table.ends_with(&format!(".{name}"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(package: &str, dependencies: &str, expected: &[&str]) {
        let text = format!("[package]\nname = \"{package}\"\n\n[lints]\nworkspace = true\n\n{dependencies}");
        let faults = Manifest::parse(&text).faults();
        assert_eq!(faults.len(), expected.len(), "{faults:?}");
        assert!(faults.iter().zip(expected).all(|(fault, part)| fault.contains(part)), "{faults:?}");
    }

    #[test]
    fn dependencies_against_the_direction_are_refused_however_they_are_written() {
        check("sbmoe-model", "[dependencies]\nsbmoe-kernels.workspace = true\nserde = \"1\"\n", &[]);
        check("sbmoe-ir", "[dependencies]\nsbmoe-index.workspace = true\n", &["`sbmoe-index`"]);
        check(
            "sbmoe-kernels",
            "[dev-dependencies]\nsbmoe-model = { path = \"../model\" }\n",
            &["`sbmoe-model`"],
        );
        check("sbmoe-index", "[dependencies.sbmoe-ir]\nworkspace = true\n", &["`sbmoe-ir`"]);
        check(
            "sbmoe-train",
            "[target.'cfg(unix)'.dependencies]\nsbmoe-ir.workspace = true\n",
            &["`sbmoe-ir`"],
        );
        check(
            "sbmoe-model",
            "[dependencies]\nir = { package = \"sbmoe-ir\", version = \"1\" }\n",
            &["`sbmoe-ir`"],
        );
        check("sbmoe", "[dependencies]\nsbmoe-ir.workspace = true\nclap.workspace = true\n", &[]);
    }

    #[test]
    fn libraries_with_a_command_line_and_crates_without_a_place_are_refused() {
        check("sbmoe-train", "[dependencies]\nindicatif = \"1\"\n", &["`indicatif`"]);
        check("sbmoe-ir", "[build-dependencies]\nanyhow.workspace = true\n", &["`anyhow`"]);
        check("sbmoe-other", "", &["no place"]);
        assert_eq!(Manifest::parse("[package]\nname = \"sbmoe-ir\"\n").faults().len(), 1);
    }
}
