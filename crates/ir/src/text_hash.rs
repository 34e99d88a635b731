//! Hashes that stand for texts, so that texts need not be kept to tell whether they are equal.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// 128 bits of a text: among a billion texts the chance that any two share them is below 10⁻²⁰.
///
/// The same number for the same text on every run of the same build; never written anywhere.
pub(crate) fn text_hash(text: &str) -> u128 {
    let half = |prefix: u8| {
        let mut hasher = DefaultHasher::new();
        (prefix, text).hash(&mut hasher);
        u128::from(hasher.finish())
    };
    half(0) << 64 | half(1)
}

#[cfg(test)]
mod tests {
    use super::text_hash;

    #[test]
    fn both_halves_depend_on_the_text() {
        let (left, right) = (text_hash("tide"), text_hash("tides"));
        assert_eq!(left, text_hash("tide"));
        assert_ne!(left >> 64, right >> 64);
        assert_ne!(left as u64, right as u64);
        assert_ne!(left >> 64, u128::from(left as u64));
    }
}
