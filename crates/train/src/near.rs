//! Near batching: batches of queries that lie near each other, whose documents are harder negatives for one another.
//!
//! Each epoch a sixteenth of the queries are drawn as seeds, every query joins its nearest seed by inner product, and
//! batches are cut from the order of the seeds.

use sbmoe_kernels::{Activation, Affine, Key, LinearSize, Ops, Precision};

/// Queries a seed.
const QUERIES_A_SEED: usize = 16;

/// Queries whose scores are computed at once.
const ROWS: usize = 1024;

/// The order of an epoch's queries. `vectors [queries, hidden]` are those of the encoder as it came, of length 1 where it
/// is compared by cosine; `key` names the epoch.
pub(crate) fn order<O: Ops>(ops: &O, vectors: &[f32], hidden: usize, key: Key) -> Vec<u32> {
    let n_queries = vectors.len() / hidden;
    let mut drawn: Vec<u32> = (0..n_queries as u32).collect();
    key.purpose("order").shuffle(&mut drawn);
    let seeds = &drawn[..n_queries.div_ceil(QUERIES_A_SEED)];
    let row = |query: u32| &vectors[query as usize * hidden..][..hidden];
    let weight = ops.upload_rows(&seeds.iter().map(|&seed| row(seed)).collect::<Vec<_>>());
    let bias = ops.zeros(seeds.len());
    let mut groups = vec![Vec::new(); seeds.len()];
    for rows in drawn.chunks(ROWS) {
        let x = ops.upload_rows(&rows.iter().map(|&query| row(query)).collect::<Vec<_>>());
        let size =
            LinearSize { rows: rows.len(), inputs: hidden, outputs: seeds.len(), precision: Precision::F32 };
        let mut scores = ops.scratch(rows.len() * seeds.len());
        let layer = Affine { weight: &weight, bias: &bias };
        ops.linear(size, &x, layer, Activation::Identity, None, &mut scores);
        for (&query, seed) in rows.iter().zip(ops.arg_max(seeds.len(), &scores)) {
            groups[seed as usize].push(query);
        }
    }
    groups.concat()
}

#[cfg(test)]
mod tests {
    use sbmoe_kernels::Cpu;

    use super::*;

    /// Queries on a circle, in four clusters.
    fn vectors(n: usize) -> Vec<f32> {
        let angle = |i: usize| (i % 4) as f64 * 1.5 + Key::new(5).with(i as u64).uniform() * 0.1;
        (0..n).flat_map(|i| [angle(i).cos() as f32, angle(i).sin() as f32]).collect()
    }

    #[test]
    fn every_query_stands_once_and_neighbours_stand_together() {
        let vectors = vectors(400);
        let order = order(&Cpu::new(1), &vectors, 2, Key::new(1));
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..400).collect::<Vec<u32>>());
        let alike = order.windows(2).filter(|pair| pair[0] % 4 == pair[1] % 4).count();
        // By chance it is a quarter.
        assert!(alike > 300, "{alike} of 399 neighbours are of one cluster");
    }

    #[test]
    fn an_order_follows_its_key_whatever_the_threads() {
        let vectors = vectors(100);
        let with = |threads, key| order(&Cpu::new(threads), &vectors, 2, Key::new(key));
        assert_eq!(with(1, 1), with(3, 1));
        assert_ne!(with(1, 1), with(1, 2));
    }
}
