//! A Rust file as the rules see it: where it lies, which part of it is production code, and its code without comments
//! and literals. No parser: enough of the lexical grammar to tell code from text.

/// A Rust file of the workspace.
pub(super) struct Source {
    /// Relative to the repository, with `/`: `crates/ir/src/run.rs`.
    pub(super) path: String,
    /// The whole file.
    pub(super) text: String,
}

impl Source {
    /// The crate's folder: `ir` for `crates/ir/src/run.rs`.
    pub(super) fn folder(&self) -> &str {
        self.path.split('/').nth(1).unwrap_or_default()
    }

    /// Whether the file belongs to a library rather than to the application.
    pub(super) fn is_library(&self) -> bool {
        self.folder() != "sbmoe"
    }

    /// Whether the whole file is production code but for a test module at its end; false for tests, benches, examples and
    /// build scripts.
    pub(super) fn is_production(&self) -> bool {
        let mut parts = self.path.split('/').skip(2);
        let in_src = parts.next() == Some("src");
        in_src && parts.all(|part| part != "tests" && part != "tests.rs")
    }

    /// The file up to its own test module.
    pub(super) fn before_tests(&self) -> &str {
        let mut from = 0;
        while let Some(at) = self.text[from..].find("#[cfg(test)]") {
            let at = from + at;
            let after = self.text[at + "#[cfg(test)]".len()..].trim_start();
            let opens_module = after.starts_with("mod ")
                && after.lines().next().is_some_and(|line| line.trim_end().ends_with('{'));
            if opens_module {
                return &self.text[..at];
            }
            from = at + 1;
        }
        &self.text
    }

    /// The production part without comments and literals.
    pub(super) fn production_code(&self) -> String {
        code_only(self.before_tests())
    }
}

/// `text` with the contents of comments, strings and characters turned to blanks; lines stay where they are.
pub(super) fn code_only(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = literal_or_comment_end(&chars, at);
        if end == at {
            code.push(chars[at]);
            at += 1;
        } else {
            code.extend(chars[at..end].iter().map(|&c| if c == '\n' { '\n' } else { ' ' }));
            at = end;
        }
    }
    code
}

/// Whether `code` has `word`, with no letter, digit or underscore on the side where `word` begins or ends with one.
pub(super) fn has_word(code: &str, word: &str) -> bool {
    code.match_indices(word).any(|(at, _)| {
        let joins = |side: Option<char>, own: Option<char>| is_part(side) && is_part(own);
        let before = code[..at].chars().next_back();
        let after = code[at + word.len()..].chars().next();
        !joins(before, word.chars().next()) && !joins(after, word.chars().next_back())
    })
}

fn is_part(character: Option<char>) -> bool {
    character.is_some_and(|c| c.is_alphanumeric() || c == '_')
}

/// The end of the comment or literal that begins at `at`, or `at` when none does.
fn literal_or_comment_end(chars: &[char], at: usize) -> usize {
    let starts = |pattern: &str| pattern.chars().enumerate().all(|(i, c)| chars.get(at + i) == Some(&c));
    if starts("//") {
        return (at..chars.len()).find(|&i| chars[i] == '\n').unwrap_or(chars.len());
    }
    if starts("/*") {
        return block_comment_end(chars, at);
    }
    match chars[at] {
        '"' => escaped_end(chars, at, '"'),
        'r' if !is_part(before(chars, at)) || matches!(before(chars, at), Some('b' | 'c')) => {
            raw_string_end(chars, at)
        }
        '\'' if chars.get(at + 1) == Some(&'\\') => escaped_end(chars, at, '\''),
        '\'' if chars.get(at + 2) == Some(&'\'') => at + 3,
        _ => at,
    }
}

fn before(chars: &[char], at: usize) -> Option<char> {
    at.checked_sub(1).map(|i| chars[i])
}

fn block_comment_end(chars: &[char], at: usize) -> usize {
    let (mut depth, mut i) = (0, at);
    while i < chars.len() {
        match (chars[i], chars.get(i + 1)) {
            ('/', Some('*')) => {
                depth += 1;
                i += 2;
            }
            ('*', Some('/')) => {
                depth -= 1;
                i += 2;
                if depth == 0 {
                    return i;
                }
            }
            _ => i += 1,
        }
    }
    chars.len()
}

fn escaped_end(chars: &[char], at: usize, quote: char) -> usize {
    let mut i = at + 1;
    while i < chars.len() {
        match chars[i] {
            '\\' => i += 2,
            c if c == quote => return i + 1,
            _ => i += 1,
        }
    }
    chars.len()
}

/// `r"…"`, `r#"…"#`, …; a raw identifier such as `r#type` is none.
fn raw_string_end(chars: &[char], at: usize) -> usize {
    let hashes = chars[at + 1..].iter().take_while(|&&c| c == '#').count();
    if chars.get(at + 1 + hashes) != Some(&'"') {
        return at;
    }
    let closes =
        |i: usize| chars[i] == '"' && chars[i + 1..].iter().take_while(|&&c| c == '#').count() >= hashes;
    (at + 2 + hashes..chars.len()).find(|&i| closes(i)).map_or(chars.len(), |i| i + 1 + hashes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let code: Vec<String> = code_only(text)
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(code.join("\n"), expected, "{text}");
    }

    #[test]
    fn comments_and_literals_are_no_code() {
        check("a // todo\nb", "a\nb");
        check("a /* x /* y */ z */ b", "a b");
        check(r#"f("say \"no\"", 'x', '\'', b"y")"#, "f( , , , b )");
        check(r##"f(r"a\", r#"b"c"#, br"d")"##, "f( , , b )");
        check("fn f<'a>(x: &'a str, r#type: T) {}", "fn f<'a>(x: &'a str, r#type: T) {}");
        check("for x in y { \"open", "for x in y {");
    }

    #[test]
    fn words_are_found_whole() {
        assert!(has_word("x; dbg!(y)", "dbg!"));
        assert!(!has_word("my_dbg!(y)", "dbg!"));
        assert!(has_word("use std::fs;", "std::fs"));
        assert!(!has_word("use my_std::fsx;", "std::fs"));
    }

    #[test]
    fn a_test_module_ends_the_production_part_and_a_declaration_does_not() {
        let source = |text: &str| Source { path: "crates/ir/src/a.rs".to_owned(), text: text.to_owned() };
        assert_eq!(source("a\n#[cfg(test)]\nmod tests {\n b\n}\n").before_tests(), "a\n");
        let declared = "a\n#[cfg(test)]\nmod tests;\nb\n";
        assert_eq!(source(declared).before_tests(), declared);
    }

    #[test]
    fn places_tell_libraries_and_production_code() {
        let at = |path: &str| Source { path: path.to_owned(), text: String::new() };
        assert!(at("crates/ir/src/run.rs").is_library() && at("crates/ir/src/run.rs").is_production());
        assert!(!at("crates/sbmoe/src/main.rs").is_library());
        for path in ["crates/ir/tests/it/main.rs", "crates/ir/src/run/tests.rs", "crates/ir/benches/b.rs"] {
            assert!(!at(path).is_production(), "{path}");
        }
    }
}
