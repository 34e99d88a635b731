//! Rules for what is committed besides code: no path of one machine, an ARCHITECTURE.md that can be read in one sitting,
//! one test command.

use super::{Tree, source::has_word};

/// Lines that ARCHITECTURE.md stays below.
const MAP_LINES: usize = 250;

/// The command that README.md names and `.ci/run` calls.
const TEST_COMMAND: &str = "cargo test --workspace";

/// Folders in which people and machines keep their own things.
const OWN_FOLDERS: [&str; 6] = ["home", "root", "Users", "work", "mnt", "workspace"];

/// The absolute paths of a machine that `text` names, with their lines.
pub(super) fn machine_paths(text: &str) -> Vec<(usize, String)> {
    let starts: Vec<String> = OWN_FOLDERS.iter().map(|folder| format!("/{folder}/")).collect();
    let on_line = |line: &str| {
        starts.iter().find(|start| {
            line.match_indices(start.as_str())
                .any(|(at, _)| !continues_a_path(line[..at].chars().next_back()))
        })
    };
    (1..)
        .zip(text.lines())
        .filter_map(|(number, line)| on_line(line).map(|start| (number, start.clone())))
        .collect()
}

/// Whether a slash after this character belongs to a longer path or an address: `a/home/`, `../work/`, `~/work/`, `$X/work/`.
fn continues_a_path(before: Option<char>) -> bool {
    before.is_some_and(|c| c.is_alphanumeric() || "._-~/:}*>".contains(c))
}

/// What `text` refers to in backticks as `folder/file` or `folder/file.rs::function` and is not there.
///
/// Only paths that begin with a folder of the repository count, so that names of other things are left alone.
pub(super) fn dead_references(text: &str, tree: &Tree) -> Vec<String> {
    let is_path = |quoted: &&str| {
        let folder = quoted.split_once('/').map_or("", |(folder, _)| folder);
        ["crates", "tools", "collection", "docs", ".ci", ".config"].contains(&folder)
            && !quoted.contains([' ', '<', '*', '{'])
    };
    let is_dead = |reference: &&str| {
        let (path, function) = reference.split_once("::").unwrap_or((reference, ""));
        let exists = tree.root.join(path).exists();
        let has = |text: String| function.is_empty() || has_word(&text, &format!("fn {function}"));
        !exists || !(function.is_empty() || tree.text(path).is_some_and(has))
    };
    text.split('`').skip(1).step_by(2).filter(is_path).filter(is_dead).map(str::to_owned).collect()
}

/// Faults of what is committed, each with its file.
pub(super) fn faults(tree: &Tree) -> Vec<String> {
    let mut faults = Vec::new();
    for file in tree.files() {
        let Some(text) = tree.text(&file) else { continue };
        let named = machine_paths(&text);
        faults.extend(
            named
                .iter()
                .map(|(line, start)| format!("{file}:{line}: names a machine's own path (`{start}…`)")),
        );
    }
    let map_lines = tree.text("ARCHITECTURE.md").map_or(0, |text| text.lines().count());
    if !(1..MAP_LINES).contains(&map_lines) {
        faults
            .push(format!("ARCHITECTURE.md has {map_lines} lines: it must exist and stay below {MAP_LINES}"));
    }
    for file in ["ARCHITECTURE.md", "CONTRIBUTING.md", "README.md"] {
        let dead = dead_references(&tree.text(file).unwrap_or_default(), tree);
        faults.extend(
            dead.iter().map(|reference| format!("{file} refers to `{reference}`, which is not there")),
        );
    }
    for file in ["README.md", ".ci/run"] {
        if !tree.text(file).is_some_and(|text| text.contains(TEST_COMMAND)) {
            faults.push(format!("{file} does not name the test command `{TEST_COMMAND}`"));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_a_machine_are_found_and_other_slashes_are_not() {
        for folder in OWN_FOLDERS {
            let own = format!("/{folder}/someone/x");
            for text in
                [own.clone(), format!("see `{own}`"), format!("a=\"{own}\""), format!("fine\n cat {own}")]
            {
                assert_eq!(machine_paths(&text).len(), 1, "{text}");
            }
            for text in
                [format!("..{own}"), format!("~{own}"), format!("https://host{own}"), format!("$HOME{own}")]
            {
                assert_eq!(machine_paths(&text), [], "{text}");
            }
        }
        assert_eq!(machine_paths("/dev/full, /usr/share, and/or"), []);
    }

    #[test]
    fn references_to_what_is_gone_are_found() {
        let tree = Tree::of_repository();
        let dead = |text: &str| dead_references(text, &tree).len();
        let this = "crates/sbmoe/tests/it/house/documents.rs";
        assert_eq!(dead(&format!("see `{this}`, `{this}::machine_paths`, `crates/<name>` and `a/b`")), 0);
        assert_eq!(dead(&format!("`{this}::machine_path`")), 1);
        assert_eq!(dead("`crates/sbmoe/tests/it/house/gone.rs` and `tools/gone.py`"), 2);
    }
}
