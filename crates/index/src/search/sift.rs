//! Whether scores are estimated first: tried where that may be faster, given up where it turns out not to be.

use crate::error::IndexError;
use crate::hit::Hit;
use crate::store::{Search, Store};

use super::answer;
use super::estimates::Estimates;
use super::exact::Exact;
use super::sifter::Sifter;

/// Documents for each hit from which on estimates are worth it: every hit is then scored alone, which waits for its row.
/// Few where one query pays for reading all rows, many where a batch of them shares that.
const DOCUMENTS_A_HIT: [usize; 2] = [16, 128];

/// Queries that make a batch.
pub(super) const BATCH: usize = 64;

/// Scores that may be computed alone for each hit, before computing all of them together is better.
const RESCORED_A_HIT: u64 = 4;

/// The same as a part of all scores: so few do not matter.
const RESCORED_OF_ALL: u64 = 256;

/// The hits of at most a block of queries, and how many scores were computed from f32 rows.
///
/// Where too many documents are within the estimates' error of the `k`-th score, as among duplicates, all are scored.
pub(super) fn sift<E: Estimates>(
    exact: &Exact<'_>,
    estimates: &E,
    search: &Search<'_>,
    first_query: usize,
) -> Result<(Vec<Vec<Hit>>, u64), IndexError> {
    let queries = search.queries.len() / exact.dim();
    let all = exact.len() as u64 * queries as u64;
    let mut rescored = 0;
    if exact.len() / DOCUMENTS_A_HIT[usize::from(queries >= BATCH)] >= search.k {
        let most = (RESCORED_A_HIT * (search.k * queries) as u64).max(all / RESCORED_OF_ALL);
        let sifter = Sifter::new(exact, estimates, most);
        let hits = answer(&sifter, search, first_query)?;
        rescored = sifter.rescored();
        if let Some(hits) = hits {
            return Ok((hits, rescored));
        }
    }
    Ok((exact.scan_all(search, first_query)?, rescored + all))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::SimdLevel;
    use crate::search::estimates::Int16;

    #[test]
    fn rows_rounded_on_the_way_give_the_exact_hits_at_every_level() {
        let numbers = |count: usize| (0..count).map(|place| (0.37 * (place * place % 9973) as f32).sin());
        let id_order = |a: u32, b: u32| a.cmp(&b);
        for (dim, k) in [(1, 3), (7, 1), (16, 5), (33, 7)] {
            // Every row a second time, so that ids decide.
            let vectors: Vec<f32> = numbers(500 * dim).chain(numbers(500 * dim)).collect();
            let queries: Vec<f32> = numbers(70 * dim).map(|number| 1.5 - number).collect();
            let search = Search { queries: &queries, k, id_order: &id_order };
            for level in SimdLevel::available() {
                let exact = Exact::new(&vectors, dim, level).unwrap();
                let expected = exact.scan_all(&search, 0).unwrap();
                let (hits, rescored) =
                    sift(&exact, &Int16 { vectors: &vectors, dim, level }, &search, 0).unwrap();
                assert_eq!(hits, expected, "{level}, {dim}");
                // One number a row says its score exactly, but for a rounding: all rows near one are near each other.
                let most = if dim == 1 { u64::MAX } else { 70 * RESCORED_A_HIT * k as u64 };
                assert!(rescored >= 70 * k as u64 && rescored <= most, "{level}, {dim}: {rescored}");
            }
        }
    }
}
