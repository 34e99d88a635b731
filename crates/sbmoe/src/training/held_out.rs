//! Dividing queries so that no held-out positive is a training positive.
//!
//! Where queries share documents, a query held out at random is often one whose answer is trained on: its score tells
//! what was memorised. So queries that share a positive, directly or through others, stay together: they are the
//! connected components of the graph of queries and positives. A component that is larger than a part should be cannot
//! stay whole; its queries are drawn one by one, and [`overlap`] says how many held-out queries that leaves with a
//! training positive.
//!
//! Positives are numbers that stand for documents, a list a query; all draws are functions of a [`Key`].

use std::collections::{HashMap, HashSet};

use sbmoe_kernels::Key;

/// How many times its share a part may hold in one component.
const TOO_LARGE: f64 = 1.5;

/// The component of each query, counted from 0 in the order of their first queries. A query without positives is a
/// component of its own.
pub(super) fn components(positives: &[Vec<u32>]) -> Vec<u32> {
    let mut parents: Vec<usize> = (0..positives.len()).collect();
    let mut first_of: HashMap<u32, usize> = HashMap::new();
    for (query, documents) in positives.iter().enumerate() {
        for &document in documents {
            let first = *first_of.entry(document).or_insert(query);
            let (left, right) = (root(&mut parents, first), root(&mut parents, query));
            // The smaller number is the root, so that a component's root is its first query.
            parents[left.max(right)] = left.min(right);
        }
    }
    let mut numbers: HashMap<usize, u32> = HashMap::new();
    (0..positives.len())
        .map(|query| {
            let next = numbers.len() as u32;
            *numbers.entry(root(&mut parents, query)).or_insert(next)
        })
        .collect()
}

/// The fold of each query, below `n_folds`. Components stay whole, largest first onto the smallest fold, so that folds
/// differ in size by one component at most; one of more than 1.5 times a fold's share is divided query by query.
///
/// # Panics
/// `n_folds` is 0.
pub(super) fn folds(positives: &[Vec<u32>], n_folds: u8, key: Key) -> Vec<u8> {
    assert!(n_folds > 0, "queries are divided into one fold at least");
    let share = positives.len() as f64 / f64::from(n_folds);
    let (mut parts, large) = by_size(positives, TOO_LARGE * share);
    parts.extend(large.into_iter().flatten().map(|query| vec![query]));
    key.shuffle(&mut parts);
    parts.sort_by_key(|part| std::cmp::Reverse(part.len()));
    let mut sizes = vec![0; usize::from(n_folds)];
    let mut folds = vec![0; positives.len()];
    for part in parts {
        let smallest = (0..n_folds).min_by_key(|fold| sizes[usize::from(*fold)]).unwrap_or(0);
        sizes[usize::from(smallest)] += part.len();
        for query in part {
            folds[query] = smallest;
        }
    }
    folds
}

/// Which queries are held out: at least `count` where that leaves half of them for training, else half.
///
/// Whole components are drawn at random as long as they suffice, up to 1.5 times `count` queries if that can be. Only
/// where they do not suffice, the rest is drawn query by query from the components that are too large.
pub(super) fn held_out(positives: &[Vec<u32>], count: usize, key: Key) -> Vec<bool> {
    let half = positives.len() / 2;
    let count = count.min(half);
    let about = TOO_LARGE * count as f64;
    let (mut parts, mut large) = by_size(positives, about);
    key.with(0).shuffle(&mut parts);
    let mut chosen: Vec<usize> = Vec::with_capacity(count);
    // First without exceeding what was asked for by much, then without exceeding half.
    for most in [half.min(about as usize), half] {
        let mut left = Vec::new();
        for part in parts {
            if chosen.len() < count && chosen.len() + part.len() <= most {
                chosen.extend(part);
            } else {
                left.push(part);
            }
        }
        parts = left;
    }
    large.append(&mut parts);
    let mut rest = large.concat();
    key.with(1).shuffle(&mut rest);
    chosen.extend(rest.into_iter().take(count.saturating_sub(chosen.len())));
    let mut held_out = vec![false; positives.len()];
    for query in chosen {
        held_out[query] = true;
    }
    held_out
}

/// How many held-out queries have a positive that is a positive of a training query, which all others are.
pub(super) fn overlap(positives: &[Vec<u32>], held_out: impl Fn(usize) -> bool) -> usize {
    let training: HashSet<u32> = (0..positives.len())
        .filter(|query| !held_out(*query))
        .flat_map(|query| &positives[query])
        .copied()
        .collect();
    let seen = |query: &usize| positives[*query].iter().any(|document| training.contains(document));
    (0..positives.len()).filter(|query| held_out(*query)).filter(seen).count()
}

/// The queries of each component: those of at most `limit` queries, and the larger ones.
fn by_size(positives: &[Vec<u32>], limit: f64) -> (Vec<Vec<usize>>, Vec<Vec<usize>>) {
    let mut parts: Vec<Vec<usize>> = Vec::new();
    for (query, component) in components(positives).into_iter().enumerate() {
        // Components are numbered in the order of their first queries.
        if component as usize == parts.len() {
            parts.push(Vec::new());
        }
        parts[component as usize].push(query);
    }
    parts.into_iter().partition(|part| part.len() as f64 <= limit)
}

/// The root of a query's tree, halving the paths on the way.
fn root(parents: &mut [usize], mut query: usize) -> usize {
    while parents[query] != query {
        parents[query] = parents[parents[query]];
        query = parents[query];
    }
    query
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(seed: u64) -> Key {
        Key::new(seed).purpose("held out")
    }

    /// Components of these sizes: all queries of a component share one document.
    fn of_sizes(sizes: &[usize]) -> Vec<Vec<u32>> {
        (0..).zip(sizes).flat_map(|(document, size)| vec![vec![document]; *size]).collect()
    }

    fn fold_sizes(folds: &[u8], n_folds: u8) -> Vec<usize> {
        let mut sizes = vec![0; usize::from(n_folds)];
        for fold in folds {
            sizes[usize::from(*fold)] += 1;
        }
        sizes
    }

    fn chosen(positives: &[Vec<u32>], count: usize, seed: u64) -> Vec<usize> {
        let held_out = held_out(positives, count, key(seed));
        (0..positives.len()).filter(|query| held_out[*query]).collect()
    }

    /// Components by asking, for every pair of queries, whether they share a document, until nothing changes.
    fn naive_components(positives: &[Vec<u32>]) -> Vec<usize> {
        let n = positives.len();
        let mut of: Vec<usize> = (0..n).collect();
        let mut changed = true;
        while changed {
            changed = false;
            for (a, b) in (0..n).flat_map(|a| (0..a).map(move |b| (a, b))) {
                if of[a] != of[b] && positives[a].iter().any(|document| positives[b].contains(document)) {
                    let (low, high) = (of[a].min(of[b]), of[a].max(of[b]));
                    of.iter_mut()
                        .filter(|component| **component == high)
                        .for_each(|component| *component = low);
                    changed = true;
                }
            }
        }
        of
    }

    #[test]
    fn queries_are_joined_through_the_documents_of_others() {
        let positives = vec![vec![7], vec![1, 2], vec![], vec![9, 7], vec![2, 9], vec![5], vec![]];
        assert_eq!(components(&positives), [0, 0, 1, 0, 0, 2, 3]);
    }

    #[test]
    fn a_component_too_large_for_a_fold_is_divided_evenly_and_the_others_stay_whole() {
        let positives = of_sizes(&[31, 3, 3, 3]);
        let folds = folds(&positives, 4, key(1));
        assert_eq!(fold_sizes(&folds, 4), [10, 10, 10, 10]);
        for part in [31..34, 34..37, 37..40] {
            assert!(folds[part.clone()].iter().all(|fold| *fold == folds[part.start]), "{folds:?}");
        }
    }

    #[test]
    fn held_out_components_are_whole_while_they_suffice_and_a_large_one_stays_in_training() {
        let positives = of_sizes(&[50, 2, 2, 2, 2, 2, 2]);
        for seed in 0..20 {
            let chosen = chosen(&positives, 5, seed);
            assert_eq!(chosen.len(), 6);
            assert!(chosen.iter().all(|query| *query >= 50), "{chosen:?}");
            assert_eq!(overlap(&positives, |query| chosen.contains(&query)), 0);
        }
    }

    #[test]
    fn more_is_held_out_rather_than_a_component_divided() {
        // 9 are too few, and 18 more than 1.5 times 10.
        let positives = of_sizes(&[9, 9, 9, 9, 9]);
        assert_eq!(chosen(&positives, 10, 3).len(), 18);
    }

    #[test]
    fn a_single_component_is_divided_by_queries_and_the_overlap_says_so() {
        let positives = of_sizes(&[40]);
        let chosen = chosen(&positives, 10, 3);
        assert_eq!(chosen.len(), 10);
        assert_eq!(overlap(&positives, |query| chosen.contains(&query)), 10);
    }

    #[test]
    fn never_more_than_half_is_held_out() {
        for (sizes, most) in [(vec![1; 9], 4), (vec![1], 0), (vec![], 0), (vec![3, 3], 3), (vec![5, 1], 3)] {
            assert_eq!(chosen(&of_sizes(&sizes), 100, 5).len(), most, "{sizes:?}");
        }
        assert!(chosen(&of_sizes(&[1; 9]), 0, 5).is_empty());
    }

    #[test]
    fn another_key_draws_other_queries() {
        let positives = of_sizes(&[1; 100]);
        assert_ne!(chosen(&positives, 10, 1), chosen(&positives, 10, 2));
        assert_ne!(folds(&positives, 5, key(1)), folds(&positives, 5, key(2)));
    }

    proptest! {
        #[test]
        fn components_are_those_of_the_naive_search(
            positives in prop::collection::vec(prop::collection::vec(0_u32..30, 0..4), 0..30),
        ) {
            let (fast, naive) = (components(&positives), naive_components(&positives));
            for (a, b) in (0..positives.len()).flat_map(|a| (0..a).map(move |b| (a, b))) {
                prop_assert_eq!(fast[a] == fast[b], naive[a] == naive[b], "queries {} and {}", a, b);
            }
        }

        #[test]
        fn parts_share_no_positive_and_have_the_size_that_was_asked_for(
            positives in prop::collection::vec(prop::collection::vec(0_u32..200, 0..3), 2..80),
            n_folds in 1_u8..6,
            wanted in 1_usize..40,
            seed in 0_u64..1000,
        ) {
            let n = positives.len();
            let mut sizes = vec![0_usize; n];
            for component in components(&positives) {
                sizes[component as usize] += 1;
            }
            let largest = sizes.into_iter().max().unwrap_or(0);

            let folds = folds(&positives, n_folds, key(seed));
            prop_assert_eq!(&folds, &super::folds(&positives, n_folds, key(seed)));
            let of_folds = fold_sizes(&folds, n_folds);
            prop_assert_eq!(of_folds.iter().sum::<usize>(), n);
            let (least, most) = (of_folds.iter().min().unwrap(), of_folds.iter().max().unwrap());
            prop_assert!(most - least <= largest, "{of_folds:?}, the largest component has {largest}");
            if largest as f64 <= 1.5 * n as f64 / f64::from(n_folds) {
                for fold in 0..n_folds {
                    prop_assert_eq!(overlap(&positives, |query| folds[query] == fold), 0);
                }
            }

            let held_out = held_out(&positives, wanted, key(seed));
            prop_assert_eq!(&held_out, &super::held_out(&positives, wanted, key(seed)));
            let count = held_out.iter().filter(|held_out| **held_out).count();
            prop_assert!(count >= wanted.min(n / 2) && count <= n / 2, "{count} of {n}, {wanted} wanted");
            // Then the first component that does not fit beside the others leaves room for it alone.
            if largest as f64 <= 1.5 * wanted.min(n / 2) as f64 && wanted + largest <= n / 2 {
                prop_assert_eq!(overlap(&positives, |query| held_out[query]), 0);
            }
        }
    }
}
