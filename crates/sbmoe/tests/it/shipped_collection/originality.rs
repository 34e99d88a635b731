//! Whether texts are written one by one: detectors of templates and copies, each from texts to what it found.
//!
//! Words are runs of letters and digits in lower case, so that neither case nor punctuation hides a copy.

use std::collections::{BTreeMap, BTreeSet};

/// A text with its id.
pub(super) type Text<'a> = (&'a str, &'a str);

/// A text's words.
pub(super) fn words(text: &str) -> Vec<String> {
    let pieces = text.split(|c: char| !c.is_alphanumeric()).filter(|piece| !piece.is_empty());
    pieces.map(str::to_lowercase).collect()
}

/// The openings of `n_words` words with which more than `most` texts begin.
pub(super) fn repeated_openings(texts: &[Text<'_>], n_words: usize, most: usize) -> Vec<String> {
    let mut openings: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (id, text) in texts {
        let words = words(text);
        openings.entry(words[..n_words.min(words.len())].join(" ")).or_default().push(id);
    }
    let repeated = openings.into_iter().filter(|(_, ids)| ids.len() > most);
    repeated.map(|(opening, ids)| format!("`{opening}` opens {}", ids.join(", "))).collect()
}

/// The pairs of texts whose sequences of three words overlap by more than `most` (Jaccard: shared by either).
pub(super) fn near_copies(texts: &[Text<'_>], most: f64) -> Vec<String> {
    let sizes: Vec<usize> = texts.iter().map(|(_, text)| sequences_of_three(text).len()).collect();
    let pairs = shared_sequences(texts, texts).into_iter().filter(|((a, b), _)| a < b);
    let alike = pairs.filter_map(|((a, b), shared)| {
        let either = sizes[a] + sizes[b] - shared;
        let (first, second) = (texts[a].0, texts[b].0);
        (shared as f64 > most * either as f64)
            .then(|| format!("{second} and {first} share {shared} of {either} sequences of three words"))
    });
    alike.collect()
}

/// The texts of which more than the share `most` of the sequences of three words stand in one of `others`.
pub(super) fn excerpts(texts: &[Text<'_>], others: &[Text<'_>], most: f64) -> Vec<String> {
    let sizes: Vec<usize> = texts.iter().map(|(_, text)| sequences_of_three(text).len()).collect();
    let repeated = shared_sequences(texts, others).into_iter().filter_map(|((own, other), shared)| {
        let (id, other, size) = (texts[own].0, others[other].0, sizes[own]);
        (shared as f64 > most * size as f64)
            .then(|| format!("{id} repeats {other}: {shared} of {size} sequences of three words"))
    });
    repeated.collect()
}

/// For each pair of a text and another that have sequences of three words in common, how many.
fn shared_sequences(texts: &[Text<'_>], others: &[Text<'_>]) -> BTreeMap<(usize, usize), usize> {
    let mut places: BTreeMap<[String; 3], Vec<usize>> = BTreeMap::new();
    for (place, (_, text)) in others.iter().enumerate() {
        for three in sequences_of_three(text) {
            places.entry(three).or_default().push(place);
        }
    }
    let mut shared = BTreeMap::new();
    for (own, (_, text)) in texts.iter().enumerate() {
        for other in sequences_of_three(text).iter().filter_map(|three| places.get(three)).flatten() {
            *shared.entry((own, *other)).or_default() += 1;
        }
    }
    shared
}

/// The pairs of texts with the same words in the same order.
pub(super) fn equal_texts(texts: &[Text<'_>]) -> Vec<String> {
    let mut seen: BTreeMap<Vec<String>, &str> = BTreeMap::new();
    let mut found = Vec::new();
    for (id, text) in texts {
        if let Some(first) = seen.insert(words(text), id) {
            found.push(format!("{id} has the words of {first}"));
        }
    }
    found
}

fn sequences_of_three(text: &str) -> BTreeSet<[String; 3]> {
    words(text).windows(3).map(|three| [three[0].clone(), three[1].clone(), three[2].clone()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIDE: &str = "Twice a day the water rises against the harbour wall, and the moon is the reason.";
    const TIDE_AGAIN: &str =
        "Twice a day the water rises against the old harbour wall, and the moon is the reason.";
    const RYE: &str =
        "Rye flour holds more water than wheat, so its dough stays sticky however long one kneads.";

    #[test]
    fn openings_are_compared_by_words() {
        let texts = [("a", "How do I fix it?"), ("b", "how do i - FIX that"), ("c", "How does it work")];
        assert_eq!(repeated_openings(&texts, 4, 1), ["`how do i fix` opens a, b"]);
        assert_eq!(repeated_openings(&texts, 3, 2), [""; 0]);
        assert_eq!(repeated_openings(&texts, 1, 2).len(), 1);
        assert_eq!(repeated_openings(&[("a", "one"), ("b", "one")], 4, 1).len(), 1);
    }

    #[test]
    fn a_copy_with_a_word_more_is_a_copy() {
        assert_eq!(near_copies(&[("a", TIDE), ("b", TIDE_AGAIN), ("c", RYE)], 0.2).len(), 1);
        assert_eq!(near_copies(&[("a", TIDE), ("b", RYE)], 0.2), [""; 0]);
    }

    #[test]
    fn a_query_cut_out_of_a_passage_is_an_excerpt() {
        let passages = [("tide", TIDE), ("rye", RYE)];
        assert_eq!(
            excerpts(&[("q", "does the water rise against the harbour wall")], &passages, 0.5),
            [""; 0]
        );
        assert_eq!(excerpts(&[("q", "the water rises against the harbour wall")], &passages, 0.5).len(), 1);
        assert_eq!(excerpts(&[("q", "tides")], &passages, 0.5), [""; 0]);
    }

    #[test]
    fn case_and_punctuation_do_not_make_a_text_new() {
        assert_eq!(equal_texts(&[("a", "Why so late?"), ("b", "why: so late"), ("c", "why late")]).len(), 1);
    }
}
