//! The rules that a single Rust file can break, each a function from a file to its faults.
//!
//! Left out: what rustfmt, rustc and clippy already check.

use super::source::{Source, code_only, has_word};

/// Lines that a file may have before its test module.
const MOST_LINES: usize = 400;

/// Names that say nothing of what a file is about.
const EMPTY_NAMES: [&str; 7] = ["utils", "util", "common", "helpers", "helper", "base", "misc"];

/// What a program learns from where it runs.
const SURROUNDINGS: [&str; 9] = [
    "env::args",
    "env::args_os",
    "env::home_dir",
    "env::temp_dir",
    "env::var",
    "env::var_os",
    "env::vars",
    "env::vars_os",
    "option_env!",
];

/// Every file begins with `//!`: what it is for, what it leaves out.
pub(super) fn opening(source: &Source) -> Vec<String> {
    fault_if(!source.text.starts_with("//!"), || "does not begin with `//!`".to_owned())
}

/// No file is longer than a reader keeps in mind.
pub(super) fn length(source: &Source) -> Vec<String> {
    let lines = source.before_tests().lines().count();
    fault_if(lines > MOST_LINES, || format!("has {lines} lines before its tests, more than {MOST_LINES}"))
}

/// A file is named after its concept.
pub(super) fn name(source: &Source) -> Vec<String> {
    let empty = source
        .path
        .split('/')
        .map(|part| part.trim_end_matches(".rs"))
        .find(|part| EMPTY_NAMES.contains(part));
    empty.map(|name| format!("is named `{name}`: name it after its concept")).into_iter().collect()
}

/// Nothing is unfinished, silenced or left over from debugging, tests included.
pub(super) fn leftovers(source: &Source) -> Vec<String> {
    let code = code_only(&source.text);
    let words = ["todo!", "unimplemented!", "dbg!"].into_iter().filter(|word| has_word(&code, word));
    let attributes =
        ["[ignore", "[allow(", ", allow("].into_iter().filter(|attribute| code.contains(attribute));
    words.chain(attributes).map(|found| format!("holds `{found}`")).collect()
}

/// Libraries do not print.
pub(super) fn printing(source: &Source) -> Vec<String> {
    let found =
        found_in_library(source, &["println!", "print!", "eprintln!", "eprint!", "io::stdout", "io::stderr"]);
    found.map(|word| format!("is a library's and prints (`{word}`): take a closure instead")).collect()
}

/// Libraries do not look at their surroundings: environment, arguments, home.
pub(super) fn surroundings(source: &Source) -> Vec<String> {
    let found = found_in_library(source, &SURROUNDINGS);
    found.map(|word| format!("is a library's and reads `{word}`: take a parameter instead")).collect()
}

/// Files are opened through `fs_err`, whose errors name the file.
pub(super) fn file_system(source: &Source) -> Vec<String> {
    if !source.is_production() {
        return Vec::new();
    }
    let code = source.production_code();
    fault_if(has_word(&code, "std::fs") || imports_std_fs(&code), || {
        "uses `std::fs`: use `fs_err`".to_owned()
    })
}

/// `use std::{fs, …};` and its nested forms.
fn imports_std_fs(code: &str) -> bool {
    code.match_indices("std::{").any(|(at, _)| {
        let list = &code[at..code[at..].find(';').map_or(code.len(), |end| at + end)];
        list.split(['{', ',', '}']).map(str::trim).any(|item| item == "fs" || item.starts_with("fs::"))
    })
}

fn found_in_library<'a>(source: &Source, words: &'a [&'a str]) -> impl Iterator<Item = &'a &'a str> {
    let looked_at = source.is_library() && source.is_production();
    let code = if looked_at { source.production_code() } else { String::new() };
    words.iter().filter(move |word| has_word(&code, word))
}

fn fault_if(condition: bool, fault: impl FnOnce() -> String) -> Vec<String> {
    if condition { vec![fault()] } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIBRARY: &str = "crates/ir/src/run.rs";
    const APPLICATION: &str = "crates/sbmoe/src/main.rs";
    const TEST: &str = "crates/ir/tests/it/main.rs";

    fn faults(rule: fn(&Source) -> Vec<String>, path: &str, text: &str) -> usize {
        rule(&Source { path: path.to_owned(), text: text.to_owned() }).len()
    }

    #[test]
    fn opening_asks_for_a_module_comment() {
        assert_eq!(faults(opening, LIBRARY, "//! Runs.\n"), 0);
        assert_eq!(faults(opening, LIBRARY, "// Runs.\nuse a;\n"), 1);
        assert_eq!(faults(opening, TEST, ""), 1);
    }

    #[test]
    fn length_leaves_out_the_test_module() {
        let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "x\n".repeat(500));
        assert_eq!(faults(length, LIBRARY, &("x\n".repeat(400) + &tests)), 0);
        assert_eq!(faults(length, LIBRARY, &"x\n".repeat(401)), 1);
    }

    #[test]
    fn names_without_a_concept_are_refused() {
        assert_eq!(faults(name, LIBRARY, ""), 0);
        assert_eq!(faults(name, "crates/ir/src/utils.rs", ""), 1);
        assert_eq!(faults(name, "crates/ir/tests/common/mod.rs", ""), 1);
    }

    #[test]
    fn leftovers_are_refused_in_code_and_ignored_in_text() {
        for left in
            ["todo!()", "dbg!(x)", "unimplemented!()", "#[ignore]", "#[ignore = \"slow\"]", "#![allow(x)]"]
        {
            assert_eq!(faults(leftovers, TEST, left), 1, "{left}");
        }
        assert_eq!(faults(leftovers, TEST, "#[cfg_attr(test, allow(unused))]"), 1);
        assert_eq!(
            faults(leftovers, TEST, "// todo!() \nlet a = \"dbg!()\";\n#[expect(x, reason = \"\")]"),
            0
        );
    }

    #[test]
    fn only_libraries_are_forbidden_to_print() {
        assert_eq!(faults(printing, LIBRARY, "fn f() { println!(); eprint!(); }"), 2);
        assert_eq!(faults(printing, LIBRARY, "use std::io; fn f() { io::stderr().write_all(b\"\"); }"), 1);
        assert_eq!(faults(printing, LIBRARY, "fn f() {}\n#[cfg(test)]\nmod tests {\n println!();\n}"), 0);
        assert_eq!(faults(printing, LIBRARY, "//! println!()\nfn f() -> &'static str { \"print!\" }"), 0);
        assert_eq!(faults(printing, APPLICATION, "fn f() { println!(); }"), 0);
        assert_eq!(faults(printing, TEST, "fn f() { println!(); }"), 0);
    }

    #[test]
    fn only_libraries_are_forbidden_to_look_around() {
        assert_eq!(faults(surroundings, LIBRARY, "fn f() { std::env::var(\"A\"); }"), 1);
        assert_eq!(faults(surroundings, LIBRARY, "fn f() { env::args_os(); env::temp_dir(); }"), 2);
        assert_eq!(
            faults(surroundings, LIBRARY, "fn f() { env!(\"A\"); env::consts::ARCH; my_env::var(); }"),
            0
        );
        assert_eq!(faults(surroundings, APPLICATION, "fn f() { std::env::var(\"A\"); }"), 0);
    }

    #[test]
    fn the_standard_file_system_is_refused_in_every_form() {
        for import in ["use std::fs;", "use std::fs::File;", "use std::{io, fs};", "use std::{fs::File, io};"]
        {
            assert_eq!(faults(file_system, LIBRARY, import), 1, "{import}");
            assert_eq!(faults(file_system, APPLICATION, import), 1, "{import}");
            assert_eq!(faults(file_system, TEST, import), 0, "{import}");
        }
        assert_eq!(faults(file_system, LIBRARY, "use fs_err as fs; use std::{io, path::Path};"), 0);
    }
}
