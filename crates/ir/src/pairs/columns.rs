//! What a column's name says that its texts are.

use super::Pair;
use crate::lines::Fault;

/// The columns that are understood, for messages.
const KNOWN: &str = "a column `anchor` (`query`, `question`, `sentence1`), `positive` (`pos`, `answer`, `document`, \
    `passage`, `sentence2`) or `negative` (`neg`, `negatives`, `negative_1`)";

/// The most characters of a name that a message shows.
const SHOWN: usize = 40;

/// The part that a text has in a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Anchor,
    Positive,
    Negative,
}

impl Role {
    fn of(name: &str) -> Option<Self> {
        match name.trim().to_ascii_lowercase().as_str() {
            "anchor" | "query" | "question" | "sentence1" => Some(Self::Anchor),
            "positive" | "pos" | "answer" | "document" | "passage" | "sentence2" => Some(Self::Positive),
            "negative" | "negatives" | "neg" => Some(Self::Negative),
            numbered => {
                let (stem, number) = numbered.rsplit_once('_')?;
                let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
                (is_number && ["negative", "neg"].contains(&stem)).then_some(Self::Negative)
            }
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Anchor => "anchor",
            Self::Positive => "positive",
            Self::Negative => "negative",
        }
    }
}

/// The role of each column.
///
/// # Errors
/// A name that is not understood, two anchors or two positives, or a lack of either.
pub(super) fn roles<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Vec<Role>, Fault> {
    let mut roles = Vec::new();
    let mut taken: [Option<&str>; 2] = [None; 2];
    for name in names {
        let role =
            Role::of(name).ok_or_else(|| Fault::new(KNOWN, format!("the column `{}`", shown(name))))?;
        if let Role::Anchor | Role::Positive = role {
            let place = &mut taken[usize::from(role == Role::Positive)];
            if let Some(first) = place.replace(name) {
                let expected = format!("one column of the {}", role.name());
                return Err(Fault::new(expected, format!("both `{}` and `{}`", shown(first), shown(name))));
            }
        }
        roles.push(role);
    }
    let missing = [Role::Anchor, Role::Positive].into_iter().zip(taken).find(|(_, name)| name.is_none());
    match missing {
        Some((role, _)) => {
            Err(Fault::new(format!("a column `{}`", role.name()), "none by that name or its synonyms"))
        }
        None => Ok(roles),
    }
}

impl Pair {
    /// Puts a text where its role belongs; a negative without text is none.
    pub(super) fn put(&mut self, role: Role, text: String) {
        match role {
            Role::Anchor => self.anchor = text,
            Role::Positive => self.positives.push(text),
            Role::Negative if text.trim().is_empty() => {}
            Role::Negative => self.negatives.push(text),
        }
    }
}

/// A name as a message shows it: its beginning when it is long, as it is when texts stand where names belong.
fn shown(name: &str) -> String {
    let mut short: String = name.chars().take(SHOWN).collect();
    if short.len() < name.len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn synonyms_and_numbers_are_understood_in_any_case() {
        let roles =
            roles(["Question", " answer", "negative_1", "NEG_12", "negatives"]).expect("all are known");
        assert_eq!(roles[..2], [Role::Anchor, Role::Positive]);
        assert!(roles[2..].iter().all(|role| *role == Role::Negative));
        for name in ["negative_", "negative_x", "anchor_1", "label", ""] {
            assert_eq!(Role::of(name), None, "{name}");
        }
    }
}
