//! Fields between tabs, quoted where they must be.
//!
//! The dialect of Python's `csv` with `delimiter="\t"` and `QUOTE_MINIMAL`: a field that begins with `"` ends at the
//! next lone `"`, two of them stand for one. A quoted line break is refused, since lines are read one by one.

use std::borrow::Cow;

use crate::lines::Fault;

/// The fields of a line.
pub(crate) fn fields(line: &str) -> Result<Vec<Cow<'_, str>>, Fault> {
    if !line.contains('"') {
        return Ok(line.split('\t').map(Cow::Borrowed).collect());
    }
    let mut fields = Vec::new();
    let mut rest = Some(line);
    while let Some(text) = rest {
        let (field, after) = match text.strip_prefix('"') {
            Some(quoted) => {
                let (field, after) = unquote(quoted)?;
                (Cow::Owned(field), after)
            }
            None => match text.split_once('\t') {
                Some((field, after)) => (Cow::Borrowed(field), Some(after)),
                None => (Cow::Borrowed(text), None),
            },
        };
        fields.push(field);
        rest = after;
    }
    Ok(fields)
}

/// Reads a field after its opening quote; returns it and what follows its tab.
fn unquote(mut text: &str) -> Result<(String, Option<&str>), Fault> {
    let mut field = String::new();
    loop {
        let (part, after) = text
            .split_once('"')
            .ok_or_else(|| Fault::new("a closing `\"` on the line of its opening", "none"))?;
        field.push_str(part);
        if let Some(after) = after.strip_prefix('"') {
            field.push('"');
            text = after;
            continue;
        }
        // As in Python, what stands between the closing quote and the tab belongs to the field.
        let (tail, after) = match after.split_once('\t') {
            Some((tail, after)) => (tail, Some(after)),
            None => (after, None),
        };
        field.push_str(tail);
        return Ok((field, after));
    }
}

/// The field as it is written: in quotes when it holds a tab or a quote.
pub(super) fn quoted(field: &str) -> Cow<'_, str> {
    if field.contains(['\t', '"']) {
        Cow::Owned(format!("\"{}\"", field.replace('"', "\"\"")))
    } else {
        Cow::Borrowed(field)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{fields, quoted};

    fn check(line: &str, expected: &[&str]) {
        assert_eq!(fields(line).expect("the quotes are closed"), expected, "fields of {line:?}");
    }

    #[test]
    fn fields_are_split_at_tabs_outside_quotes() {
        check("q1\td1\t1", &["q1", "d1", "1"]);
        check("\"q 1\"\t\"d\t1\"\t1", &["q 1", "d\t1", "1"]);
        check("\"say \"\"it\"\"\"\td1\t1", &["say \"it\"", "d1", "1"]);
        check("in\"side\td1\t", &["in\"side", "d1", ""]);
        check("\"a\"b\td", &["ab", "d"]);
    }

    #[test]
    fn an_open_quote_is_refused() {
        assert!(fields("\"q1\td1\t1").is_err());
    }

    proptest! {
        #[test]
        fn written_fields_read_back(left in "[a\"\t ]{0,6}", right in "[a\"\t ]{0,6}") {
            let line = format!("{}\t{}", quoted(&left), quoted(&right));
            prop_assert_eq!(fields(&line).expect("quoted fields are closed"), [left, right]);
        }
    }
}
