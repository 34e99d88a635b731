//! A search through rounded copies against the exact one: the same bits, whatever the vectors.

use std::cmp::Ordering;

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::search::naive;
use sbmoe_index::{Exact, Hit, IndexError, Rounded, RoundedVectors, Rounding, Search, SimdLevel, Store};

fn pool(threads: usize) -> ThreadPool {
    ThreadPoolBuilder::new().num_threads(threads).build().expect("threads can be started")
}

fn levels() -> impl Iterator<Item = SimdLevel> {
    SimdLevel::available()
}

/// An order of ids that has nothing to do with the order of the documents.
fn scattered(a: u32, b: u32) -> Ordering {
    a.wrapping_mul(0x9e37_79b1).cmp(&b.wrapping_mul(0x9e37_79b1))
}

/// SplitMix64.
struct Draws {
    state: u64,
}

impl Draws {
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    /// Between −1 and 1.
    fn number(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }
}

/// How the numbers of a case are drawn.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// Without ties.
    Plain,
    /// Whole numbers: many equal scores.
    Coarse,
    /// Most rows are copies of a few.
    Duplicates,
    /// Rows of every length, from subnormal to nearly overflowing.
    Lengths,
    /// Neighbours that differ in the last bits only.
    Close,
    /// Rows of zeros, of one number, and others.
    Sparse,
}

impl Kind {
    const ALL: [Self; 6] =
        [Self::Plain, Self::Coarse, Self::Duplicates, Self::Lengths, Self::Close, Self::Sparse];

    fn rows(self, count: usize, dim: usize, draws: &mut Draws) -> Vec<f32> {
        let mut rows: Vec<f32> = Vec::with_capacity(count * dim);
        let centre: Vec<f32> = (0..dim).map(|_| draws.number()).collect();
        for row in 0..count {
            let length = [0.0, 1e-44, 1e-38, 1e-16, 1e-3, 1.0, 1e10, 1e15, 1e17][draws.below(9)];
            let copied = draws.below(row.clamp(1, 3));
            let only = draws.below(dim);
            for position in 0..dim {
                let number = match self {
                    Self::Coarse => (2.0 * draws.number()).round(),
                    Self::Duplicates if row > 2 => rows[copied * dim + position],
                    Self::Lengths => length * draws.number(),
                    Self::Close => f32::from_bits(centre[position].to_bits() + draws.below(3) as u32),
                    Self::Sparse if row % 3 == 0 => 0.0,
                    Self::Sparse if row % 3 == 1 && position != only => 0.0,
                    Self::Plain | Self::Duplicates | Self::Sparse => draws.number(),
                };
                rows.push(number);
            }
        }
        rows
    }
}

fn bits(hits: &[Vec<Hit>]) -> Vec<Vec<(u32, u32)>> {
    let bits = |hit: &Hit| (hit.document, hit.score.to_bits());
    hits.iter().map(|hits| hits.iter().map(bits).collect()).collect()
}

/// Both answers, or both refusals' words; an answer is that of the definition.
fn check(vectors: &[f32], dim: usize, search: &Search<'_>, level: SimdLevel, pool: &ThreadPool, case: &str) {
    let exact = Exact::new(vectors, dim, level).unwrap().search(search, pool);
    if let Ok(exact) = &exact {
        assert_eq!(exact, &naive(vectors, dim, search), "{level}, {case}");
    }
    for rounding in Rounding::ALL {
        let copy = RoundedVectors::of(vectors, dim, rounding).unwrap();
        let found = Rounded::new(vectors, &copy, level).unwrap().search(search, pool);
        match (&exact, &found) {
            (Ok(exact), Ok(found)) => {
                assert_eq!(bits(found), bits(exact), "{rounding}, {level}, {case}");
            }
            (Err(exact), Err(found)) => {
                assert_eq!(found.to_string(), exact.to_string(), "{rounding}, {level}, {case}");
            }
            _ => panic!("{rounding}, {level}, {case}: {found:?} where {exact:?} is right"),
        }
    }
}

#[test]
fn hits_are_those_of_the_exact_search_bit_for_bit() {
    let mut draws = Draws { state: 11 };
    let pools = [pool(1), pool(3)];
    for round in 0..60 {
        for kind in Kind::ALL {
            let dim = [1, 2, 3, 7, 8, 15, 16, 17, 31, 33, 64, 129][draws.below(12)];
            let documents = [0, 1, 5, 24, 100, 331, 900][draws.below(7)];
            let queries = [1, 2, 9, 17, 40, 70][draws.below(6)];
            let k = [1, 2, 7, 33, 100, 1000, usize::MAX][draws.below(7)];
            let vectors = kind.rows(documents, dim, &mut draws);
            let of = if draws.below(4) == 0 { Kind::Lengths } else { kind };
            let queries = of.rows(queries, dim, &mut draws);
            let search = Search { queries: &queries, k, id_order: &scattered };
            let case = format!(
                "round {round}: {documents} documents {kind:?} × {dim}, {} queries {of:?}, k {k}",
                queries.len() / dim
            );
            for level in levels() {
                check(&vectors, dim, &search, level, &pools[round % 2], &case);
            }
        }
    }
}

#[test]
fn many_spans_blocks_and_threads_give_the_same_bits() {
    let (dim, mut draws) = (18, Draws { state: 5 });
    let vectors = Kind::Plain.rows(9001, dim, &mut draws);
    let queries = Kind::Plain.rows(1050, dim, &mut draws);
    let search = Search { queries: &queries, k: 17, id_order: &scattered };
    for threads in [1, 2, 5] {
        check(&vectors, dim, &search, SimdLevel::best(), &pool(threads), "many");
    }
    for query in [0, 700, 1049] {
        let alone = Search { queries: &queries[query * dim..][..dim], ..search };
        check(&vectors, dim, &alone, SimdLevel::best(), &pool(2), "alone");
    }
}

#[test]
fn few_documents_are_scored_where_they_differ_and_all_where_they_do_not() {
    let (dim, mut draws) = (64, Draws { state: 3 });
    let vectors = Kind::Plain.rows(8000, dim, &mut draws);
    let query = Kind::Plain.rows(1, dim, &mut draws);
    let search = Search { queries: &query, k: 10, id_order: &scattered };
    let scored = |vectors: &[f32], rounding| {
        let copy = RoundedVectors::of(vectors, dim, rounding).unwrap();
        let store = Rounded::new(vectors, &copy, SimdLevel::best()).unwrap();
        assert_eq!(
            (store.len(), store.dim(), copy.rounding(), copy.is_empty()),
            (8000, dim, rounding, false)
        );
        store.search(&search, &pool(2)).unwrap();
        store.rescored()
    };
    for rounding in Rounding::ALL {
        let few = scored(&vectors, rounding);
        assert!((10..80).contains(&few), "{rounding}: {few}");
        // The search gives up after a tile and then scores them all.
        let all = scored(&vectors[..dim].repeat(8000), rounding);
        assert!((8000..10_100).contains(&all), "{rounding}: {all}");
    }
}

#[test]
fn a_score_that_overflows_is_the_error_of_the_exact_search() {
    let mut vectors = vec![0.5; 2 * 300];
    vectors[2 * 200..2 * 201].fill(f32::MAX);
    vectors[2 * 100..2 * 101].fill(-f32::MAX);
    let queries = [1.0, 1.0, 2.0, 2.0, -2.0, 2.0];
    let search = Search { queries: &queries, k: 3, id_order: &scattered };
    for level in levels() {
        check(&vectors, 2, &search, level, &pool(2), "overflow");
        let copy = RoundedVectors::of(&vectors, 2, Rounding::Int8).unwrap();
        let error = Rounded::new(&vectors, &copy, level).unwrap().search(&search, &pool(2)).unwrap_err();
        assert!(error.to_string().contains("document 100 for query 0 is -inf"), "{error}");
    }
}

#[test]
fn queries_that_cannot_be_are_refused_as_ever() {
    for queries in [&[1.0, f32::NAN][..], &[1.0]] {
        let search = Search { queries, k: 3, id_order: &scattered };
        let vectors = [1.0, 2.0, 3.0, 4.0];
        check(&vectors, 2, &search, SimdLevel::best(), &pool(1), "queries");
    }
    let empty = Search { queries: &[1.0, 2.0], k: 0, id_order: &scattered };
    check(&[1.0, 2.0], 2, &empty, SimdLevel::best(), &pool(1), "no hits");
}

#[test]
fn vectors_that_cannot_be_rounded_name_their_row() {
    for rounding in Rounding::ALL {
        for bad in [f32::NAN, f32::INFINITY] {
            let error = RoundedVectors::of(&[1.0, 2.0, 3.0, bad], 2, rounding).unwrap_err().to_string();
            assert!(
                error.starts_with("the vector of document 1 has ") && error.contains("position 1"),
                "{error}"
            );
        }
        assert!(matches!(RoundedVectors::of(&[1.0], 0, rounding), Err(IndexError::ZeroDimension)));
        assert!(matches!(RoundedVectors::of(&[1.0], 2, rounding), Err(IndexError::RowLength { .. })));
    }
    let copy = RoundedVectors::of(&[1.0, 2.0], 1, Rounding::Int8).unwrap();
    let error = Rounded::new(&[1.0], &copy, SimdLevel::PORTABLE).unwrap_err().to_string();
    assert_eq!(error, "the rounded copy has 2 rows and the vectors have 1: round the vectors again");
}
