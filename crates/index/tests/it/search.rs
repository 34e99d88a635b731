//! Exact search against the slow, obvious version.

use std::cmp::Ordering;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use proptest::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};
use sbmoe_index::{Exact, Hit, IndexError, Search, SimdLevel, Store, compare_hits, dot, merge};

/// Scores every document and sorts all of them.
pub(crate) fn naive(vectors: &[f32], dim: usize, search: &Search<'_>) -> Vec<Vec<Hit>> {
    let score_all = |query: &[f32]| {
        let mut hits: Vec<Hit> = (0_u32..)
            .zip(vectors.chunks_exact(dim))
            .map(|(document, vector)| Hit { document, score: dot(query, vector) })
            .collect();
        hits.sort_by(|a, b| compare_hits(a, b, search.id_order));
        hits.truncate(search.k);
        hits
    };
    search.queries.chunks_exact(dim).map(score_all).collect()
}

fn pool(threads: usize) -> ThreadPool {
    ThreadPoolBuilder::new().num_threads(threads).build().expect("threads can be started")
}

fn levels() -> impl Iterator<Item = SimdLevel> {
    SimdLevel::available()
}

fn ascending(a: u32, b: u32) -> Ordering {
    a.cmp(&b)
}

/// An order of ids that has nothing to do with the order of the documents.
fn scattered(a: u32, b: u32) -> Ordering {
    a.wrapping_mul(0x9e37_79b1).cmp(&b.wrapping_mul(0x9e37_79b1))
}

/// Numbers that are reproducible and not round.
fn numbers(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    let mut draw = || {
        state = state.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| draw()).collect()
}

#[derive(Debug, Clone)]
struct Case {
    dim: usize,
    vectors: Vec<f32>,
    queries: Vec<f32>,
    k: usize,
}

/// Cases with many equal scores, where `coarse`, and with none otherwise.
fn cases() -> impl Strategy<Value = Case> {
    (1_usize..24, 0_usize..120, 0_usize..40, 0_usize..130, any::<u32>(), any::<bool>()).prop_map(
        |(dim, documents, queries, k, seed, coarse)| {
            let round = |values: Vec<f32>| -> Vec<f32> {
                if coarse { values.into_iter().map(f32::round).collect() } else { values }
            };
            let vectors = round(numbers(dim * documents, seed));
            let queries = round(numbers(dim * queries, seed ^ 0x5555));
            Case { dim, vectors, queries, k }
        },
    )
}

proptest! {
    #[test]
    fn hits_are_those_of_the_naive_search_at_every_level(case in cases()) {
        let search = Search { queries: &case.queries, k: case.k, id_order: &scattered };
        let expected = naive(&case.vectors, case.dim, &search);
        for level in levels() {
            let found = Exact::new(&case.vectors, case.dim, level).unwrap().search(&search, &pool(2)).unwrap();
            prop_assert_eq!(&found, &expected, "{}", level);
        }
    }

    #[test]
    fn shards_merged_are_the_whole(case in cases(), cut in 0_usize..120) {
        let cut = cut.min(case.vectors.len() / case.dim);
        let (left, right) = case.vectors.split_at(cut * case.dim);
        let search = Search { queries: &case.queries, k: case.k, id_order: &scattered };
        let shifted = |a: u32, b: u32| scattered(a + cut as u32, b + cut as u32);
        let pool = pool(1);
        let find = |vectors: &[f32], search: &Search<'_>| {
            Exact::new(vectors, case.dim, SimdLevel::best()).unwrap().search(search, &pool).unwrap()
        };
        let whole = find(&case.vectors, &search);
        let left = find(left, &search);
        let mut right = find(right, &Search { id_order: &shifted, ..search });
        for hit in right.iter_mut().flatten() {
            hit.document += cut as u32;
        }
        for query in 0..whole.len() {
            let merged = merge(&[&left[query], &right[query]], case.k, &scattered);
            prop_assert_eq!(&merged, &whole[query]);
        }
    }
}

#[test]
fn many_spans_and_threads_give_the_same_bits() {
    // More documents than a span holds, more queries than a block, and neither a multiple of anything.
    let (dim, documents, queries) = (129, 3001, 1050);
    let vectors = numbers(dim * documents, 1);
    let queries = numbers(dim * queries, 2);
    let search = Search { queries: &queries, k: 17, id_order: &ascending };
    let store = Exact::new(&vectors, dim, SimdLevel::best()).unwrap();
    let expected = store.search(&search, &pool(1)).unwrap();
    assert_eq!(expected[0], naive(&vectors, dim, &Search { queries: &queries[..dim], ..search })[0]);
    assert_eq!(
        expected[1049],
        naive(&vectors, dim, &Search { queries: &queries[1049 * dim..], ..search })[0]
    );
    for threads in [2, 5] {
        assert_eq!(store.search(&search, &pool(threads)).unwrap(), expected, "{threads} threads");
    }
    for level in levels() {
        let store = Exact::new(&vectors, dim, level).unwrap();
        for query in [0, 700, 1049] {
            let alone = Search { queries: &queries[query * dim..][..dim], ..search };
            assert_eq!(
                store.search(&alone, &pool(2)).unwrap()[0],
                expected[query],
                "query {query} alone, {level}"
            );
        }
    }
}

#[test]
fn ties_are_broken_by_id_descending() {
    let ids = ["b", "a", "c", "d"];
    let by_id = |a: u32, b: u32| ids[a as usize].cmp(ids[b as usize]);
    let store = Exact::new(&[1.0, 1.0, 1.0, 2.0], 1, SimdLevel::best()).unwrap();
    let search = Search { queries: &[1.0], k: 3, id_order: &by_id };
    let hits = store.search(&search, &pool(1)).unwrap();
    assert_eq!(hits[0].iter().map(|hit| ids[hit.document as usize]).collect::<Vec<_>>(), ["d", "c", "b"]);
}

#[test]
fn zero_and_minus_zero_tie() {
    let store = Exact::new(&[-0.0, 0.0, -0.0], 1, SimdLevel::best()).unwrap();
    let search = Search { queries: &[1.0], k: 2, id_order: &ascending };
    let hits = store.search(&search, &pool(1)).unwrap();
    assert_eq!(hits[0].iter().map(|hit| hit.document).collect::<Vec<_>>(), [2, 1]);
}

#[test]
fn a_thousand_equal_scores_leave_the_greatest_ids() {
    let vectors = vec![1.0; 1000];
    let store = Exact::new(&vectors, 1, SimdLevel::best()).unwrap();
    let search = Search { queries: &[0.0, 3.0], k: 3, id_order: &ascending };
    for hits in store.search(&search, &pool(2)).unwrap() {
        assert_eq!(hits.iter().map(|hit| hit.document).collect::<Vec<_>>(), [999, 998, 997]);
    }
}

#[test]
fn k_beyond_the_documents_gives_all_of_them() {
    let store = Exact::new(&[1.0, 3.0, 2.0], 1, SimdLevel::best()).unwrap();
    assert_eq!((store.len(), store.dim(), store.is_empty()), (3, 1, false));
    let search = Search { queries: &[1.0], k: usize::MAX, id_order: &ascending };
    let hits = store.search(&search, &pool(1)).unwrap();
    assert_eq!(hits[0].iter().map(|hit| hit.document).collect::<Vec<_>>(), [1, 2, 0]);
}

#[test]
fn an_empty_store_finds_nothing_for_each_query() {
    let store = Exact::new(&[], 2, SimdLevel::best()).unwrap();
    assert!(store.is_empty());
    let search = Search { queries: &[1.0, 2.0, 3.0, 4.0], k: 5, id_order: &ascending };
    assert_eq!(store.search(&search, &pool(2)).unwrap(), vec![Vec::new(), Vec::new()]);
}

fn failure(vectors: &[f32], dim: usize, queries: &[f32], level: SimdLevel) -> String {
    let search = Search { queries, k: 1, id_order: &ascending };
    let store = Exact::new(vectors, dim, level).unwrap();
    store.search(&search, &pool(2)).expect_err("the search must fail").to_string()
}

#[test]
fn a_query_that_is_not_finite_is_named() {
    let message = failure(&[1.0, 2.0], 2, &[0.0, 1.0, 0.0, f32::NAN], SimdLevel::best());
    assert!(
        message.contains("query 1") && message.contains("NaN") && message.contains("position 1"),
        "{message}"
    );
}

#[test]
fn a_stored_number_that_is_not_finite_never_becomes_a_hit() {
    for level in levels() {
        for queries in [1, 3, 11, 20, 33, 70] {
            for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                // The best hit stands before the bad row, so that the floor is already above it.
                let mut vectors = vec![0.25; 200];
                vectors[3] = 9.0;
                vectors[70] = bad;
                let message = failure(&vectors, 1, &vec![1.0; queries], level);
                assert!(message.contains("document 70 for query 0"), "{level}, {queries} queries: {message}");
            }
        }
    }
}

#[test]
fn a_score_that_overflows_is_an_error() {
    for level in levels() {
        let message = failure(&[f32::MAX, f32::MAX], 2, &[-2.0, -2.0], level);
        assert!(message.contains("document 0 for query 0 is -inf"), "{message}");
    }
}

#[test]
fn queries_of_another_dimension_are_refused() {
    let message = failure(&[1.0, 2.0, 3.0], 3, &[1.0, 2.0], SimdLevel::best());
    assert_eq!(
        message,
        "2 numbers are not a whole number of queries of 3, the dimension of the documents' vectors"
    );
}

#[test]
fn stores_that_cannot_be_are_refused() {
    assert!(matches!(Exact::new(&[1.0], 0, SimdLevel::PORTABLE), Err(IndexError::ZeroDimension)));
    assert!(matches!(Exact::new(&[1.0], 2, SimdLevel::PORTABLE), Err(IndexError::RowLength { .. })));
}

#[test]
fn the_inner_product_is_fused_and_in_order() {
    let check = |query: &[f32], document: &[f32], expected: f32| {
        assert_eq!(dot(query, document).to_bits(), expected.to_bits(), "{query:?} · {document:?}");
    };
    // 2²⁴ + 1 is no f32, so a one that is added to 2²⁴ is lost.
    let big = 16_777_216.0;
    check(&[big, 1.0, -big], &[1.0, 1.0, 1.0], 0.0);
    check(&[big, -big, 1.0], &[1.0, 1.0, 1.0], 1.0);
    // Nor is 4097², so a product that was rounded by itself would lose its last digit.
    check(&[1.0, 4097.0], &[-16_785_408.0, 4097.0], 1.0);
}

/// Documents that nothing but their ids tells apart, as among duplicates: no more than a few a list are kept, and the ids
/// of the others are compared with the worst of these, once.
#[test]
fn tied_documents_are_ordered_by_id_with_about_one_comparison_each() {
    let (documents, dim, k) = (50_000, 3, 10);
    let vectors = vec![0.25; documents * dim];
    for (queries, threads) in [(1, 1), (1, 2), (70, 2)] {
        let compared = AtomicU64::new(0);
        let id_order = |a: u32, b: u32| {
            compared.fetch_add(1, Relaxed);
            scattered(a, b)
        };
        let queries = vec![0.5; queries * dim];
        let search = Search { queries: &queries, k, id_order: &id_order };
        let hits = Exact::new(&vectors, dim, SimdLevel::best()).unwrap().search(&search, &pool(threads));
        let most = (queries.len() / dim * documents * 11 / 10) as u64;
        assert!(compared.load(Relaxed) <= most, "{compared:?} comparisons of ids, {most} are enough");
        let expected = naive(&vectors, dim, &Search { queries: &queries[..dim], k, id_order: &scattered });
        assert!(hits.unwrap().iter().all(|hits| *hits == expected[0]));
    }
}
