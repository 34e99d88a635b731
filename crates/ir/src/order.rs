//! The one order of hits: score descending, then document id descending.
//!
//! It is the standard program's own: its scores are doubles, and equal scores are ordered by `strcmp` of the document
//! ids, larger first. Everything here that ranks, cuts or writes hits uses this function, so that tied scores come
//! out alike everywhere.

use std::cmp::Ordering;

/// A document's score for a query, larger is better. An `f32` converts without loss (`f64::from`).
pub type Score = f64;

/// Orders two hits, the better one first ([`Ordering::Less`] means that `left` ranks above `right`).
///
/// Ids are compared byte by byte. Zeros of both signs are equal. Rankings refuse scores that are not numbers; so that
/// the order is total all the same, such a score is placed below every number.
///
/// ```
/// use sbmoe_ir::total_order;
///
/// let mut hits = [(0.5, "d1"), (0.5, "d2"), (0.9, "d3")];
/// hits.sort_by(|left, right| total_order(*left, *right));
/// assert_eq!(hits.map(|hit| hit.1), ["d3", "d2", "d1"]);
/// ```
pub fn total_order(left: (Score, &str), right: (Score, &str)) -> Ordering {
    let by_score = right.0.partial_cmp(&left.0).unwrap_or_else(|| left.0.is_nan().cmp(&right.0.is_nan()));
    by_score.then_with(|| right.1.as_bytes().cmp(left.1.as_bytes()))
}
