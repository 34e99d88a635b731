//! Licences of dependencies: expressions in SPDX's language, and the licences that `deny.toml` allows.

use std::{iter::Peekable, str::SplitWhitespace};

type Words<'a> = Peekable<SplitWhitespace<'a>>;

/// What `deny.toml` allows.
#[derive(Debug, Default)]
pub(super) struct Allowed {
    licences: Vec<String>,
    /// (licence, package) pairs that are allowed together only.
    exceptions: Vec<(String, String)>,
}

impl Allowed {
    /// Reads `allow` and `exceptions` of the table `[licenses]`, each entry on a line of its own.
    pub(super) fn parse(text: &str) -> Self {
        let mut allowed = Self::default();
        let (mut table, mut list) = ("", "");
        for line in text.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
            let quoted: Vec<&str> = line.split('"').skip(1).step_by(2).collect();
            if line.starts_with('[') {
                table = line;
            } else if table != "[licenses]" {
            } else if line.starts_with(']') {
                list = "";
            } else if let Some((key, _)) = line.split_once(" = [").filter(|(key, _)| !key.starts_with('{')) {
                list = key;
            } else if let ("allow", [licence]) = (list, quoted.as_slice()) {
                allowed.licences.push((*licence).to_owned());
            } else if let ("exceptions", [licence, package]) = (list, quoted.as_slice()) {
                allowed.exceptions.push(((*licence).to_owned(), (*package).to_owned()));
            }
        }
        allowed
    }

    /// Whether `package` may be used under the terms of `expression`. An expression that cannot be read allows nothing.
    pub(super) fn permits(&self, package: &str, expression: &str) -> bool {
        let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
        let mut words = spaced.split_whitespace().peekable();
        let permitted = self.any(package, &mut words);
        permitted == Some(true) && words.peek().is_none()
    }

    fn any(&self, package: &str, words: &mut Words<'_>) -> Option<bool> {
        let mut permitted = self.all(package, words)?;
        while words.next_if_eq(&"OR").is_some() {
            permitted |= self.all(package, words)?;
        }
        Some(permitted)
    }

    fn all(&self, package: &str, words: &mut Words<'_>) -> Option<bool> {
        let mut permitted = self.one(package, words)?;
        while words.next_if_eq(&"AND").is_some() {
            permitted &= self.one(package, words)?;
        }
        Some(permitted)
    }

    fn one(&self, package: &str, words: &mut Words<'_>) -> Option<bool> {
        let word = words.next()?;
        if word == "(" {
            let permitted = self.any(package, words)?;
            return words.next_if_eq(&")").map(|_| permitted);
        }
        if matches!(word, "OR" | "AND" | "WITH" | ")") {
            return None;
        }
        // An exception to a licence only adds permissions, but a list that names licences alone cannot know that.
        let has_exception = words.next_if_eq(&"WITH").is_some();
        if has_exception {
            words.next()?;
        }
        let pair = |(licence, owner): &(String, String)| licence == word && owner == package;
        let listed = self.licences.iter().any(|licence| licence == word) || self.exceptions.iter().any(pair);
        Some(listed && !has_exception)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = "[graph]\nallow = [\n  \"GPL-3.0\",\n]\n[licenses]\nversion = 2\nallow = [\n  \"Apache-2.0\",\n  \
        \"MIT\",\n  # \"X11\",\n]\nexceptions = [\n  { allow = [\"MPL-2.0\"], crate = \"option-ext\" },\n]\n[bans]\n";

    fn check(expression: &str, permitted: bool) {
        assert_eq!(Allowed::parse(SAMPLE).permits("tokenizers", expression), permitted, "{expression}");
    }

    #[test]
    fn expressions_are_weighed_as_they_are_meant() {
        check("MIT", true);
        check("MIT OR GPL-3.0", true);
        check("GPL-3.0/MIT", true);
        check("GPL-3.0", false);
        check("MIT AND GPL-3.0", false);
        check("GPL-3.0 OR MIT AND Apache-2.0", true);
        check("(MIT OR GPL-3.0) AND Apache-2.0", true);
        check("(MIT OR Apache-2.0) AND Unicode-3.0", false);
        check("Apache-2.0 WITH LLVM-exception", false);
        check("Apache-2.0 WITH LLVM-exception OR MIT", true);
    }

    #[test]
    fn what_is_no_expression_allows_nothing() {
        for expression in ["", "MIT OR", "AND MIT", "(MIT", "MIT)", "MIT Apache-2.0", "X11"] {
            check(expression, false);
        }
    }

    #[test]
    fn exceptions_hold_for_their_package_only() {
        let allowed = Allowed::parse(SAMPLE);
        assert!(allowed.permits("option-ext", "MPL-2.0"));
        assert!(!allowed.permits("dirs", "MPL-2.0"));
    }
}
